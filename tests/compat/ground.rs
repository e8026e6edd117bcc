//! The ground that the other tests stand on: the tools are there, and images made on the spot are images.

use crate::support::{Image, Registry, peer, run};

#[test]
fn an_image_made_on_the_spot_is_one_to_other_people_s_tools() {
    let registry = Registry::start();
    let name = Image::busybox().push(&registry, "ground", "1");
    let shown = run(peer("skopeo")
        .args(["inspect", "--tls-verify=false"])
        .arg(format!("docker://{name}")))
    .ok();
    assert!(shown.contains("\"Layers\""), "{shown}");
    let text: serde_json::Value = serde_json::from_str(&shown).unwrap();
    assert_eq!(text["Os"], "linux");
}
