//! Every verb, typed into the real `docker` command line.

use std::io::{Read as _, Write as _};
use std::process::Stdio;
use std::time::Duration;

use sha2::{Digest as _, Sha256};

use crate::support::{Agent, Files, Image, Registry, poll};

/// An engine with one image.
fn engine() -> (Agent, String) {
    let agent = Agent::start();
    let image = agent.load(&Image::busybox());
    (agent, image)
}

/// `docker run --network none` and what follows.
fn run<'a>(image: &'a str, flags: &[&'a str], command: &[&'a str]) -> Vec<&'a str> {
    let mut words = vec!["run", "--network", "none"];
    words.extend(flags);
    words.push(image);
    words.extend(command);
    words
}

#[test]
fn version_info_and_networks_are_told() {
    let (agent, _) = engine();
    let version = agent.docker(&["version"]).ok();
    assert!(
        version.contains("Engine:") && version.contains("1.53 (minimum version 1.24)"),
        "{version}"
    );
    let info = agent.docker(&["info"]).ok();
    assert!(info.contains("Storage Driver: overlay2"), "{info}");
    let networks = agent
        .docker(&["network", "ls", "--format", "{{.Name}}"])
        .ok();
    assert_eq!(networks, "bridge\nhost\nnone\n");
    assert!(agent.docker(&["system", "df"]).ok().contains("Images"));
    agent.assert_nothing_left();
}

#[test]
fn run_prints_both_streams_and_tells_the_exit_code() {
    let (agent, image) = engine();
    let ran = agent.docker(&run(
        &image,
        &["--rm"],
        &["sh", "-c", "echo out; echo err >&2; exit 3"],
    ));
    assert_eq!(
        (ran.code, ran.out.as_str(), ran.err.as_str()),
        (3, "out\n", "err\n")
    );
    assert_eq!(agent.docker(&["ps", "-aq"]).ok(), "", "--rm removes");
    agent.assert_nothing_left();
}

#[test]
fn a_command_that_is_not_there_is_127_and_one_that_cannot_run_126() {
    let (agent, image) = engine();
    let missing = agent
        .docker(&run(&image, &["--rm"], &["nothing-like-it"]))
        .failed(127);
    assert!(missing.contains("executable file not found"), "{missing}");
    let closed = agent.docker(&run(&image, &["--rm"], &["/etc"])).failed(126);
    assert!(
        closed.contains("denied") || closed.contains("is a directory"),
        "{closed}"
    );
    assert_eq!(agent.docker(&["ps", "-aq"]).ok(), "");
    agent.assert_nothing_left();
}

#[test]
fn no_byte_of_a_large_input_or_output_is_lost() {
    let (agent, image) = engine();
    let input: Vec<u8> = (0..3_000_000u32)
        .flat_map(|n| n.wrapping_mul(2_654_435_761).to_le_bytes())
        .collect();
    let ran = agent.docker_with_input(&run(&image, &["--rm", "-i"], &["sha256sum"]), &input);
    let digest: String = Sha256::digest(&input)
        .iter()
        .map(|byte| format!("{byte:02x}"))
        .collect();
    assert_eq!(ran.ok(), format!("{digest}  -\n"));
    let counted = agent.docker_with_input(
        &run(&image, &["--rm", "-i"], &["sh", "-c", "cat | cat"]),
        &vec![b'x'; 5 << 20],
    );
    assert_eq!(counted.ok().len(), 5 << 20);
    agent.assert_nothing_left();
}

#[test]
fn a_terminal_has_the_size_and_the_bytes_of_one() {
    let (agent, image) = engine();
    let script = format!(
        "stty rows 33 cols 77; exec docker run --rm -it --network none {image} sh -c 'stty size; tty; echo done'"
    );
    let command = agent.docker_command(&[]);
    let mut terminal = std::process::Command::new("script");
    for (key, value) in command
        .get_envs()
        .filter_map(|(key, value)| Some((key, value?)))
    {
        terminal.env(key, value);
    }
    let output = terminal
        .args(["-qec", &script, "/dev/null"])
        .stdin(Stdio::null())
        .output()
        .expect("script starts");
    let text = String::from_utf8_lossy(&output.stdout);
    assert!(
        text.contains("33 77\r\n") && text.contains("/dev/pts/0\r\n") && text.contains("done\r\n"),
        "{text}"
    );
    agent.assert_nothing_left();
}

#[test]
fn a_container_lives_through_every_verb() {
    let (agent, image) = engine();
    let id = agent
        .docker(&[
            "create",
            "--name",
            "one",
            "--network",
            "none",
            &image,
            "sleep",
            "1000",
        ])
        .ok();
    let id = id.trim();
    assert_eq!(agent.docker(&["start", "one"]).ok(), "one\n");
    assert_eq!(agent.docker(&["ps", "-q", "--no-trunc"]).ok().trim(), id);
    assert!(agent.docker(&["top", "one"]).ok().contains("sleep 1000"));
    agent.docker(&["pause", "one"]).ok();
    assert_eq!(
        agent
            .docker(&["inspect", "-f", "{{.State.Status}}", "one"])
            .ok(),
        "paused\n"
    );
    agent.docker(&["unpause", "one"]).ok();
    agent
        .docker(&["update", "--memory", "64m", "--memory-swap", "64m", "one"])
        .ok();
    assert_eq!(
        agent
            .docker(&["inspect", "-f", "{{.HostConfig.Memory}}", "one"])
            .ok(),
        "67108864\n"
    );
    agent.docker(&["rename", "one", "two"]).ok();
    agent.docker(&["restart", "-t", "0", "two"]).ok();
    assert!(
        agent
            .docker(&["stats", "--no-stream", "two"])
            .ok()
            .contains("two")
    );
    agent.docker(&["kill", "-s", "KILL", "two"]).ok();
    assert_eq!(agent.docker(&["wait", "two"]).ok(), "137\n");
    agent.docker(&["start", "two"]).ok();
    agent.docker(&["stop", "-t", "0", "two"]).ok();
    let refused = agent.docker(&["kill", "two"]).failed(1);
    assert!(refused.contains("is not running"), "{refused}");
    assert_eq!(agent.docker(&["rm", "two"]).ok(), "two\n");
    let gone = agent.docker(&["inspect", "two"]).failed(1);
    assert!(gone.contains("No such object: two"), "{gone}");
    agent.assert_nothing_left();
}

#[test]
fn logs_are_kept_filtered_and_followed() {
    let (agent, image) = engine();
    let words = "for i in 1 2 3; do echo out $i; echo err $i >&2; done; sleep 1; echo late";
    agent
        .docker(&run(
            &image,
            &["-d", "--name", "talker"],
            &["sh", "-c", words],
        ))
        .ok();
    let followed = agent.docker(&["logs", "-f", "talker"]);
    assert_eq!(followed.out, "out 1\nout 2\nout 3\nlate\n");
    assert_eq!(followed.err, "err 1\nerr 2\nerr 3\n");
    assert_eq!(agent.docker(&["logs", "-n", "1", "talker"]).ok(), "late\n");
    let stamped = agent.docker(&["logs", "-t", "-n", "1", "talker"]).ok();
    let time = stamped.split(' ').next().expect("a line has a time");
    assert!(time.len() == 30 && time.ends_with('Z'), "{stamped}");
    assert_eq!(
        agent
            .docker(&["logs", "--since", "1h", "-n", "1", "talker"])
            .ok(),
        "late\n"
    );
    assert_eq!(
        agent
            .docker(&["logs", "--until", "2000-01-01T00:00:00", "talker"])
            .ok(),
        ""
    );
    agent.docker(&["rm", "talker"]).ok();
    agent.assert_nothing_left();
}

#[test]
fn exec_runs_beside_with_its_own_user_environment_and_input() {
    let (agent, image) = engine();
    agent
        .docker(&run(&image, &["-d", "--name", "host"], &["sleep", "1000"]))
        .ok();
    assert_eq!(agent.docker(&["exec", "host", "echo", "hi"]).ok(), "hi\n");
    assert_eq!(
        agent
            .docker(&[
                "exec",
                "-e",
                "A=b",
                "-w",
                "/etc",
                "host",
                "sh",
                "-c",
                "echo $A $PWD"
            ])
            .ok(),
        "b /etc\n"
    );
    assert_eq!(
        agent
            .docker(&["exec", "-u", "1000:1000", "host", "id", "-u"])
            .ok(),
        "1000\n"
    );
    let failed = agent.docker(&["exec", "host", "sh", "-c", "echo no >&2; exit 5"]);
    assert_eq!((failed.code, failed.err.as_str()), (5, "no\n"));
    assert_eq!(
        agent
            .docker_with_input(&["exec", "-i", "host", "wc", "-c"], &vec![0; 1 << 20])
            .ok(),
        "1048576\n"
    );
    agent.docker(&["exec", "-d", "host", "touch", "/made"]).ok();
    poll(
        Duration::from_secs(5),
        "a detached exec does its work",
        || agent.docker(&["exec", "host", "test", "-e", "/made"]).code == 0,
    );
    let missing = agent.docker(&["exec", "host", "nothing-like-it"]);
    assert_eq!(missing.code, 127, "{}", missing.err);
    agent.docker(&["rm", "-f", "host"]).ok();
    agent.assert_nothing_left();
}

#[test]
fn attach_sees_what_comes_and_start_attaches() {
    let (agent, image) = engine();
    agent
        .docker(&[
            "create",
            "-i",
            "--name",
            "cat",
            "--network",
            "none",
            &image,
            "cat",
        ])
        .ok();
    let mut started = agent
        .docker_command(&["start", "-ai", "cat"])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .expect("docker starts");
    let mut input = started.stdin.take().expect("it was asked for");
    input.write_all(b"one\ntwo\n").expect("cat reads");
    drop(input);
    let mut text = String::new();
    started
        .stdout
        .take()
        .expect("it was asked for")
        .read_to_string(&mut text)
        .expect("text");
    assert_eq!(text, "one\ntwo\n");
    assert!(started.wait().expect("it ends").success());
    agent.docker(&["rm", "cat"]).ok();

    agent
        .docker(&run(
            &image,
            &["-d", "--name", "slow"],
            &["sh", "-c", "sleep 1; echo seen; exit 4"],
        ))
        .ok();
    let attached = agent.docker(&["attach", "slow"]);
    assert_eq!((attached.code, attached.out.as_str()), (4, "seen\n"));
    agent.docker(&["rm", "slow"]).ok();
    agent.assert_nothing_left();
}

#[test]
fn events_tell_a_life_in_order() {
    let (agent, image) = engine();
    agent
        .docker(&run(&image, &["--rm", "--name", "short"], &["true"]))
        .ok();
    // The command line rounds "now" down to a second.
    std::thread::sleep(Duration::from_millis(1100));
    let told = agent.docker(&[
        "events",
        "--since",
        "1m",
        "--until",
        "0s",
        "--filter",
        "container=short",
        "--format",
        "{{.Action}}",
    ]);
    let told = told.ok();
    let actions: Vec<_> = told.lines().collect();
    assert_eq!(actions, ["create", "attach", "start", "die", "destroy"]);
    agent.assert_nothing_left();
}

#[test]
fn images_are_listed_tagged_saved_loaded_imported_and_removed() {
    let (agent, image) = engine();
    agent.docker(&["tag", &image, "other/name:2"]).ok();
    assert_eq!(
        agent
            .docker(&["images", "-q", "other/name"])
            .ok()
            .lines()
            .count(),
        1
    );
    assert!(agent.docker(&["history", &image]).ok().contains("IMAGE"));
    assert_eq!(
        agent.docker(&["inspect", "-f", "{{.Os}}", &image]).ok(),
        "linux\n"
    );
    let folder = agent.scratch("images");
    let archive = folder.join("saved.tar");
    let archive = archive.to_str().expect("it is text");
    agent.docker(&["save", "-o", archive, "other/name:2"]).ok();
    let removed = agent.docker(&["rmi", "other/name:2"]).ok();
    assert!(removed.contains("Untagged: other/name:2"), "{removed}");
    assert_eq!(
        agent.docker(&["load", "-i", archive]).ok(),
        "Loaded image: other/name:2\n"
    );
    let rootfs = Files::tar(|files| files.folder("bin", 0o755).file("hi", 0o644, b"hi"));
    let imported = agent
        .docker_with_input(&["import", "-c", "CMD [\"x\"]", "-", "made:up"], &rootfs)
        .ok();
    assert!(imported.starts_with("sha256:"), "{imported}");
    assert_eq!(
        agent
            .docker(&["inspect", "-f", "{{.Config.Cmd}}", "made:up"])
            .ok(),
        "[x]\n"
    );
    agent.docker(&["rmi", "made:up"]).ok();
    let missing = agent.docker(&["rmi", "nobody/knows:it"]).failed(1);
    assert!(
        missing.contains("No such image: nobody/knows:it"),
        "{missing}"
    );
    agent.docker(&["image", "prune", "-f"]).ok();
    agent.docker(&["rmi", "-f", "other/name:2", &image]).ok();
    assert_eq!(agent.docker(&["images", "-aq"]).ok(), "");
    agent.assert_nothing_left();
}

#[test]
fn pull_and_push_speak_to_a_registry() {
    let agent = Agent::start();
    let registry = Registry::start();
    let name = Image::busybox().push(&registry, "demo", "1");
    let pulled = agent.docker(&["pull", &name]).ok();
    assert!(pulled.contains("1: Pulling from demo"), "{pulled}");
    assert!(
        pulled.contains(&format!("Status: Downloaded newer image for {name}")),
        "{pulled}"
    );
    assert!(
        agent
            .docker(&["pull", &name])
            .ok()
            .contains("Status: Image is up to date")
    );
    let ran = agent.docker(&run(
        &name,
        &["--rm", "--pull", "always", "-q"],
        &["echo", "pulled"],
    ));
    assert!(ran.ok().ends_with("pulled\n"));
    let other = name.replace("demo:1", "copy:2");
    agent.docker(&["tag", &name, &other]).ok();
    let pushed = agent.docker(&["push", &other]).ok();
    assert!(
        pushed.contains("The push refers to repository") && pushed.contains("digest: sha256:"),
        "{pushed}"
    );
    let missing = agent
        .docker(&["pull", &name.replace("demo:1", "demo:none")])
        .failed(1);
    assert!(
        missing.contains("manifest unknown") || missing.contains("not found"),
        "{missing}"
    );
    agent.assert_nothing_left();
}

#[test]
fn volumes_are_made_used_and_removed() {
    let (agent, image) = engine();
    assert_eq!(
        agent
            .docker(&["volume", "create", "--label", "a=b", "kept"])
            .ok(),
        "kept\n"
    );
    agent
        .docker(&run(
            &image,
            &["--rm", "-v", "kept:/v"],
            &["sh", "-c", "echo here > /v/file"],
        ))
        .ok();
    let read = agent.docker(&run(
        &image,
        &["--rm", "-v", "kept:/v:ro"],
        &["cat", "/v/file"],
    ));
    assert_eq!(read.ok(), "here\n");
    assert_eq!(
        agent.docker(&["volume", "ls", "-q", "-f", "label=a"]).ok(),
        "kept\n"
    );
    assert_eq!(
        agent
            .docker(&["volume", "inspect", "-f", "{{.Driver}}", "kept"])
            .ok(),
        "local\n"
    );
    agent
        .docker(&run(
            &image,
            &["-d", "--name", "user", "-v", "kept:/v"],
            &["sleep", "1000"],
        ))
        .ok();
    let refused = agent.docker(&["volume", "rm", "kept"]).failed(1);
    assert!(refused.contains("volume is in use"), "{refused}");
    agent.docker(&["rm", "-fv", "user"]).ok();
    assert_eq!(agent.docker(&["volume", "rm", "kept"]).ok(), "kept\n");
    assert!(
        agent
            .docker(&["volume", "prune", "-af"])
            .ok()
            .contains("Total reclaimed space")
    );
    agent.assert_nothing_left();
}

#[test]
fn prune_removes_what_ended() {
    let (agent, image) = engine();
    agent
        .docker(&run(&image, &["--name", "ended"], &["true"]))
        .ok();
    assert!(
        agent
            .docker(&["container", "prune", "-f"])
            .ok()
            .contains("Deleted Containers:")
    );
    assert_eq!(agent.docker(&["ps", "-aq"]).ok(), "");
    agent.assert_nothing_left();
}
