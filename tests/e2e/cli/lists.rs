//! Lists, formats, and what is shown of things.

use crate::support::{Agent, Image};

#[test]
fn containers_are_listed_in_every_format() {
    let agent = Agent::start();
    let image = agent.load(&Image::busybox());
    let run = [
        "run",
        "-d",
        "--name",
        "shown",
        "-l",
        "a=b",
        "--network",
        "none",
        &image,
        "sleep",
        "100",
    ];
    let id = agent.proa(&run).ok();
    let table = agent.proa(&["ps"]).ok();
    let mut lines = table.lines();
    let heading: Vec<_> = lines
        .next()
        .expect("a heading")
        .split_whitespace()
        .collect();
    assert_eq!(
        heading,
        [
            "CONTAINER",
            "ID",
            "IMAGE",
            "COMMAND",
            "CREATED",
            "STATUS",
            "PORTS",
            "NAMES"
        ]
    );
    let row = lines.next().expect("a row");
    assert!(
        row.starts_with(&id[..12]) && row.ends_with("shown") && row.contains("\"sleep 100\""),
        "{row}"
    );

    let shown = |format: &str| agent.proa(&["ps", "--format", format]).ok();
    assert_eq!(
        shown("{{.Names}} {{.State}} {{.Label \"a\"}}"),
        "shown running b\n"
    );
    assert_eq!(
        shown("table {{.Names}}\\t{{.State}}"),
        "NAMES     STATE\nshown     running\n"
    );
    let document: serde_json::Value =
        serde_json::from_str(&shown("json")).expect("a document in one line");
    assert_eq!(document["Names"], "shown");
    assert_eq!(agent.proa(&["ps", "-q", "--filter", "label=a=c"]).ok(), "");
    agent.proa(&["rm", "-f", "shown"]).ok();
    agent.assert_nothing_left();
}

#[test]
fn inspect_shows_what_the_engine_says() {
    let agent = Agent::start();
    let image = agent.load(&Image::busybox());
    let run = [
        "create",
        "--name",
        "seen",
        "-m",
        "64m",
        "-v",
        "kept:/data",
        "--network",
        "none",
        &image,
        "true",
    ];
    agent.proa(&run).ok();
    let shown = |format: &str| agent.proa(&["inspect", "-f", format, "seen"]).ok();
    assert_eq!(
        shown("{{.HostConfig.Memory}} {{json .Config.Cmd}}"),
        "67108864 [\"true\"]\n"
    );
    assert_eq!(
        shown("{{range .Mounts}}{{.Name}} at {{.Destination}}{{end}}"),
        "kept at /data\n"
    );
    let whole: serde_json::Value =
        serde_json::from_str(&agent.proa(&["inspect", "seen", &image]).ok()).expect("a list");
    assert_eq!(whole.as_array().map(Vec::len), Some(2));
    let ran = agent.proa(&["inspect", "seen", "nobody"]);
    assert!(
        ran.out.contains("\"Name\": \"/seen\""),
        "what was found is shown: {}",
        ran.out
    );
    assert!(ran.failed(1).contains("no such object: nobody"));
    agent.proa(&["rm", "seen"]).ok();
    assert_eq!(agent.proa(&["volume", "ls", "-q"]).ok(), "kept\n");
    agent.proa(&["volume", "rm", "kept"]).ok();
    agent.assert_nothing_left();
}

#[test]
fn images_are_named_listed_saved_and_loaded() {
    let agent = Agent::start();
    let image = agent.load(&Image::busybox());
    agent.proa(&["tag", &image, "localhost/other:2"]).ok();
    assert_eq!(
        agent
            .proa(&["images", "--format", "{{.Tag}}", "localhost/other"])
            .ok(),
        "2\n"
    );
    let file = agent.scratch("images").join("image.tar");
    let path = file.to_str().expect("a plain path");
    agent.proa(&["save", "-o", path, "localhost/other:2"]).ok();
    assert!(
        agent
            .proa(&["rmi", "localhost/other:2"])
            .ok()
            .contains("Untagged: localhost/other:2")
    );
    assert_eq!(
        agent.proa(&["load", "-i", path]).ok(),
        "Loaded image: localhost/other:2\n"
    );
    assert!(agent.proa(&["history", &image]).ok().starts_with("IMAGE"));
    agent.proa(&["rmi", "localhost/other:2", &image]).ok();
    assert_eq!(agent.proa(&["images", "-q"]).ok(), "");
    agent.assert_nothing_left();
}

#[test]
fn an_image_that_is_not_here_is_downloaded_first() {
    let agent = Agent::start();
    let registry = crate::support::Registry::start();
    let name = Image::busybox().push(&registry, "far", "1");
    let ran = agent.proa(&["run", "--rm", "--network", "none", &name, "echo", "near"]);
    assert!(
        ran.err
            .contains(&format!("Unable to find image '{name}' locally")),
        "{}",
        ran.err
    );
    assert_eq!(ran.ok(), "near\n", "progress does not mix with the output");
    let pulled = agent.proa(&["pull", &name]).ok();
    assert!(pulled.ends_with(&format!("{name}\n")), "{pulled}");
    assert_eq!(agent.proa(&["pull", "-q", &name]).ok(), format!("{name}\n"));
    agent.assert_nothing_left();
}

#[test]
fn completion_scripts_are_made_for_every_shell() {
    let agent = Agent::start();
    for shell in ["bash", "zsh", "fish", "powershell"] {
        assert!(
            agent
                .proa(&["completion", shell])
                .ok()
                .contains("cgroup-parent"),
            "{shell}"
        );
    }
    assert!(agent.proa(&[]).ok().contains("Run containers"));
    agent.assert_nothing_left();
}
