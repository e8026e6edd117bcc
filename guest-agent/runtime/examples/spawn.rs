//! Starts a command in a container of its own many times and prints how long it took from the call to its exit.
//!
//! usage: `spawn ROOTFS RUNS [COMMAND…]` (root; the root file system is the lower layer of an overlay)

use std::error::Error;
use std::io::Write as _;
use std::path::PathBuf;
use std::time::Instant;

use oci_spec::runtime::{Process, Spec};
use proa_kernel::process;
use proa_runtime::init::{self, SpawnFds};
use proa_runtime::plan::{Overlay, Plan, PlanOptions, Root};

fn main() -> Result<(), Box<dyn Error>> {
    let mut arguments = std::env::args().skip(1);
    let rootfs: PathBuf = arguments.next().ok_or("which root file system?")?.into();
    let runs: usize = arguments.next().ok_or("how many runs?")?.parse()?;
    let mut command: Vec<String> = arguments.collect();
    if command.is_empty() {
        command = vec!["/bin/busybox".into(), "true".into()];
    }
    let scratch = std::env::temp_dir().join(format!("proa-spawn-{}", std::process::id()));
    let (upper, work) = (scratch.join("upper"), scratch.join("work"));
    std::fs::create_dir_all(&upper)?;
    std::fs::create_dir_all(&work)?;
    let overlay = Overlay {
        lowers: vec![rootfs],
        upper,
        work,
        volatile: true,
    };
    let took = measure(&plan(command, overlay)?, runs);
    std::fs::remove_dir_all(&scratch)?;
    let mut took = took?;
    took.sort_unstable();
    let (least, middle, late) = (took[0], took[runs / 2], took[runs * 99 / 100]);
    writeln!(
        std::io::stdout(),
        "spawn: min {least} p50 {middle} p99 {late} us over {runs} runs"
    )?;
    Ok(())
}

fn plan(command: Vec<String>, overlay: Overlay) -> Result<Plan, Box<dyn Error>> {
    let mut process = Process::default();
    process.set_args(Some(command)).set_terminal(Some(false));
    let mut spec = Spec::default();
    spec.set_process(Some(process));
    let mounts = spec.mounts().clone().unwrap_or_default();
    let mounts = mounts
        .into_iter()
        .filter(|mount| mount.typ().as_deref() != Some("cgroup"))
        .collect();
    spec.set_mounts(Some(mounts));
    let options = PlanOptions {
        id: "spawn".into(),
        root: Some(Root::Overlay(overlay)),
        ..PlanOptions::default()
    };
    Ok(Plan::new(&spec, options)?)
}

fn measure(plan: &Plan, runs: usize) -> Result<Vec<u128>, Box<dyn Error>> {
    let mut took = Vec::with_capacity(runs);
    for _ in 0..runs {
        let begin = Instant::now();
        let spawned = init::spawn(plan, &SpawnFds::default())?;
        let ended = process::wait(&spawned.pidfd)?;
        took.push(begin.elapsed().as_micros());
        if ended.code() != 0 {
            return Err(format!("the command ended with {}", ended.code()).into());
        }
    }
    Ok(took)
}
