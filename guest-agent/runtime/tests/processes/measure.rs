//! What a container costs: `cargo test --release --test processes -- measure`.

use std::os::fd::AsFd;
use std::process::ExitCode;
use std::time::{Duration, Instant};

use crate::ground::Ground;

const RUNS: usize = 300;
const KEPT: usize = 50;

pub(crate) fn run() -> ExitCode {
    let ground = Ground::new();
    starts(&ground);
    execs(&ground);
    memory(&ground);
    ExitCode::SUCCESS
}

fn starts(ground: &Ground) {
    let (mut started, mut ended, mut spawned) = (Vec::new(), Vec::new(), Vec::new());
    for number in 0..RUNS {
        let launch = ground.launch(&format!("c{number}"), &["/bin/true"]);
        let begun = Instant::now();
        let mut running = ground.start_with(&launch, &[]).unwrap();
        started.push(begun.elapsed());
        running.exit();
        ended.push(begun.elapsed());
        let mut twin = launch.plan.clone();
        twin.process.args = vec!["/bin/true".into()];
        spawned.push(directly(&twin));
        while ground.keeper.receive().unwrap().is_some() {}
    }
    tell("launch to Launched", started);
    tell("launch to Exited", ended);
    tell("init::spawn and wait alone", spawned);
}

/// The same without keeper and monitor.
fn directly(plan: &proa_runtime::plan::Plan) -> Duration {
    let null = std::fs::File::options()
        .read(true)
        .write(true)
        .open("/dev/null")
        .unwrap();
    let fds = proa_runtime::init::SpawnFds {
        stdin: Some(null.as_fd()),
        stdout: Some(null.as_fd()),
        stderr: Some(null.as_fd()),
        ..Default::default()
    };
    let begun = Instant::now();
    let spawned = proa_runtime::init::spawn(plan, &fds).unwrap();
    proa_kernel::process::wait(&spawned.pidfd).unwrap();
    begun.elapsed()
}

fn execs(ground: &Ground) {
    let mut running = ground
        .start_with(&ground.launch("e", &["/bin/sleep", "1000"]), &[])
        .unwrap();
    let (mut started, mut ended) = (Vec::new(), Vec::new());
    for number in 0..RUNS {
        let mut launch = crate::ground::exec(&format!("e{number}"), "");
        launch.plan.process.args = vec!["/bin/true".into()];
        let begun = Instant::now();
        let _streams = running.exec(&launch).unwrap();
        started.push(begun.elapsed());
        running.exec_exit(&launch.id);
        ended.push(begun.elapsed());
        running.events.clear();
    }
    tell("exec to ExecStarted", started);
    tell("exec to ExecExited", ended);
}

fn tell(what: &str, mut times: Vec<Duration>) {
    times.sort();
    let at = |part: f64| times[(times.len() as f64 * part) as usize].as_micros();
    println!(
        "{what:30} min {:>6} p50 {:>6} p99 {:>6} µs",
        at(0.0),
        at(0.5),
        at(0.99)
    );
}

fn memory(ground: &Ground) {
    let before = pss(ground.process.id());
    let all: Vec<_> = (0..KEPT)
        .map(|number| {
            let script = "echo hello; exec sleep 1000";
            let launch = ground.script(&format!("m{number}"), script);
            ground.start_with(&launch, &[]).unwrap()
        })
        .collect();
    std::thread::sleep(Duration::from_millis(300));
    let monitors: u64 = all.iter().map(|running| pss(running.started.monitor)).sum();
    println!(
        "keeper alone {before} kB, with {KEPT} containers {} kB PSS",
        pss(ground.process.id())
    );
    println!("monitors {} kB PSS each", monitors / KEPT as u64);
    let rollup = std::fs::read_to_string(format!("/proc/{}/smaps_rollup", all[0].started.monitor));
    print!("{}", rollup.unwrap());
}

fn pss(pid: u32) -> u64 {
    let text = std::fs::read_to_string(format!("/proc/{pid}/smaps_rollup")).unwrap();
    let line = text.lines().find(|line| line.starts_with("Pss:")).unwrap();
    line.split_ascii_whitespace()
        .nth(1)
        .unwrap()
        .parse()
        .unwrap()
}
