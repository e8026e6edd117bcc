//! From a machine's start to its answer, as a ratio to the bare boot: the same kernel under plain QEMU with an initramfs
//! that holds one static program printing its uptime. Run by `scripts/dev bench boot`, after `scripts/dev image`.
//!
//! The two are measured in turn, so that a busy computer slows both; the medians are compared.
#![expect(clippy::print_stdout, reason = "the table is for whoever runs it")]

use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use proa_vm::qemu::Qemu;
use proa_vm::{Accelerator, Disk, DiskFormat, Event, Image, Machine, Network, Phase, Spec};

const ROUNDS: usize = 5;
const LIMIT: f64 = 1.25;

/// Its end is the kernel's too.
const INIT: &str = r#"fn main() { println!("uptime {:?}", std::time::Instant::now()); }"#;

fn main() {
    // `cargo bench` and `cargo test --benches` both start it; only the former means it.
    if !std::env::args().any(|word| word == "--bench") {
        return;
    }
    let image = image();
    let folder = tempfile::tempdir().expect("a folder");
    let initramfs = bare_initramfs(folder.path());
    let runtime = tokio::runtime::Runtime::new().expect("a runtime");
    let mut bare = Vec::new();
    let mut ours = Vec::new();
    let mut phases = Vec::new();
    for round in 0..ROUNDS {
        bare.push(bare_boot(&image, &initramfs, folder.path()));
        let events = runtime.block_on(machine_boot(
            &image,
            &folder.path().join(format!("m{round}")),
        ));
        ours.push(events.last().map(|event| event.after).unwrap_or_default());
        phases = events;
    }
    for event in &phases {
        println!("{:>8} ms  {}", event.after.as_millis(), event.phase);
    }
    let (bare, ours) = (median(bare), median(ours));
    let ratio = ours.as_secs_f64() / bare.as_secs_f64();
    println!(
        "bare boot {} ms, machine {} ms: {ratio:.2} times (at most {LIMIT})",
        bare.as_millis(),
        ours.as_millis()
    );
    std::process::exit(i32::from(ratio > LIMIT));
}

fn image() -> PathBuf {
    let built = || {
        let bench = std::env::current_exe().expect("a bench knows its own path");
        let target = bench
            .ancestors()
            .nth(3)
            .expect("benches lie in target/PROFILE/deps");
        target.join("vm-image").join(std::env::consts::ARCH)
    };
    std::env::var_os("PROA_IMAGE").map_or_else(built, PathBuf::from)
}

fn program() -> PathBuf {
    match std::env::var_os("PROA_BIN_DIR") {
        Some(folder) => PathBuf::from(folder).join("proa"),
        None => env!("CARGO_BIN_EXE_proa").into(),
    }
}

fn bare_initramfs(folder: &Path) -> PathBuf {
    std::fs::write(folder.join("init.rs"), INIT).expect("the folder is ours");
    let script = "mkdir root && rustc -O -C target-feature=+crt-static -C relocation-model=static -o root/init init.rs \
                  && strip root/init && cd root && echo init | cpio --quiet -o -H newc > ../initramfs";
    let made = Command::new("sh")
        .args(["-ec", script])
        .current_dir(folder)
        .status();
    assert!(made.expect("a shell").success(), "{script}");
    folder.join("initramfs")
}

fn bare_boot(image: &Path, initramfs: &Path, folder: &Path) -> Duration {
    let console = folder.join("bare.log");
    let started = Instant::now();
    let mut qemu = Command::new(format!("qemu-system-{}", std::env::consts::ARCH))
        .args([
            "-machine",
            "q35",
            "-accel",
            "tcg,thread=multi",
            "-cpu",
            "max,cx16=off",
            "-smp",
            "2",
            "-m",
            "1024",
        ])
        .args(["-display", "none", "-nodefaults", "-no-reboot", "-append"])
        .arg("console=ttyS0 panic=-1 quiet random.trust_cpu=on mitigations=off")
        .arg("-kernel")
        .arg(image.join("kernel"))
        .arg("-initrd")
        .arg(initramfs)
        .arg("-serial")
        .arg(format!("file:{}", console.display()))
        .stdin(Stdio::null())
        .spawn()
        .expect("QEMU is installed");
    while !std::fs::read_to_string(&console)
        .unwrap_or_default()
        .contains("uptime")
    {
        let ended = qemu.try_wait().expect("it is our child").is_some();
        assert!(
            !ended || started.elapsed() < Duration::from_secs(2),
            "QEMU ended early"
        );
        std::thread::sleep(Duration::from_millis(5));
    }
    let took = started.elapsed();
    qemu.kill()
        .and_then(|()| qemu.wait())
        .expect("it is our child");
    std::fs::remove_file(console).expect("it was read");
    took
}

/// The events up to the guest's answer.
async fn machine_boot(image: &Path, folder: &Path) -> Vec<Event> {
    let machine = Machine::start(Qemu::new(), spec(image, folder));
    let mut events = machine.events();
    let mut reached = Vec::new();
    while let Some(event) = events.next().await {
        let failed = matches!(event.phase, Phase::Failed(_));
        assert!(!failed, "{}", event.phase);
        let ready = event.phase == Phase::Ready;
        reached.push(event);
        if ready {
            break;
        }
    }
    machine.kill().await;
    reached
}

fn spec(image: &Path, folder: &Path) -> Spec {
    Spec {
        image: Image {
            folder: image.into(),
        },
        run: folder.join("run"),
        console: folder.join("console.log"),
        cpus: 2,
        memory: 1 << 30,
        disk: Disk {
            path: folder.join("disk.raw"),
            size: 8 << 30,
            format: DiskFormat::Raw,
        },
        shares: Vec::new(),
        network: Network { ipv6: false },
        accelerator: Accelerator::Tcg,
        devices: vec![program().into()],
        kernel_words: Vec::new(),
        ready_port: 1024,
        patience: Duration::from_secs(300),
    }
}

fn median(mut times: Vec<Duration>) -> Duration {
    times.sort();
    times[times.len() / 2]
}
