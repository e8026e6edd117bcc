//! Published ports: of one container, of both protocols, ranges, and those that the host chooses.

use std::net::UdpSocket;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::JoinHandle;
use std::time::Duration;

use proa_kernel::network::NetworkNamespace;
use serde_json::{Value, json};

use super::ground::{Ground, curl, published};
use crate::support::network::{HOST, HOST6};
use crate::support::poll;

#[test]
fn a_published_port_answers_on_the_host_and_from_outside_until_the_container_stops() {
    let ground = Ground::new();
    let id = ground.web(&published("80/tcp", "8080"), &json!({}));
    let host = || ground.network.host("curl");
    let outside = || ground.network.outside("curl");
    assert_eq!(curl(host(), "http://127.0.0.1:8080/name").ok(), "web\n");
    assert_eq!(curl(host(), "http://[::1]:8080/name").ok(), "web\n");
    assert_eq!(
        curl(host(), &format!("http://{HOST}:8080/name")).ok(),
        "web\n"
    );
    assert_eq!(
        curl(outside(), &format!("http://{HOST}:8080/name")).ok(),
        "web\n"
    );
    assert_eq!(
        curl(outside(), &format!("http://[{HOST6}]:8080/name")).ok(),
        "web\n"
    );
    let found = ground.engine.agent.inspect(&id);
    let shown = &found["NetworkSettings"]["Ports"]["80/tcp"];
    assert_eq!(
        shown[0],
        json!({ "HostIp": "0.0.0.0", "HostPort": "8080" }),
        "{shown}"
    );
    ground.engine.post(&format!("/containers/{id}/stop?t=0"));
    assert_ne!(curl(host(), "http://127.0.0.1:8080/name").code, 0);
    ground.assert_nothing_left();
}

#[test]
fn a_taken_port_is_refused_at_once_and_nothing_is_left_of_the_try() {
    let ground = Ground::new();
    let first = ground.web(&published("80/tcp", "8080"), &json!({}));
    let body = json!({
        "Image": ground.engine.image, "Cmd": ["sleep", "1000"],
        "HostConfig": { "PortBindings": published("80/tcp", "8080") },
    });
    let second = ground.engine.agent.create(&body);
    let mut api = ground.engine.agent.api();
    let refused = api.post(&format!("/containers/{second}/start"), &Value::Null);
    assert_eq!(refused.status, 500);
    let told = refused.text();
    assert!(
        told.contains("driver failed programming external connectivity")
            && told.contains("port is already allocated"),
        "{told}"
    );
    let bridge = api.get("/networks/bridge").ok().json();
    assert_eq!(
        bridge["Containers"].as_object().map(serde_json::Map::len),
        Some(1),
        "{bridge}"
    );
    ground.engine.post(&format!("/containers/{first}/stop?t=0"));
    ground.engine.post(&format!("/containers/{second}/start"));
    ground.assert_nothing_left();
}

/// Answers each datagram that comes to port 53 of a container with a word, until it is dropped.
struct Echo(Arc<AtomicBool>, Option<JoinHandle<()>>);

impl Echo {
    fn start(ground: &Ground, id: &str, word: &'static str) -> Self {
        let pid = ground.engine.agent.inspect(id)["State"]["Pid"].as_u64();
        let socket = socket(pid.expect("it runs") as u32, "0.0.0.0:53");
        let over = Arc::new(AtomicBool::new(false));
        let ended = Arc::clone(&over);
        let thread = std::thread::spawn(move || {
            while !ended.load(Ordering::Relaxed) {
                if let Ok((_, asker)) = socket.recv_from(&mut [0; 16]) {
                    // Whoever asked may have given up.
                    let _ = socket.send_to(word.as_bytes(), asker);
                }
            }
        });
        Self(over, Some(thread))
    }
}

impl Drop for Echo {
    fn drop(&mut self) {
        self.0.store(true, Ordering::Relaxed);
        self.1.take().map(JoinHandle::join);
    }
}

/// A socket in the network namespace of a process; it waits for half a second.
fn socket(pid: u32, address: &str) -> UdpSocket {
    let namespace = NetworkNamespace::of_process(pid).expect("the process is there");
    let socket = namespace
        .inside(|| UdpSocket::bind(address))
        .expect("the address is free");
    let patience = Some(Duration::from_millis(500));
    socket
        .set_read_timeout(patience)
        .expect("a socket can wait");
    socket
}

/// Asks until the word comes back.
#[track_caller]
fn asked(asker: &UdpSocket, address: &str, word: &str) {
    poll(
        Duration::from_secs(60),
        &format!("{word} from {address}"),
        || {
            let mut answer = [0; 16];
            asker.send_to(b"x", (address, 5353)).is_ok()
                && asker
                    .recv(&mut answer)
                    .is_ok_and(|length| &answer[..length] == word.as_bytes())
        },
    );
}

#[test]
fn a_udp_port_answers_from_everywhere_and_forgets_whom_it_led_to() {
    let ground = Ground::new();
    let start = || {
        let host = json!({ "PortBindings": published("53/udp", "5353") });
        ground.start("sleep 1000", &json!({ "HostConfig": host }))
    };
    let [host, outside] = ground.network.pids().map(|pid| socket(pid, "0.0.0.0:0"));
    let first = start();
    let echo = Echo::start(&ground, &first, "first");
    asked(&outside, HOST, "first");
    asked(&host, "127.0.0.1", "first");
    asked(&host, HOST, "first");
    drop(echo);
    ground.engine.post(&format!("/containers/{first}/stop?t=0"));
    let second = start();
    let echo = Echo::start(&ground, &second, "second");
    // The same socket asks: what the kernel remembers of it led to the first.
    asked(&outside, HOST, "second");
    drop((echo, host, outside));
    ground.assert_nothing_left();
}

/// The host's ports of a container, by its own.
fn ports(ground: &Ground, id: &str, own: &str) -> Vec<u16> {
    let found = ground.engine.agent.inspect(id);
    let list = found["NetworkSettings"]["Ports"][own].as_array().cloned();
    let ports = list
        .iter()
        .flatten()
        .filter_map(|one| one["HostPort"].as_str());
    ports.map(|port| port.parse().expect("a number")).collect()
}

#[test]
fn the_host_chooses_a_port_for_zero_and_one_of_a_range() {
    let ground = Ground::new();
    let bindings = json!({
        "80/tcp": [{ "HostPort": "0" }], "81/tcp": [{ "HostPort": "" }],
        "82/tcp": [{ "HostPort": "8200-8201", "HostIp": "127.0.0.1" }],
    });
    let web = ground.web(&bindings, &json!({}));
    let [zero, none, range] = ["80/tcp", "81/tcp", "82/tcp"].map(|own| ports(&ground, &web, own));
    assert!(zero[0] >= 32768 && none[0] >= 32768, "{zero:?} {none:?}");
    assert!(
        zero.iter().all(|port| *port == zero[0]),
        "one for IPv4 and IPv6: {zero:?}"
    );
    assert_eq!(range, [8200]);
    let url = format!("http://127.0.0.1:{}/name", zero[0]);
    assert_eq!(curl(ground.network.host("curl"), &url).ok(), "web\n");
    let in_range = |free: bool| {
        let host = json!({ "PortBindings": { "80/tcp": [{ "HostPort": "8200-8201", "HostIp": "127.0.0.1" }] } });
        let body =
            json!({ "Image": ground.engine.image, "Cmd": ["sleep", "1000"], "HostConfig": host });
        let id = ground.engine.agent.create(&body);
        let mut api = ground.engine.agent.api();
        let started = api.post(&format!("/containers/{id}/start"), &Value::Null);
        assert_eq!(started.status == 204, free, "{}", started.text());
        id
    };
    assert_eq!(ports(&ground, &in_range(true), "80/tcp"), [8201]);
    in_range(false);
    ground.assert_nothing_left();
}

#[test]
fn a_range_of_ports_leads_to_a_range_inside() {
    let ground = Ground::new();
    let image = &ground.engine.image;
    let words = [
        "run",
        "-d",
        "--name",
        "web",
        "-h",
        "web",
        "-p",
        "8000-8002:80-82",
    ];
    let serve = "mkdir /www; hostname > /www/name; for p in 80 81 82; do httpd -p $p -h /www; done; sleep 1000";
    let agent = &ground.engine.agent;
    agent
        .proa(&[&words[..], &[image, "sh", "-c", serve]].concat())
        .ok();
    for port in 8000..8003 {
        let url = format!("http://{HOST}:{port}/name");
        poll(Duration::from_secs(60), &url, || {
            curl(ground.network.outside("curl"), &url).out == "web\n"
        });
    }
    let told = agent.proa(&["port", "web"]).ok();
    assert!(told.contains("82/tcp -> 0.0.0.0:8002"), "{told}");
    let wrong = agent.proa(&["run", "-d", "-p", "8000-8002:80-81", image, "true"]);
    assert!(wrong.code == 125 || wrong.code == 1, "{wrong:?}");
    ground.assert_nothing_left();
}
