//! Networks: containers that reach each other, the world, and are reached through published ports. Each test has a host
//! and an outside of its own.

mod addresses;
mod ground;
mod lacking;
mod lan;
mod published;

use std::time::Duration;

use serde_json::{Value, json};

use crate::support::network::{HOST, OUTSIDE};
use crate::support::{poll, run};
use ground::{Ground, WEB, curl, published};

#[test]
fn containers_reach_one_another_and_the_world_outside() {
    let ground = Ground::new();
    let web = ground.web(&json!({}), &json!({}));
    let address = ground.address(&web, "bridge");
    let other = ground.start("sleep 1000", &json!({}));
    let (code, page) = ground.engine.exec(
        &other,
        &[
            "timeout",
            "3",
            "wget",
            "-qO-",
            &format!("http://{address}/name"),
        ],
    );
    assert_eq!((code, page.as_str()), (0, "web\n"));
    let (code, said) = ground.engine.exec(&other, &["ping", "-c1", "-W5", OUTSIDE]);
    assert_eq!(code, 0, "{said}");
    // What is not published cannot be reached by routing either.
    let mut route = ground.network.outside("ip");
    run(route.args(["route", "add", "172.16.0.0/12", "via", HOST])).ok();
    assert_ne!(
        curl(
            ground.network.outside("curl"),
            &format!("http://{address}/name")
        )
        .code,
        0
    );
    ground.assert_nothing_left();
}

#[test]
fn containers_on_a_network_of_their_own_know_each_other_by_name() {
    let ground = Ground::new();
    ground.network("net", &json!({}));
    let on_net = |aliases: &[&str]| json!({ "net": { "Aliases": aliases } });
    let web = ground.start(
        WEB,
        &json!({ "Hostname": "web", "HostConfig": { "NetworkMode": "net" }, "NetworkingConfig": { "EndpointsConfig": on_net(&["www", "shop"]) } }),
    );
    let client = ground.start(
        "sleep 1000",
        &json!({ "HostConfig": { "NetworkMode": "net" } }),
    );
    let stranger = ground.start("sleep 1000", &json!({}));
    let ask = |from: &str, name: &str| {
        ground.engine.exec(
            from,
            &[
                "timeout",
                "3",
                "wget",
                "-qO-",
                &format!("http://{name}/name"),
            ],
        )
    };
    poll(Duration::from_secs(20), "the web server listens", || {
        ask(&client, "web").0 == 0
    });
    let name = ground.engine.agent.inspect(&web)["Name"].as_str().unwrap()[1..].to_owned();
    for known in ["web", "www", "shop", &web[..12], &name] {
        assert_eq!(ask(&client, known), (0, "web\n".to_owned()), "{known}");
    }
    assert_ne!(ask(&stranger, "web").0, 0);
    let address = ground.address(&web, "net");
    assert_ne!(ask(&stranger, &address).0, 0, "networks are apart");
    let (_, resolver) = ground.engine.exec(&client, &["cat", "/etc/resolv.conf"]);
    assert!(resolver.contains("nameserver 127.0.0.11"), "{resolver}");
    let (_, reverse) = ground.engine.exec(&client, &["nslookup", &address]);
    assert!(reverse.contains(&format!("{name}.net")), "{reverse}");
    ground.assert_nothing_left();
}

#[test]
fn an_internal_network_has_no_way_out() {
    let ground = Ground::new();
    ground.network("inner", &json!({ "Internal": true }));
    let one = ground.start(
        WEB,
        &json!({ "Hostname": "web", "HostConfig": { "NetworkMode": "inner" } }),
    );
    let two = ground.start(
        "sleep 1000",
        &json!({ "HostConfig": { "NetworkMode": "inner" } }),
    );
    poll(Duration::from_secs(20), "the neighbour answers", || {
        ground
            .engine
            .exec(&two, &["timeout", "3", "wget", "-qO-", "http://web/name"])
            .0
            == 0
    });
    assert_ne!(
        ground.engine.exec(&two, &["ping", "-c1", "-W2", OUTSIDE]).0,
        0
    );
    assert_eq!(
        ground.engine.agent.inspect(&one)["NetworkSettings"]["Networks"]["inner"]["Gateway"],
        ""
    );
    ground.assert_nothing_left();
}

#[test]
fn a_running_container_is_connected_and_disconnected() {
    let ground = Ground::new();
    ground.network("net", &json!({}));
    let web = ground.start(
        WEB,
        &json!({ "Hostname": "web", "HostConfig": { "NetworkMode": "net" } }),
    );
    let client = ground.start("sleep 1000", &json!({}));
    let mut api = ground.engine.agent.api();
    let ask = || {
        ground.engine.exec(
            &client,
            &["timeout", "3", "wget", "-qO-", "http://web/name"],
        )
    };
    assert_ne!(ask().0, 0);
    api.post("/networks/net/connect", &json!({ "Container": client }))
        .ok();
    poll(Duration::from_secs(20), "the name is known", || {
        ask().0 == 0
    });
    let address = ground.address(&client, "net");
    let hosts = || ground.engine.exec(&client, &["cat", "/etc/hosts"]).1;
    assert!(hosts().contains(&address), "{}", hosts());
    let inside = api.get("/networks/net").ok().json();
    assert_eq!(
        inside["Containers"].as_object().map(serde_json::Map::len),
        Some(2),
        "{inside}"
    );
    let again = api.post("/networks/net/connect", &json!({ "Container": client }));
    assert_eq!(again.status, 403, "{}", again.text());
    let refused = api.delete("/networks/net");
    assert_eq!(refused.status, 403, "{}", refused.text());
    assert!(
        refused.text().contains("has active endpoints"),
        "{}",
        refused.text()
    );
    api.post("/networks/net/disconnect", &json!({ "Container": client }))
        .ok();
    assert_ne!(ask().0, 0);
    assert!(!hosts().contains(&address), "{}", hosts());
    api.post("/networks/net/disconnect", &json!({ "Container": web }))
        .ok();
    api.delete("/networks/net").ok();
    ground.assert_nothing_left();
}

/// A slow download of a whole page of this size, under way.
fn download(ground: &Ground, size: usize) -> std::process::Child {
    let mut curl = ground.network.outside("curl");
    curl.args(["-sS", "--limit-rate", "60M", "-o", "/dev/null"])
        .args(["-w", "%{size_download}"])
        .arg(format!("http://{HOST}:8080/big"))
        .stdout(std::process::Stdio::piped());
    let child = curl.spawn().expect("curl starts");
    assert!(size > 60 << 20, "it takes more than a second");
    std::thread::sleep(Duration::from_secs(1));
    child
}

#[test]
fn a_download_survives_the_end_of_the_api_server_and_ports_stay_taken() {
    const SIZE: usize = 200 << 20;
    let ground = Ground::new();
    ground.network("net", &json!({}));
    let count = SIZE >> 20;
    let script =
        format!("mkdir /www; dd if=/dev/zero of=/www/big bs=1M count={count} 2>/dev/null; {WEB}");
    let on_net = json!({ "HostConfig": { "NetworkMode": "net" } });
    let more = json!({ "Hostname": "web", "HostConfig": { "NetworkMode": "net", "PortBindings": published("80/tcp", "8080") } });
    let web = ground.start(&script, &more);
    let page = || {
        let url = format!("http://{HOST}:8080/name");
        curl(ground.network.outside("curl"), &url)
    };
    poll(Duration::from_secs(60), "the web server listens", || {
        page().code == 0
    });
    let download = download(&ground, SIZE);
    crate::crash::kill_serve(&ground.engine.agent);
    let done = download.wait_with_output().unwrap();
    assert_eq!(String::from_utf8_lossy(&done.stdout), SIZE.to_string());
    assert_eq!(page().ok(), "web\n");
    let own = curl(ground.network.host("curl"), "http://[::1]:8080/name");
    assert_eq!(own.ok(), "web\n");
    let taken = ground.engine.agent.create(&json!({
        "Image": ground.engine.image, "Cmd": ["true"], "HostConfig": { "PortBindings": published("80/tcp", "8080") },
    }));
    let mut api = ground.engine.agent.api();
    let refused = api.post(&format!("/containers/{taken}/start"), &Value::Null);
    assert_eq!(refused.status, 500, "{}", refused.text());
    let client = ground.start("sleep 1000", &on_net);
    let ask = ["timeout", "3", "wget", "-qO-", "http://web/name"];
    assert_eq!(ground.engine.exec(&client, &ask), (0, "web\n".to_owned()));
    let asks = ground.engine.exec(&web, &["nslookup", &client[..12]]);
    assert_eq!(asks.0, 0, "the names of before are answered: {}", asks.1);
    ground.assert_nothing_left();
}

#[test]
fn statistics_count_what_went_through_each_interface() {
    let ground = Ground::new();
    let id = ground.start("ping -c3 -i0.1 172.17.0.1; sleep 1000", &json!({}));
    let sent = || ground.engine.stats(&id)["networks"]["eth0"]["tx_packets"].as_u64();
    poll(Duration::from_secs(20), "three packets are counted", || {
        sent() >= Some(3)
    });
    let none = ground.engine.shell("sleep 1000", &json!({}));
    assert!(ground.engine.stats(&none)["networks"].is_null());
    ground.assert_nothing_left();
}

#[test]
fn networks_come_back_with_the_engine() {
    let mut ground = Ground::new();
    ground.network("net", &json!({ "Labels": { "a": "b" } }));
    let host = json!({ "NetworkMode": "net", "RestartPolicy": { "Name": "always" }, "PortBindings": published("80/tcp", "8080") });
    ground.start(WEB, &json!({ "Hostname": "web", "HostConfig": host }));
    let before = ground.engine.agent.api().get("/networks/net").ok().json();
    ground.engine.agent.stop();
    ground.engine.agent.start_again();
    assert_eq!(
        ground.engine.agent.api().get("/networks/net").ok().json(),
        before
    );
    let page = || curl(ground.network.host("curl"), "http://127.0.0.1:8080/name").code == 0;
    poll(Duration::from_secs(20), "the port answers", page);
    ground.assert_nothing_left();
}
