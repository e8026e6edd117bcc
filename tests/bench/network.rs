//! Networks beside Docker's, on one host of the benchmark's own: a start with one, streams and requests through
//! published ports and between containers.
//!
//! The servers are iperf3 and nginx. Every container has the machine's own `/usr` to run iperf3 from, so that both
//! engines run the same program; the client outside of a container is the machine's too.

use std::time::{Duration, Instant};

use serde_json::{Value, json};

use crate::containers::{Podman, load};
use crate::streams::{BYTES, Contender, Engine, create};
use crate::support::{Agent, Client, Dockerd, Image, Network, peer, run};
use crate::table::{Series, Table};
use crate::{ROUNDS, SLOW_ROUNDS};

const MANY: &str = "64";

pub fn network(table: &mut Table) {
    let network = Network::new();
    let agent = Agent::start_in(&network);
    let dockerd = Dockerd::start_in(&network);
    starts(table, &agent, &dockerd);
    let podman = Podman::new_in(&network);
    let contenders = [
        Contender::new("proa", Engine::Api(agent.api().into()), 7000),
        Contender::new("docker", Engine::Api(dockerd.api().into()), 8000),
        Contender::new("podman", Engine::Podman(&podman), 9000),
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

/// Two lines of medians: time, and what all processors of the machine were busy meanwhile. The kernel's path is the same
/// for all, so ours may take at most a twentieth longer.
fn compare(
    table: &mut Table,
    what: &str,
    contenders: &[Contender],
    measure: impl Fn(&Contender) -> f64,
) {
    let all = || -> Vec<Series> { contenders.iter().map(Contender::series).collect() };
    let (mut times, mut work) = (all(), all());
    for _ in 0..SLOW_ROUNDS {
        for (at, contender) in contenders.iter().enumerate() {
            let before = busy();
            times[at].values.push(measure(contender) * 1000.0);
            work[at].values.push(busy() - before);
        }
    }
    table.add(what, "ms", times);
    table.promise("best", 1.0 / 0.95);
    table.add(&format!("{what}: processor time"), "ms", work);
    table.promise("best", 1.0);
}

/// Milliseconds that the machine's processors worked since it started: for programs, the kernel and interrupts
/// (proc_stat(5)).
fn busy() -> f64 {
    let stat = std::fs::read_to_string("/proc/stat").expect("there is /proc");
    let line = stat
        .lines()
        .next()
        .expect("the first line is all processors");
    let ticks: Vec<f64> = line
        .split_whitespace()
        .filter_map(|word| word.parse().ok())
        .collect();
    // user, nice, system; then idle and waiting; then the two kinds of interrupts. A tick is a hundredth of a second.
    [0, 1, 2, 5, 6]
        .iter()
        .map(|field| ticks[*field] * 10.0)
        .sum()
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

/// Requests to a published nginx: what a thousand take in time and in work, and the slowest of a hundred.
fn requests(table: &mut Table, contenders: &[Contender], network: &Network) {
    let all = || -> Vec<Series> { contenders.iter().map(Contender::series).collect() };
    let (mut thousand, mut slowest, mut work) = (all(), all(), all());
    for _ in 0..SLOW_ROUNDS {
        for (at, contender) in contenders.iter().enumerate() {
            let url = format!("http://127.0.0.1:{}/", contender.port + 1);
            let before = busy();
            let told = run(network
                .host("wrk")
                .args(["-t2", "-c64", "-d3s", "--latency", &url]))
            .ok();
            let each = 1e6 / number_after(&told, "Requests/sec:");
            thousand[at].values.push(each);
            work[at].values.push((busy() - before) * each / 3000.0);
            slowest[at].values.push(milliseconds_after(&told, "99%"));
        }
    }
    table.add(
        "1,000 requests to a published nginx, 64 at once",
        "ms",
        thousand,
    );
    table.promise("best", 1.0 / 0.95);
    table.add("the same: processor time", "ms", work);
    table.promise("best", 1.0);
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
