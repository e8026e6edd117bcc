//! Addresses that a container chose: its own, and nobody else's.

use serde_json::{Value, json};

use super::ground::Ground;

#[test]
fn an_address_is_what_was_asked_for_and_nobody_elses() {
    let ground = Ground::new();
    let ipam = json!({ "Config": [{ "Subnet": "10.77.0.0/24", "Gateway": "10.77.0.254" }] });
    ground.network("net", &json!({ "IPAM": ipam }));
    let at = |address: &str| {
        json!({
            "Image": ground.engine.image, "Cmd": ["sleep", "1000"], "HostConfig": { "NetworkMode": "net" },
            "NetworkingConfig": { "EndpointsConfig": { "net": {
                "IPAMConfig": { "IPv4Address": address }, "MacAddress": "02:00:00:00:00:07",
            } } },
        })
    };
    let mut api = ground.engine.agent.api();
    let first = ground.engine.agent.create(&at("10.77.0.9"));
    ground.engine.post(&format!("/containers/{first}/start"));
    let found = &ground.engine.agent.inspect(&first)["NetworkSettings"]["Networks"]["net"];
    assert_eq!(
        (
            &found["IPAddress"],
            &found["Gateway"],
            &found["MacAddress"],
            &found["IPPrefixLen"]
        ),
        (
            &json!("10.77.0.9"),
            &json!("10.77.0.254"),
            &json!("02:00:00:00:00:07"),
            &json!(24)
        )
    );
    for (address, status) in [("10.77.0.9", 403), ("10.78.0.9", 400)] {
        let other = ground.engine.agent.create(&at(address));
        let refused = api.post(&format!("/containers/{other}/start"), &Value::Null);
        assert_eq!(refused.status, status, "{}", refused.text());
    }
    ground.assert_nothing_left();
}

/// The words with which a start is refused.
#[track_caller]
fn refused(ground: &Ground, settings: &Value, status: u16) -> String {
    let body = json!({
        "Image": ground.engine.image, "Cmd": ["true"], "HostConfig": { "NetworkMode": "net" },
        "NetworkingConfig": { "EndpointsConfig": { "net": settings } },
    });
    let mut api = ground.engine.agent.api();
    let created = api.post("/containers/create", &body);
    if created.status != 201 {
        assert_eq!(created.status, status, "{}", created.text());
        return created.text();
    }
    let id = created.json()["Id"].as_str().unwrap_or_default().to_owned();
    let started = api.post(&format!("/containers/{id}/start"), &Value::Null);
    assert_eq!(started.status, status, "{}", started.text());
    started.text()
}

#[test]
fn addresses_of_both_families_are_chosen_and_conflicts_are_told() {
    let ground = Ground::new();
    let ipam = json!({ "Config": [{ "Subnet": "10.77.0.0/24" }, { "Subnet": "fd77::/64" }] });
    ground.network("net", &json!({ "IPAM": ipam, "EnableIPv6": true }));
    let chosen = json!({
        "IPAMConfig": { "IPv4Address": "10.77.0.9", "IPv6Address": "fd77::9" },
        "MacAddress": "02:00:00:00:00:09",
    });
    let id = ground.start(
        "sleep 1000",
        &json!({ "HostConfig": { "NetworkMode": "net" }, "NetworkingConfig": { "EndpointsConfig": { "net": chosen } } }),
    );
    let (_, shown) = ground.engine.exec(&id, &["ip", "addr", "show", "eth0"]);
    for word in ["10.77.0.9/24", "fd77::9/64", "02:00:00:00:00:09"] {
        assert!(shown.contains(word), "{word} in {shown}");
    }
    let address =
        |v4: &str, v6: &str| json!({ "IPAMConfig": { "IPv4Address": v4, "IPv6Address": v6 } });
    let taken = refused(&ground, &address("10.77.0.9", ""), 403);
    assert!(taken.contains("10.77.0.9 is already in use"), "{taken}");
    let taken = refused(&ground, &address("", "fd77::9"), 403);
    assert!(taken.contains("fd77::9 is already in use"), "{taken}");
    refused(&ground, &address("10.77.0.1", ""), 403);
    refused(&ground, &address("10.77.0.0", ""), 400);
    refused(&ground, &address("", "fd78::9"), 400);
    refused(&ground, &address("10.77.0", ""), 400);
    let told = refused(&ground, &json!({ "MacAddress": "02:00" }), 400);
    assert!(told.contains("invalid MAC address: 02:00"), "{told}");
    ground.assert_nothing_left();
}
