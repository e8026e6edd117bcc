//! docker-py's own API, every method of it, against both engines: `docker_py/` says what is called and what is seen.

use crate::difference::{Facts, assert_same};
use crate::pair::Pair;
use crate::support::{Image, Network, Registry, python, run, unique};

#[test]
fn docker_py_sees_in_us_what_it_sees_in_docker() {
    let networks = [Network::new(), Network::new()];
    let pair = Pair::start_in(&networks[0], &networks[1]);
    let registries = networks.each_ref().map(Registry::start_in);
    let image = Image::busybox()
        .set("Labels", serde_json::json!({ "a.label": "of the image" }))
        .archive("localhost/py:1");
    let archive = std::env::temp_dir().join(format!("py-{}.tar", unique()));
    std::fs::write(&archive, image).expect("the folder is there");
    let sockets = [pair.ours.socket(), pair.peer.socket()];
    let seen: Vec<_> = std::thread::scope(|scope| {
        let runs: Vec<_> = sockets
            .iter()
            .zip(&registries)
            .map(|(socket, registry)| {
                let archive = &archive;
                scope.spawn(move || {
                    let script =
                        concat!(env!("CARGO_MANIFEST_DIR"), "/../../tests/compat/docker_py");
                    run(python()
                        .arg(script)
                        .args([socket, archive])
                        .arg(registry.address()))
                    .ok()
                })
            })
            .collect();
        runs.into_iter()
            .map(|run| run.join().expect("it does not panic"))
            .collect()
    });
    std::fs::remove_file(&archive).expect("it is ours");
    let [ours, peer] = [0, 1].map(|of| told(&seen[of]));
    assert_same("docker-py", &ours, &peer);
}

/// The lines of the script as facts.
fn told(lines: &str) -> Facts {
    let facts = lines.lines().filter_map(|line| line.split_once('\t'));
    facts
        .map(|(key, value)| (key.to_owned(), value.to_owned()))
        .collect()
}
