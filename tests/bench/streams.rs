//! The engines that carry streams: each with its servers up, behind one published port each and beside a client.

use std::cell::RefCell;
use std::time::Duration;

use serde_json::{Value, json};

use crate::containers::{Podman, peer_path};
use crate::support::{Client, Network, inside, peer, peers_root, run, unique};
use crate::table::Series;

/// What a stream carries before it is timed.
pub const BYTES: &str = "3G";

/// How an engine is spoken to.
pub enum Engine<'a> {
    Api(RefCell<Client>),
    Podman(&'a Podman),
}

/// One engine with its servers up, and a client beside them that waits for commands.
pub struct Contender<'a> {
    name: &'static str,
    engine: Engine<'a>,
    /// iperf3 is published here, nginx on the next.
    pub port: u16,
    client: String,
    /// iperf3's address beside other containers.
    address: String,
}

impl<'a> Contender<'a> {
    pub fn new(name: &'static str, engine: Engine<'a>, port: u16) -> Self {
        let image = format!("localhost/nginx-{name}:1");
        engine.load_nginx(&image);
        // Where the engine finds the machine's own folder.
        let usr = match (&engine, name) {
            (Engine::Podman(_), _) => peer_path("/usr".as_ref()),
            (Engine::Api(_), "proa") => "/usr".into(),
            (Engine::Api(_), _) => inside("/usr".as_ref()),
        };
        let bind = format!("{}:/machine:ro", usr.display());
        let start = |command: &[String], published| engine.start(&image, &bind, command, published);
        let server = start(&iperf3(&["-s"]), Some((5201, port)));
        let nginx = ["nginx", "-g", "daemon off;"].map(str::to_owned);
        start(&nginx, Some((80, port + 1)));
        let client = start(&["sleep".into(), "100000".into()], None);
        let address = engine.address(&server);
        std::thread::sleep(Duration::from_secs(2));
        Self {
            name,
            engine,
            port,
            client,
            address,
        }
    }

    pub fn series(&self) -> Series {
        Series {
            name: self.name.to_owned(),
            values: Vec::new(),
        }
    }

    /// Seconds that a client on the host measured.
    pub fn to_published(&self, network: &Network, streams: &str) -> f64 {
        let port = self.port.to_string();
        let mut client = network.host("iperf3");
        let words = [
            "-J",
            "-c",
            "127.0.0.1",
            "-p",
            &port,
            "-n",
            BYTES,
            "-P",
            streams,
        ];
        seconds(&run(client.args(words)).ok())
    }

    /// Seconds that a client in another container measured.
    pub fn between(&self, streams: &str) -> f64 {
        let words = ["-J", "-c", &self.address, "-n", BYTES, "-P", streams];
        seconds(&self.engine.exec(&self.client, &iperf3(&words)))
    }
}

impl Engine<'_> {
    /// nginx of Debian, which umoci put on a Debian base.
    fn load_nginx(&self, name: &str) {
        let file = std::path::PathBuf::from(format!("/var/tmp/proa-nginx-{}.tar", unique()));
        let policy = ["--insecure-policy", "copy", "--quiet"];
        let from = format!("oci:{}/images:nginx", peers_root().display());
        let to = format!("docker-archive:{}:{name}", file.display());
        run(peer("skopeo").args(policy).arg(from).arg(to)).ok();
        match self {
            Self::Podman(podman) => {
                podman.run(&["load", "-q", "-i", &peer_path(&file).display().to_string()]);
            }
            Self::Api(api) => {
                let archive = std::fs::read(&file).expect("skopeo wrote it");
                let kind = [("Content-Type", "application/x-tar")];
                let mut api = api.borrow_mut();
                api.send("POST", "/images/load?quiet=1", &kind, &archive)
                    .ok();
            }
        }
        std::fs::remove_file(&file).expect("it is ours");
    }

    /// Starts a container on the default network; the answer is its id.
    fn start(
        &self,
        image: &str,
        bind: &str,
        command: &[String],
        published: Option<(u16, u16)>,
    ) -> String {
        match self {
            Self::Podman(podman) => {
                let port = published.map(|(inside, outside)| format!("{outside}:{inside}"));
                let mut words = vec!["run", "--detach", "--volume", bind, "--entrypoint", "[]"];
                words.extend(port.iter().flat_map(|port| ["--publish", port.as_str()]));
                words.push(image);
                words.extend(command.iter().map(String::as_str));
                podman.run(&words).trim().to_owned()
            }
            Self::Api(api) => start_by_api(&mut api.borrow_mut(), image, bind, command, published),
        }
    }

    /// What a command in a running container writes.
    fn exec(&self, id: &str, command: &[String]) -> String {
        match self {
            Self::Podman(podman) => {
                let mut words = vec!["exec", id];
                words.extend(command.iter().map(String::as_str));
                podman.run(&words)
            }
            Self::Api(api) => {
                let mut api = api.borrow_mut();
                // With a terminal its output has no frames.
                let body = json!({ "Cmd": command, "AttachStdout": true, "Tty": true });
                let created = api
                    .post(&format!("/containers/{id}/exec"), &body)
                    .ok()
                    .json();
                let exec = created["Id"].as_str().expect("a created exec has an id");
                let body = json!({ "Detach": false, "Tty": true });
                api.post(&format!("/exec/{exec}/start"), &body).ok().text()
            }
        }
    }

    /// A container's address on the default network.
    fn address(&self, id: &str) -> String {
        match self {
            Self::Podman(podman) => {
                let format = "{{range .NetworkSettings.Networks}}{{.IPAddress}}{{end}}";
                podman
                    .run(&["inspect", "--format", format, id])
                    .trim()
                    .to_owned()
            }
            Self::Api(api) => {
                let path = format!("/containers/{id}/json");
                let found = api.borrow_mut().get(&path).ok().json();
                let address = found["NetworkSettings"]["Networks"]["bridge"]["IPAddress"].as_str();
                address.expect("a server has an address").to_owned()
            }
        }
    }
}

fn start_by_api(
    api: &mut Client,
    image: &str,
    bind: &str,
    command: &[String],
    published: Option<(u16, u16)>,
) -> String {
    let mut body = json!({
        "Image": image, "Cmd": command, "Entrypoint": [], "HostConfig": { "Binds": [bind] },
    });
    if let Some((inside, outside)) = published {
        let port = format!("{inside}/tcp");
        body["ExposedPorts"] = json!({ &port: {} });
        body["HostConfig"]["PortBindings"] =
            json!({ &port: [{ "HostPort": outside.to_string() }] });
    }
    let id = create(api, &body);
    api.post(&format!("/containers/{id}/start"), &Value::Null)
        .ok();
    id
}

pub fn create(api: &mut Client, body: &Value) -> String {
    let created = api.post("/containers/create", body).ok().json();
    created["Id"]
        .as_str()
        .expect("a created container has an id")
        .to_owned()
}

/// iperf3 of the machine, with the machine's libraries.
fn iperf3(words: &[&str]) -> Vec<String> {
    let machine = std::env::consts::ARCH;
    let libraries = format!("/machine/lib/{machine}-linux-gnu");
    let loader = format!("{libraries}/ld-linux-{}.so.2", machine.replace('_', "-"));
    let start = [&loader, "--library-path", &libraries, "/machine/bin/iperf3"];
    start
        .iter()
        .chain(words)
        .map(|word| (*word).to_owned())
        .collect()
}

fn seconds(told: &str) -> f64 {
    let begin = told.find('{').expect("iperf3 writes a document");
    let mut documents = serde_json::Deserializer::from_str(&told[begin..]).into_iter::<Value>();
    let told = documents.next().expect("one").expect("it is JSON");
    told["end"]["sum_received"]["seconds"]
        .as_f64()
        .unwrap_or_else(|| panic!("seconds in {told:#}"))
}
