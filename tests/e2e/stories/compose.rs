//! An application of three services, brought up by Docker Compose: nginx in front of a Python program that counts in
//! Redis, all of Debian's packages, found by their names.

use std::process::Command;
use std::time::Duration;

use crate::support::network::HOST;
use crate::support::{Agent, Network, Ran, peer, peers_root, poll, run};

const COMPOSE: &str = r#"
services:
  web:
    image: localhost/services:1
    command: [nginx, -g, "daemon off;"]
    ports: ["8080:80"]
    volumes: ["./nginx.conf:/etc/nginx/nginx.conf:ro"]
    networks: [front]
    depends_on: [app]
  app:
    image: localhost/services:1
    command: [python3, /app.py]
    volumes: ["./app.py:/app.py:ro"]
    networks: {front: {aliases: [backend]}, back: {}}
    depends_on: [db]
  db:
    image: localhost/services:1
    command: [redis-server, --bind, 0.0.0.0, --protected-mode, "no"]
    networks: [back]
networks:
  front: {}
  back: {internal: true}
"#;

const NGINX: &str = "events {} http { resolver 127.0.0.11 valid=1s; server { listen 80; \
    location / { set $to backend; proxy_pass http://$to:8000; } } }";

/// Speaks Redis's protocol itself: one counter, told to whoever asks.
const APP: &str = r#"
import http.server, socket

class Counter(http.server.BaseHTTPRequestHandler):
    def do_GET(self):
        with socket.create_connection(("db", 6379), 5) as db:
            db.sendall(b"*2\r\n$4\r\nINCR\r\n$4\r\nhits\r\n")
            hits = db.recv(64).decode().strip().lstrip(":")
        self.send_response(200)
        self.end_headers()
        self.wfile.write(f"hit {hits}\n".encode())

http.server.ThreadingHTTPServer(("", 8000), Counter).serve_forever()
"#;

fn compose(agent: &Agent, words: &[&str]) -> Ran {
    let socket = format!("unix://{}", agent.socket().display());
    let mut command: Command = peer("docker-compose");
    command
        .args(["--project-name", "shop", "--progress", "plain"])
        .args(words)
        .current_dir(agent.scratch("compose"))
        .env("DOCKER_HOST", socket)
        .env("DOCKER_CONFIG", agent.scratch("docker"));
    run(&mut command)
}

fn load(agent: &Agent) {
    let archive = agent.scratch("archive").join("services.tar");
    let from = format!("oci:{}/images:services", peers_root().display());
    let to = format!("docker-archive:{}:localhost/services:1", archive.display());
    run(peer("skopeo").args(["--insecure-policy", "copy", "--quiet", &from, &to])).ok();
    let path = archive.display().to_string();
    agent.docker(&["load", "-q", "-i", &path]).ok();
}

#[test]
fn compose_brings_up_three_services_that_find_each_other() {
    let network = Network::new();
    let agent = Agent::start_in(&network);
    load(&agent);
    let folder = agent.scratch("compose");
    for (name, text) in [
        ("compose.yaml", COMPOSE),
        ("nginx.conf", NGINX),
        ("app.py", APP),
    ] {
        std::fs::write(folder.join(name), text).unwrap();
    }
    compose(&agent, &["up", "--detach"]).ok();
    let url = format!("http://{HOST}:8080/");
    let ask = || {
        run(network
            .outside("curl")
            .args(["-fsS", "--max-time", "5", &url]))
    };
    poll(Duration::from_secs(60), "the first hit is counted", || {
        ask().out.starts_with("hit")
    });
    let before: u32 = ask()
        .ok()
        .trim_start_matches("hit ")
        .trim()
        .parse()
        .unwrap();
    let after: u32 = ask()
        .ok()
        .trim_start_matches("hit ")
        .trim()
        .parse()
        .unwrap();
    assert_eq!(after, before + 1);
    let listed = compose(&agent, &["ps", "--format", "{{.Service}} {{.State}}"]).ok();
    let mut services: Vec<_> = listed.lines().collect();
    services.sort_unstable();
    assert_eq!(services, ["app running", "db running", "web running"]);
    // The database's network has no way out, and the web server is not in it.
    let reached = compose(&agent, &["exec", "-T", "web", "getent", "hosts", "db"]);
    assert_ne!(reached.code, 0, "{}", reached.out);
    compose(&agent, &["up", "--detach", "--scale", "app=2"]).ok();
    let both = compose(&agent, &["exec", "-T", "web", "getent", "ahostsv4", "app"]).ok();
    let addresses: std::collections::BTreeSet<_> = both
        .lines()
        .filter_map(|line| line.split(' ').next())
        .collect();
    assert_eq!(addresses.len(), 2, "{both}");
    compose(&agent, &["down", "--timeout", "1"]).ok();
    assert_eq!(
        agent
            .docker(&["network", "ls", "--format", "{{.Name}}"])
            .ok(),
        "bridge\nhost\nnone\n"
    );
    agent.assert_nothing_left();
}
