//! Containers with addresses of their own on the host's network: macvlan, ipvlan, and VLANs beneath them. What a kernel does
//! not have is refused when the network is made, with what to do about it.

use serde_json::{Value, json};

use super::ground::Ground;
use crate::support::run;

/// The host's uplink, with the addresses that the world outside has.
fn on_uplink(driver: &str, parent: &str, subnet: &str) -> Value {
    json!({
        "Name": format!("{driver}-{}", parent.replace('.', "-")), "Driver": driver,
        "Options": { "parent": parent }, "IPAM": { "Config": [{ "Subnet": subnet }] },
    })
}

/// Whether this kernel makes links of a kind: asked of `ip`, as an administrator would.
fn kernel_has(ground: &Ground, kind: &str) -> bool {
    let script = match kind {
        "vlan" => "ip link add link uplink name probe0 type vlan id 7",
        _ => "ip link add link uplink name probe0 type ipvlan mode l2",
    };
    let made = run(ground.network.host("sh").args(["-c", script])).code == 0;
    if made {
        run(ground.network.host("ip").args(["link", "del", "probe0"])).ok();
    }
    made
}

/// Two containers in a network that reach one another.
#[track_caller]
fn reach_one_another(ground: &Ground, network: &str) {
    let mode = json!({ "HostConfig": { "NetworkMode": network } });
    let first = ground.start("sleep 1000", &mode);
    let second = ground.start("sleep 1000", &mode);
    let address = ground.address(&first, network);
    let (code, said) = ground
        .engine
        .exec(&second, &["ping", "-c1", "-W20", &address]);
    assert_eq!(code, 0, "{said}");
}

#[test]
fn macvlan_containers_are_neighbours_of_the_world_outside() {
    let ground = Ground::new();
    let mut api = ground.engine.agent.api();
    let body = on_uplink("macvlan", "uplink", "10.99.0.0/24");
    api.post("/networks/create", &body).ok();
    let settings = json!({ "macvlan-uplink": { "IPAMConfig": { "IPv4Address": "10.99.0.9" } } });
    let more = json!({
        "HostConfig": { "NetworkMode": "macvlan-uplink", "PortBindings": { "80/tcp": [{ "HostPort": "8080" }] } },
        "NetworkingConfig": { "EndpointsConfig": settings },
    });
    let id = ground.start("sleep 1000", &more);
    let (code, said) = ground
        .engine
        .exec(&id, &["ping", "-c1", "-W20", "10.99.0.1"]);
    assert_eq!(code, 0, "{said}");
    let seen = run(ground
        .network
        .outside("busybox")
        .args(["ping", "-c1", "-W20", "10.99.0.9"]));
    assert_eq!(seen.code, 0, "{seen:?}");
    // A network without a parent is one of its own.
    let own = json!({ "Name": "own", "Driver": "macvlan", "Internal": true });
    api.post("/networks/create", &own).ok();
    reach_one_another(&ground, "own");
    ground.assert_nothing_left();
}

#[test]
fn ipvlan_works_or_is_refused_where_the_kernel_lacks_it() {
    let ground = Ground::new();
    let mut api = ground.engine.agent.api();
    let body = on_uplink("ipvlan", "uplink", "10.99.0.0/25");
    let made = api.post("/networks/create", &body);
    if kernel_has(&ground, "ipvlan") {
        made.ok();
        reach_one_another(&ground, "ipvlan-uplink");
    } else {
        assert_eq!(made.status, 400, "{}", made.text());
        assert!(made.text().contains("modprobe ipvlan"), "{}", made.text());
    }
    ground.assert_nothing_left();
}

#[test]
fn a_vlan_is_made_for_its_networks_and_goes_with_the_last() {
    let ground = Ground::new();
    let mut api = ground.engine.agent.api();
    let made = api.post(
        "/networks/create",
        &on_uplink("macvlan", "uplink.10", "10.100.0.0/24"),
    );
    if kernel_has(&ground, "vlan") {
        made.ok();
        let shown = run(ground
            .network
            .host("ip")
            .args(["-d", "link", "show", "uplink.10"]))
        .ok();
        assert!(shown.contains("vlan protocol 802.1Q id 10"), "{shown}");
        reach_one_another(&ground, "macvlan-uplink-10");
    } else {
        assert_eq!(made.status, 400, "{}", made.text());
        assert!(made.text().contains("modprobe 8021q"), "{}", made.text());
    }
    for parent in ["nowhere", "uplink.x", "uplink.4095", "nowhere.7"] {
        let refused = api.post(
            "/networks/create",
            &on_uplink("macvlan", parent, "10.101.0.0/24"),
        );
        assert_eq!(refused.status, 400, "{parent}: {}", refused.text());
    }
    ground.assert_nothing_left();
}
