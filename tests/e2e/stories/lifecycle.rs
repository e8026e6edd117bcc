//! Ends and what follows from them: restarts, restart policies, waits, and processes that outlive what watched them.

use std::time::Duration;

use serde_json::{Value, json};

use crate::kit::Engine;
use crate::support::poll;

#[test]
fn a_restart_does_not_remove_what_its_end_removes() {
    let engine = Engine::start();
    let id = engine.shell("sleep 1000", &json!({ "AutoRemove": true }));
    let pid = || engine.agent.inspect(&id)["State"]["Pid"].clone();
    let before = pid();
    engine.post(&format!("/containers/{id}/restart?t=0"));
    assert_ne!(pid(), before);
    engine.post(&format!("/containers/{id}/stop?t=0"));
    let path = format!("/containers/{id}/json");
    poll(Duration::from_secs(10), "it is removed", || {
        engine.agent.api().get(&path).status == 404
    });
    engine.agent.assert_nothing_left();
}

#[test]
fn a_wait_ends_with_a_run_that_is_followed_by_another() {
    let engine = Engine::start();
    let policy = json!({ "RestartPolicy": { "Name": "always" } });
    let id = engine.shell("sleep 1; exit 5", &policy);
    assert_eq!(engine.agent.wait(&id), 5);
    engine.agent.assert_nothing_left();
}

#[test]
fn the_engine_starts_what_is_always_to_run() {
    let mut engine = Engine::start();
    let shell = |name: &str| {
        let policy = json!({ "RestartPolicy": { "Name": name } });
        let id = engine.shell("sleep 1000", &policy);
        engine.post(&format!("/containers/{id}/stop?t=0"));
        id
    };
    let (always, unless_stopped) = (shell("always"), shell("unless-stopped"));
    engine.agent.stop();
    engine.agent.start_again();
    let status = |id: &str| engine.agent.inspect(id)["State"]["Status"].clone();
    poll(Duration::from_secs(20), "it runs again", || {
        status(&always) == "running"
    });
    assert_eq!(status(&unless_stopped), "exited");
    engine.agent.assert_nothing_left();
}

#[test]
fn an_update_and_a_rename_at_once_both_count() {
    let engine = Engine::start();
    let id = engine.shell("sleep 1000", &json!({}));
    for round in 1..=5 {
        let (name, shares) = (format!("renamed-{round}"), 500 + round);
        std::thread::scope(|scope| {
            scope.spawn(|| engine.post(&format!("/containers/{id}/rename?name={name}")));
            let body = json!({ "CpuShares": shares });
            let mut api = engine.agent.api();
            api.post(&format!("/containers/{id}/update"), &body).ok();
        });
        let seen = engine.agent.inspect(&id);
        assert_eq!(seen["Name"], Value::from(format!("/{name}")));
        assert_eq!(seen["HostConfig"]["CpuShares"], shares);
    }
    engine.agent.assert_nothing_left();
}

#[test]
fn an_image_can_be_mounted_with_all_its_layers() {
    let engine = Engine::start();
    let image = crate::support::Image::empty()
        .layer(|files| {
            files
                .folder("etc/", 0o755)
                .file("etc/lower", 0o644, b"1")
                .file("etc/gone", 0o644, b"x")
        })
        .layer(|files| {
            files
                .folder("etc/", 0o755)
                .file("etc/upper", 0o644, b"2")
                .whiteout("etc/gone")
        });
    let other = engine.agent.load(&image);
    for (users, subpath) in [("", ""), ("auto", ""), ("", "etc")] {
        let options = json!({ "Subpath": subpath });
        let mount = json!({ "Type": "image", "Source": other, "Target": "/other", "ImageOptions": options });
        let host = json!({ "Mounts": [mount], "UsernsMode": users });
        let script = "cd /other; [ -d etc ] && cd etc; cat lower upper; ls; stat -c %u lower; touch x || echo refused";
        let (code, told) = engine.run(script, &host);
        let words: Vec<&str> = told
            .split_whitespace()
            .filter(|word| !word.contains(':'))
            .collect();
        assert_eq!(
            (code, &words[..3]),
            (0, &["12lower", "upper", "0"][..]),
            "{told}"
        );
        assert!(told.contains("refused"), "{told}");
    }
    engine.agent.assert_nothing_left();
}

#[test]
fn a_start_that_hangs_is_given_up_and_taken_back() {
    let agent = crate::support::Agent::start_with(&["--start-limit", "3"]);
    let image = agent.load(&crate::support::Image::busybox());
    let engine = Engine { agent, image };
    let remote = engine.agent.scratch("remote");
    std::fs::create_dir_all(remote.join("inner")).unwrap();
    let mount = json!({ "Type": "bind", "Source": remote.join("inner"), "Target": "/data" });
    let host = json!({ "NetworkMode": "none", "Mounts": [mount] });
    let id = engine
        .agent
        .create(&json!({ "Image": engine.image, "Cmd": ["true"], "HostConfig": host }));
    // A file system whose server takes no requests.
    let server = std::fs::File::options()
        .read(true)
        .write(true)
        .open("/dev/fuse")
        .unwrap();
    let number = std::os::fd::AsRawFd::as_raw_fd(&server);
    let options = format!("fd={number},rootmode=40000,user_id=0,group_id=0");
    let options = std::ffi::CString::new(options).unwrap();
    let flags = rustix::mount::MountFlags::empty();
    rustix::mount::mount("hung", &remote, "fuse", flags, options.as_c_str()).unwrap();
    let path = format!("/containers/{id}/start");
    let told = engine.agent.api().post(&path, &Value::Null).failed(500);
    rustix::mount::unmount(&remote, rustix::mount::UnmountFlags::DETACH).unwrap();
    drop(server);
    assert!(told.contains("did not begin within 3 seconds"), "{told}");
    let state = &engine.agent.inspect(&id)["State"];
    assert_eq!(
        (&state["Status"], &state["Pid"]),
        (&json!("created"), &json!(0))
    );
    // The monitor that hung is gone, and so is what it began with.
    engine.post(&path);
    assert_eq!(engine.agent.wait(&id), 0);
    engine.agent.assert_nothing_left();
}
