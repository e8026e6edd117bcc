//! A kernel without a packet filter: containers without networks run, and the first network is refused with what is
//! missing. A filter on `socket(2)` plays such a kernel.

use serde_json::{Value, json};

use crate::support::{Agent, Image, Network, program, run, short_folder};

/// Compiles the program that takes netfilter's sockets away from what it starts.
fn without_netfilter(folder: &std::path::Path) -> String {
    let source = concat!(
        env!("CARGO_MANIFEST_DIR"),
        "/../../tests/support/without_netfilter.c"
    );
    let made = folder.join("without-netfilter");
    run(std::process::Command::new("cc")
        .args(["-O1", "-o"])
        .arg(&made)
        .arg(source))
    .ok();
    made.to_string_lossy().into_owned()
}

#[test]
fn the_engine_starts_and_says_what_networks_lack() {
    let network = Network::new();
    let folder = short_folder(&std::env::temp_dir(), "pl-");
    let mut prefix = network.prefix();
    prefix.push(without_netfilter(&folder));
    let agent = Agent::start_behind(prefix.clone(), &[]);
    let image = agent.load(&Image::busybox());
    let none = agent.start_container(&image, &["true"]);
    assert_eq!(agent.wait(&none), 0);

    let mut api = agent.api();
    let refused = api.post("/networks/create", &json!({ "Name": "net" }));
    assert_eq!(refused.status, 500, "{}", refused.text());
    assert!(
        refused.text().contains("modprobe nf_tables"),
        "{}",
        refused.text()
    );
    let id = agent.create(&json!({ "Image": image, "Cmd": ["true"] }));
    let refused = api.post(&format!("/containers/{id}/start"), &Value::Null);
    assert!(
        refused.text().contains("CONFIG_NF_TABLES"),
        "{}",
        refused.text()
    );

    let mut doctor = std::process::Command::new(&prefix[0]);
    doctor.args(&prefix[1..]).arg(program("proa-agent"));
    let told = run(doctor.args(["doctor", "--root"]).arg(agent.root())).out;
    assert!(told.contains("modprobe nf_tables"), "{told}");
    agent.assert_nothing_left();
    std::fs::remove_dir_all(&folder).expect("the folder is ours");
}
