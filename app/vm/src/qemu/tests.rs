//! Command lines as values, and QEMU's words as bytes.

use std::path::{Path, PathBuf};
use std::time::Duration;

use tokio::io::{AsyncBufReadExt as _, AsyncWriteExt as _, BufReader};

use super::command::{Carrier, Engine, Plan, arguments};
use super::control::{Cause, Control, Status, Told};
use super::image::Architecture;
use crate::{Accelerator, Disk, DiskFormat, Image, Network, Spec};

fn spec(folder: &str) -> Spec {
    let folder = PathBuf::from(folder);
    Spec {
        image: Image {
            folder: folder.join("image"),
        },
        run: folder.join("run"),
        console: folder.join("console.log"),
        cpus: 2,
        memory: 1 << 30,
        disk: Disk {
            path: folder.join("disk.raw"),
            size: 1 << 34,
            format: DiskFormat::Raw,
        },
        shares: Vec::new(),
        network: Network { ipv6: false },
        accelerator: Accelerator::Auto,
        devices: vec!["proa".into()],
        kernel_words: Vec::new(),
        ready_port: 1024,
        patience: Duration::from_secs(60),
    }
}

fn line(
    spec: &Spec,
    accelerator: Engine,
    vsock: Carrier<'_>,
    shares: &[(String, PathBuf)],
) -> Vec<String> {
    let plan = Plan {
        spec,
        architecture: Architecture::X86_64,
        accelerator,
        image_words: &["console=ttyS0".into(), "quiet".into()],
        vsock,
        shares,
        halted: false,
    };
    let arguments = arguments(&plan).expect("every name here is text");
    let text = |word: std::ffi::OsString| word.into_string().expect("every word here is text");
    arguments.into_iter().map(text).collect()
}

/// The values that follow `flag`.
fn values<'a>(line: &'a [String], flag: &str) -> Vec<&'a str> {
    line.windows(2)
        .filter(|pair| pair[0] == flag)
        .map(|pair| pair[1].as_str())
        .collect()
}

#[test]
fn translated_guests_are_spared_a_fault_of_qemu() {
    let line = line(&spec("/m"), Engine::Tcg, Carrier::Kernel(7), &[]);
    assert_eq!(values(&line, "-cpu"), ["max,cx16=off"]);
    assert_eq!(values(&line, "-accel"), ["tcg,thread=multi"]);
    assert_eq!(values(&line, "-m"), ["1024M"]);
    assert_eq!(values(&line, "-smp"), ["2"]);
    // Nobody else reads its memory, so it is not shared.
    assert!(values(&line, "-object").is_empty());
    assert!(!values(&line, "-machine")[0].contains("memory-backend"));
}

#[test]
fn devices_of_ours_share_the_guests_memory() {
    let socket = Path::new("/run/x/vhost-vsock.sock");
    let shares = [("share0".to_owned(), PathBuf::from("/run/x/share0.sock"))];
    let line = line(&spec("/m"), Engine::Kvm, Carrier::Process(socket), &shares);
    assert_eq!(
        values(&line, "-object"),
        ["memory-backend-memfd,id=memory,size=1024M,share=on"]
    );
    assert!(values(&line, "-machine")[0].ends_with(",memory-backend=memory"));
    let chardevs = values(&line, "-chardev");
    assert!(chardevs.contains(&"socket,id=vsock,path=/run/x/vhost-vsock.sock"));
    assert!(chardevs.contains(&"socket,id=share0,path=/run/x/share0.sock"));
    let devices = values(&line, "-device");
    assert!(devices.contains(&"vhost-user-vsock-pci,chardev=vsock"));
    assert!(devices.contains(&"vhost-user-fs-pci,chardev=share0,tag=share0,queue-size=1024"));
    assert_eq!(values(&line, "-cpu"), ["host"]);
}

#[test]
fn the_kernels_vsock_needs_no_process() {
    let line = line(&spec("/m"), Engine::Kvm, Carrier::Kernel(77), &[]);
    assert!(values(&line, "-device").contains(&"vhost-vsock-pci,guest-cid=77"));
    assert!(values(&line, "-object").is_empty());
}

#[test]
fn any_name_that_is_text_will_do() {
    let spec = spec("/tmp/a b,c=\"d\"/ü\\é");
    let line = line(&spec, Engine::Tcg, Carrier::Kernel(7), &[]);
    // Arguments of their own hold names as they are.
    assert_eq!(
        values(&line, "-kernel"),
        ["/tmp/a b,c=\"d\"/ü\\é/image/kernel"]
    );
    // Lists of options have commas doubled.
    let console = "file,id=console,path=/tmp/a b,,c=\"d\"/ü\\é/console.log,append=off";
    assert!(values(&line, "-chardev").contains(&console));
    // JSON has its own rules.
    let disks: Vec<serde_json::Value> = values(&line, "-blockdev")
        .iter()
        .map(|json| serde_json::from_str(json).expect("it is JSON"))
        .collect();
    assert_eq!(
        disks[0]["file"]["filename"],
        "/tmp/a b,c=\"d\"/ü\\é/image/image.erofs"
    );
    assert_eq!(disks[0]["read-only"], true);
    assert_eq!(
        disks[1]["file"]["filename"],
        "/tmp/a b,c=\"d\"/ü\\é/disk.raw"
    );
    assert_eq!(disks[1]["discard"], "unmap");
}

#[test]
#[cfg(unix)]
fn a_name_that_is_no_text_is_refused() {
    use std::os::unix::ffi::OsStrExt as _;
    let mut spec = spec("/m");
    spec.disk.path = std::ffi::OsStr::from_bytes(b"/m/\xff").into();
    let plan = Plan {
        spec: &spec,
        architecture: Architecture::X86_64,
        accelerator: Engine::Tcg,
        image_words: &[],
        vsock: Carrier::Kernel(7),
        shares: &[],
        halted: false,
    };
    let error = arguments(&plan).expect_err("it is no text");
    assert!(error.to_string().contains("not text"), "{error}");
}

#[test]
fn the_kernel_hears_the_image_then_us_then_the_owner() {
    let mut spec = spec("/m");
    spec.kernel_words = vec!["debug".into()];
    let line = line(&spec, Engine::Tcg, Carrier::Kernel(7), &[]);
    let words = values(&line, "-append")[0];
    assert!(
        words.starts_with("quiet console=ttyS0 panic=-1 loglevel=6 "),
        "{words}"
    );
    assert!(words.contains(" proa.ip=10.0.2.15/24 proa.gateway=10.0.2.2 proa.dns=10.0.2.3 "));
    assert!(words.ends_with(" debug"), "{words}");
}

#[test]
fn disks_can_be_told_apart_and_give_back() {
    let line = line(&spec("/m"), Engine::Tcg, Carrier::Kernel(7), &[]);
    let devices = values(&line, "-device");
    assert!(devices.contains(&"virtio-blk-pci,drive=image,serial=proa-image"));
    assert!(
        devices.contains(&"virtio-blk-pci,drive=data,serial=proa-data,discard=on,write-zeroes=on")
    );
    assert!(
        devices
            .iter()
            .any(|device| device.contains("free-page-reporting=on"))
    );
    assert!(devices.contains(&"virtio-rng-pci"));
    assert_eq!(values(&line, "-netdev"), ["user,id=net,ipv6=off"]);
}

const HELLO: &str = "{\"QMP\": {\"version\": {\"qemu\": {\"micro\": 22, \"minor\": 2, \"major\": 7}, \"package\": \"\"}, \"capabilities\": [\"oob\"]}}\n";

/// A peer that greets as QEMU does, answers the first command, says `words`, and then answers every command with
/// `answer`.
async fn talk(words: &'static str, answer: &'static str) -> std::io::Result<Control> {
    let (ours, theirs) = tokio::io::duplex(1 << 16);
    let (output, input) = tokio::io::split(ours);
    tokio::spawn(async move {
        let (read, mut write) = tokio::io::split(theirs);
        let mut commands = BufReader::new(read).lines();
        drop(write.write_all(HELLO.as_bytes()).await);
        let mut first = true;
        while let Ok(Some(command)) = commands.next_line().await {
            let mut command: serde_json::Value =
                serde_json::from_str(&command).expect("commands are JSON");
            let result = if first { "{}" } else { answer };
            let result: serde_json::Value = serde_json::from_str(result).expect("JSON");
            let mut line = serde_json::json!({"return": result});
            // An answer has an id if the command had one.
            if !command["id"].is_null() {
                line["id"] = command["id"].take();
            }
            let line = format!("{line}\n");
            drop(write.write_all(line.as_bytes()).await);
            if first {
                drop(write.write_all(words.as_bytes()).await);
            }
            first = false;
        }
    });
    Control::open(output, input).await
}

#[tokio::test]
async fn events_become_what_a_machine_asks_for() {
    let words = concat!(
        "{\"timestamp\": {\"seconds\": 1, \"microseconds\": 2}, \"event\": \"STOP\"}\n",
        "{\"timestamp\": {\"seconds\": 1, \"microseconds\": 2}, \"event\": \"SOME_NEWER_EVENT\", \"data\": {\"x\": 1}}\n",
        "{\"timestamp\": {\"seconds\": 1, \"microseconds\": 2}, \"event\": \"SHUTDOWN\", \"data\": {\"guest\": true, \"reason\": \"guest-reset\"}}\n",
    );
    let mut control = talk(
        words,
        "{\"status\": \"internal-error\", \"running\": false, \"singlestep\": false}",
    )
    .await
    .expect("it greets");
    assert_eq!(control.told().await, Some(Told::Stopped));
    assert_eq!(control.told().await, Some(Told::Shutdown(Cause::Reset)));
    assert_eq!(
        control.status().await.expect("it answers"),
        Status::InternalError
    );
}

#[tokio::test]
async fn bytes_that_are_no_conversation_end_it() {
    for words in ["garbage\n", "{\"return\": \n", "\u{0}\u{1}\n", "[1, 2]\n"] {
        let mut control = talk(words, "{}").await.expect("it greets");
        assert_eq!(control.told().await, None, "{words:?}");
        assert!(control.status().await.is_err(), "{words:?}");
    }
}

#[tokio::test]
async fn a_peer_that_does_not_greet_is_an_error() {
    for hello in ["", "hello\n", "{}\n", "{\"QMP\": 1}\n"] {
        let (ours, mut theirs) = tokio::io::duplex(1 << 16);
        theirs
            .write_all(hello.as_bytes())
            .await
            .expect("it has room");
        drop(theirs);
        let (output, input) = tokio::io::split(ours);
        assert!(Control::open(output, input).await.is_err(), "{hello:?}");
    }
}
