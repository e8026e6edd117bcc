//! Networks beside Docker's, on one host of the benchmark's own: a start with one, streams and requests through
//! published ports and between containers.
//!
//! The servers are iperf3 and nginx. Every container has the machine's own `/usr` to run iperf3 from, so that both
//! engines run the same program; the client outside of a container is the machine's too.

use std::time::{Duration, Instant};

use serde_json::{Value, json};

use crate::containers::load;
use crate::support::{
    Agent, Client, Dockerd, Image, Network, inside, peer, peers_root, run, unique,
};
use crate::table::{Series, Table};
use crate::{ROUNDS, SLOW_ROUNDS};

/// What a stream carries before it is timed.
const BYTES: &str = "3G";
const MANY: &str = "64";

pub fn network(table: &mut Table) {
    let network = Network::new();
    let agent = Agent::start_in(&network);
    let dockerd = Dockerd::start_in(&network);
    starts(table, &agent, &dockerd);
    let contenders = [
        Contender::new("proa", agent.api(), "/usr", 7000),
        Contender::new(
            "docker",
            dockerd.api(),
            &inside("/usr".as_ref()).display().to_string(),
            8000,
        ),
    ];
    for (what, streams) in [("1 stream", "1"), ("64 streams", MANY)] {
        let published = |contender: &Contender| contender.to_published(&network, streams);
        compare(
            table,
            &format!("{BYTES} to a published port, {what}"),
            &contenders,
            published,
        );
        let between = |contender: &Contender| contender.between(streams);
        compare(
            table,
            &format!("{BYTES} between containers, {what}"),
            &contenders,
            between,
        );
    }
    requests(table, &contenders, &network);
}

/// A line of medians; the kernel's path is the same for all, so ours may take at most a twentieth longer.
fn compare(
    table: &mut Table,
    what: &str,
    contenders: &[Contender],
    measure: impl Fn(&Contender) -> f64,
) {
    let mut series: Vec<_> = contenders.iter().map(Contender::series).collect();
    for _ in 0..SLOW_ROUNDS {
        for (contender, series) in contenders.iter().zip(&mut series) {
            series.values.push(measure(contender) * 1000.0);
        }
    }
    table.add(what, "ms", series);
    table.promise("best", 1.0 / 0.95);
}

/// A start with the default network beside one without, and the whole command beside Docker's.
fn starts(table: &mut Table, agent: &Agent, dockerd: &Dockerd) {
    let image = agent.load(&Image::busybox());
    load(&mut dockerd.api(), &Image::busybox(), "localhost/bench:1");
    let (mut with, mut without) = (agent.api(), agent.api());
    table.measure(
        "create + start + wait + remove, default network",
        ROUNDS,
        vec![
            ("proa", Box::new(|| cycle(&mut with, &image, "bridge"))),
            (
                "proa without",
                Box::new(|| cycle(&mut without, &image, "none")),
            ),
        ],
    );
    table.promise("proa without", 1.3);
    let proa = || {
        time(
            agent
                .proa_command(&["run", "--rm", &image, "true"])
                .env_remove("RUST_LOG"),
        )
    };
    let socket = format!("unix://{}", dockerd.socket().display());
    let docker =
        || time(peer("docker").args(["-H", &socket, "run", "--rm", "localhost/bench:1", "true"]));
    table.measure(
        "run --rm IMAGE true, default network",
        SLOW_ROUNDS * 2,
        vec![("proa", Box::new(proa)), ("docker", Box::new(docker))],
    );
    table.promise("docker", 1.0 / 20.0);
}

fn time(command: &mut std::process::Command) -> Duration {
    crate::stopwatch::time(command)
}

fn cycle(api: &mut Client, image: &str, mode: &str) -> Duration {
    let started = Instant::now();
    let id = create(
        api,
        &json!({ "Image": image, "Cmd": ["true"], "HostConfig": { "NetworkMode": mode } }),
    );
    api.post(&format!("/containers/{id}/start"), &Value::Null)
        .ok();
    api.post(&format!("/containers/{id}/wait"), &Value::Null)
        .ok();
    api.delete(&format!("/containers/{id}")).ok();
    started.elapsed()
}

fn create(api: &mut Client, body: &Value) -> String {
    let created = api.post("/containers/create", body).ok().json();
    created["Id"]
        .as_str()
        .expect("a created container has an id")
        .to_owned()
}

/// Requests to a published nginx: what a thousand take, and the slowest of a hundred.
fn requests(table: &mut Table, contenders: &[Contender], network: &Network) {
    let mut thousand: Vec<_> = contenders.iter().map(Contender::series).collect();
    let mut slowest: Vec<_> = contenders.iter().map(Contender::series).collect();
    for _ in 0..SLOW_ROUNDS {
        for (at, contender) in contenders.iter().enumerate() {
            let url = format!("http://127.0.0.1:{}/", contender.port + 1);
            let told = run(network
                .host("wrk")
                .args(["-t2", "-c64", "-d3s", "--latency", &url]))
            .ok();
            thousand[at]
                .values
                .push(1e6 / number_after(&told, "Requests/sec:"));
            slowest[at].values.push(milliseconds_after(&told, "99%"));
        }
    }
    table.add(
        "1,000 requests to a published nginx, 64 at once",
        "ms",
        thousand,
    );
    table.promise("best", 1.0 / 0.95);
    table.add("the same, 99th percentile of a request", "ms", slowest);
    table.promise("best", 1.0);
}

fn word_after<'a>(text: &'a str, label: &str) -> &'a str {
    let line = text
        .lines()
        .find_map(|line| line.trim().strip_prefix(label));
    line.unwrap_or_else(|| panic!("{label} in\n{text}")).trim()
}

fn number_after(text: &str, label: &str) -> f64 {
    word_after(text, label).parse().expect("a number")
}

/// `1.23ms`, `456.00us`, `1.02s`
fn milliseconds_after(text: &str, label: &str) -> f64 {
    let word = word_after(text, label);
    let split = word
        .find(|c: char| c.is_ascii_alphabetic())
        .expect("a unit");
    let (number, unit) = word.split_at(split);
    let scale = match unit {
        "us" => 0.001,
        "ms" => 1.0,
        "s" => 1000.0,
        other => panic!("a unit of time: {other}"),
    };
    number.parse::<f64>().expect("a number") * scale
}

/// One engine with its servers up.
struct Contender {
    name: &'static str,
    api: std::cell::RefCell<Client>,
    /// Where it finds the machine's own `/usr`.
    usr: String,
    /// iperf3 is published here, nginx on the next.
    port: u16,
    image: String,
    /// iperf3's address beside other containers.
    address: String,
}

impl Contender {
    fn new(name: &'static str, mut api: Client, usr: &str, port: u16) -> Self {
        let image = format!("localhost/nginx-{name}:1");
        load_nginx(&mut api, &image);
        let mut contender = Self {
            name,
            api: api.into(),
            usr: usr.to_owned(),
            port,
            image,
            address: String::new(),
        };
        let server = contender.start(&iperf3(&["-s"]), Some((5201, port)));
        contender.start(
            &["nginx".into(), "-g".into(), "daemon off;".into()],
            Some((80, port + 1)),
        );
        let found = contender
            .api
            .borrow_mut()
            .get(&format!("/containers/{server}/json"))
            .ok()
            .json();
        contender.address = found["NetworkSettings"]["Networks"]["bridge"]["IPAddress"]
            .as_str()
            .expect("a server has an address")
            .to_owned();
        std::thread::sleep(Duration::from_secs(2));
        contender
    }

    fn series(&self) -> Series {
        Series {
            name: self.name.to_owned(),
            values: Vec::new(),
        }
    }

    fn start(&self, command: &[String], published: Option<(u16, u16)>) -> String {
        let mut body = json!({
            "Image": self.image,
            "Cmd": command,
            "Entrypoint": [],
            // Output without frames.
            "Tty": true,
            "HostConfig": { "Binds": [format!("{}:/machine:ro", self.usr)] },
        });
        if let Some((inside, outside)) = published {
            let port = format!("{inside}/tcp");
            body["ExposedPorts"] = json!({ &port: {} });
            body["HostConfig"]["PortBindings"] =
                json!({ &port: [{ "HostPort": outside.to_string() }] });
        }
        let mut api = self.api.borrow_mut();
        let id = create(&mut api, &body);
        api.post(&format!("/containers/{id}/start"), &Value::Null)
            .ok();
        id
    }

    /// Seconds that a client on the host measured.
    fn to_published(&self, network: &Network, streams: &str) -> f64 {
        let port = self.port.to_string();
        let mut client = network.host("iperf3");
        seconds(
            &run(client.args([
                "-J",
                "-c",
                "127.0.0.1",
                "-p",
                &port,
                "-n",
                BYTES,
                "-P",
                streams,
            ]))
            .ok(),
        )
    }

    /// Seconds that a client in another container measured.
    fn between(&self, streams: &str) -> f64 {
        let words = ["-J", "-c", &self.address, "-n", BYTES, "-P", streams];
        let id = self.start(&iperf3(&words), None);
        let mut api = self.api.borrow_mut();
        api.post(&format!("/containers/{id}/wait"), &Value::Null)
            .ok();
        let told = api
            .get(&format!("/containers/{id}/logs?stdout=1"))
            .ok()
            .text();
        api.delete(&format!("/containers/{id}?force=1")).ok();
        seconds(&told)
    }
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

/// nginx of Debian, which umoci put on a Debian base.
fn load_nginx(api: &mut Client, name: &str) {
    let file = std::path::PathBuf::from(format!("/var/tmp/proa-nginx-{}.tar", unique()));
    let policy = ["--insecure-policy", "copy", "--quiet"];
    let from = format!("oci:{}/images:nginx", peers_root().display());
    let to = format!("docker-archive:{}:{name}", file.display());
    run(peer("skopeo").args(policy).arg(from).arg(to)).ok();
    let archive = std::fs::read(&file).expect("skopeo wrote it");
    std::fs::remove_file(&file).expect("it is ours");
    api.send(
        "POST",
        "/images/load?quiet=1",
        &[("Content-Type", "application/x-tar")],
        &archive,
    )
    .ok();
}
