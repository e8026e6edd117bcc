//! QEMU's command line, as a value: pure code makes it, tests read it.
//!
//! The machine is a q35 without what a guest of ours never touches. `microvm` is leaner yet, but finds its devices by
//! ACPI, where Linux then calibrates no timer under translation, or by words on the kernel's command line, which
//! Debian's kernel does not read; so it boots with KVM only, and two machines would be one too many to trust.
//!
//! What holds a path is either an argument of its own, or JSON, or has its commas doubled (`QemuOpts`): so any name
//! that is text will do.

use std::ffi::OsString;
use std::path::{Path, PathBuf};

use serde_json::json;

use super::image::Architecture;
use crate::{DiskFormat, Spec, StartError};

/// What a command line is made from, beside what the owner wants.
#[derive(Clone, Debug)]
pub(super) struct Plan<'a> {
    pub(super) spec: &'a Spec,
    pub(super) architecture: Architecture,
    pub(super) accelerator: Engine,
    /// Words for the guest's kernel that the image asks for.
    pub(super) image_words: &'a [String],
    pub(super) vsock: Carrier<'a>,
    /// For each share its tag and the socket of its server.
    pub(super) shares: &'a [(String, PathBuf)],
    /// Whether the processors wait until they are told to go on.
    pub(super) halted: bool,
}

/// What runs the guest's instructions, once that is decided.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Engine {
    Kvm,
    Hvf,
    Tcg,
}

impl Engine {
    pub(super) fn name(self) -> &'static str {
        match self {
            Engine::Kvm => "kvm",
            Engine::Hvf => "hvf",
            Engine::Tcg => "tcg",
        }
    }
}

/// Who carries vsock streams.
#[derive(Clone, Copy, Debug)]
pub(super) enum Carrier<'a> {
    /// The host's kernel, for a guest of this address.
    Kernel(u32),
    /// A process of ours, at this socket.
    Process(&'a Path),
}

/// The arguments, without the program.
pub(super) fn arguments(plan: &Plan<'_>) -> Result<Vec<OsString>, StartError> {
    let mut line = Line::default();
    line.flag("-nodefaults")
        .flag("-no-user-config")
        .flag("-no-reboot");
    if plan.halted {
        line.flag("-S");
    }
    line.pair("-name", "proa").pair("-display", "none");
    // Not a signal's matter: the machine is told to end in words.
    line.pair("-chardev", "stdio,id=control,signal=off");
    line.pair("-mon", "chardev=control,mode=control");
    machine(plan, &mut line);
    kernel(plan, &mut line);
    console(plan.spec, &mut line)?;
    disks(plan.spec, &mut line)?;
    devices(plan, &mut line)?;
    Ok(line.0)
}

fn machine(plan: &Plan<'_>, line: &mut Line) {
    let spec = plan.spec;
    let shares_memory = matches!(plan.vsock, Carrier::Process(_)) || !plan.shares.is_empty();
    let memory = if shares_memory {
        ",memory-backend=memory"
    } else {
        ""
    };
    let machine = match plan.architecture {
        Architecture::X86_64 => "q35,usb=off,sata=off,smbus=off,vmport=off,hpet=off,i8042=off",
        Architecture::Aarch64 => "virt,gic-version=max,highmem=on",
    };
    line.pair("-machine", format!("{machine}{memory}"));
    line.pair(
        "-accel",
        match plan.accelerator {
            Engine::Tcg => "tcg,thread=multi",
            Engine::Kvm | Engine::Hvf => plan.accelerator.name(),
        },
    );
    line.pair(
        "-cpu",
        match (plan.accelerator, plan.architecture) {
            // QEMU up to 7.2 spoils registers around a cmpxchg16b that is contended; a guest that is told of none uses
            // other means.
            (Engine::Tcg, Architecture::X86_64) => "max,cx16=off",
            (Engine::Tcg, Architecture::Aarch64) => "max,pauth-impdef=on",
            (Engine::Kvm | Engine::Hvf, _) => "host",
        },
    );
    line.pair("-smp", spec.cpus.to_string());
    line.pair("-m", format!("{}M", mebibytes(spec.memory)));
    if shares_memory {
        let size = mebibytes(spec.memory);
        let backend = if cfg!(target_os = "linux") {
            "memory-backend-memfd"
        } else {
            "memory-backend-shm"
        };
        line.pair(
            "-object",
            format!("{backend},id=memory,size={size}M,share=on"),
        );
    }
}

fn mebibytes(bytes: u64) -> u64 {
    bytes >> 20
}

fn kernel(plan: &Plan<'_>, line: &mut Line) {
    let folder = &plan.spec.image.folder;
    line.pair("-kernel", folder.join("kernel"));
    line.pair("-initrd", folder.join("initramfs"));
    let console = match plan.architecture {
        Architecture::X86_64 => "console=ttyS0",
        Architecture::Aarch64 => "console=ttyAMA0",
    };
    // The image's words first: of a word that is said twice the kernel follows the last. A panic ends the machine; the
    // louder half of the log shows that the kernel lives, and costs little.
    let fixed = [console, "panic=-1", "loglevel=6"];
    let network = [
        "proa.ip=10.0.2.15/24",
        "proa.gateway=10.0.2.2",
        "proa.dns=10.0.2.3",
    ];
    let image = plan.image_words.iter().map(String::as_str);
    let owner = plan.spec.kernel_words.iter().map(String::as_str);
    let words: Vec<&str> = image
        .filter(|word| !fixed.contains(word))
        .chain(fixed)
        .chain(network)
        .chain(owner)
        .collect();
    line.pair("-append", words.join(" "));
}

fn console(spec: &Spec, line: &mut Line) -> Result<(), StartError> {
    let path = doubled(text(&spec.console)?);
    line.pair(
        "-chardev",
        format!("file,id=console,path={path},append=off"),
    );
    line.pair("-serial", "chardev:console");
    Ok(())
}

fn disks(spec: &Spec, line: &mut Line) -> Result<(), StartError> {
    let image = spec.image.folder.join("image.erofs");
    // The lock on the data disk is ours, so that it spans the time before and after QEMU.
    line.pair(
        "-blockdev",
        json!({
            "node-name": "image", "driver": "raw", "read-only": true,
            "file": {"driver": "file", "filename": text(&image)?, "locking": "off"},
        })
        .to_string(),
    );
    line.pair("-device", "virtio-blk-pci,drive=image,serial=proa-image");
    let driver = match spec.disk.format {
        DiskFormat::Raw => "raw",
        DiskFormat::Qcow2 => "qcow2",
    };
    line.pair("-blockdev", json!({
        "node-name": "data", "driver": driver, "discard": "unmap", "detect-zeroes": "unmap",
        "file": {"driver": "file", "filename": text(&spec.disk.path)?, "locking": "off", "discard": "unmap"},
    }).to_string());
    line.pair(
        "-device",
        "virtio-blk-pci,drive=data,serial=proa-data,discard=on,write-zeroes=on",
    );
    Ok(())
}

fn devices(plan: &Plan<'_>, line: &mut Line) -> Result<(), StartError> {
    let ipv6 = if plan.spec.network.ipv6 { "on" } else { "off" };
    line.pair("-netdev", format!("user,id=net,ipv6={ipv6}"));
    line.pair(
        "-device",
        "virtio-net-pci,netdev=net,mac=52:54:00:70:72:6f,romfile=",
    );
    line.pair("-device", "virtio-rng-pci");
    line.pair(
        "-device",
        "virtio-balloon-pci,id=balloon,free-page-reporting=on,deflate-on-oom=on",
    );
    match plan.vsock {
        Carrier::Kernel(cid) => {
            line.pair("-device", format!("vhost-vsock-pci,guest-cid={cid}"));
        }
        Carrier::Process(socket) => {
            vhost_user(line, "vsock", socket)?;
            line.pair("-device", "vhost-user-vsock-pci,chardev=vsock");
        }
    }
    for (index, (tag, socket)) in plan.shares.iter().enumerate() {
        let id = format!("share{index}");
        vhost_user(line, &id, socket)?;
        let tag = doubled(tag);
        line.pair(
            "-device",
            format!("vhost-user-fs-pci,chardev={id},tag={tag},queue-size=1024"),
        );
    }
    Ok(())
}

fn vhost_user(line: &mut Line, id: &str, socket: &Path) -> Result<(), StartError> {
    let path = doubled(text(socket)?);
    line.pair("-chardev", format!("socket,id={id},path={path}"));
    Ok(())
}

fn doubled(text: &str) -> String {
    text.replace(',', ",,")
}

fn text(path: &Path) -> Result<&str, StartError> {
    path.to_str().ok_or_else(|| StartError::Unfit {
        why: format!("QEMU takes no name that is not text: {}", path.display()),
    })
}

/// A command line while it is written.
#[derive(Default)]
struct Line(Vec<OsString>);

impl Line {
    fn flag(&mut self, flag: &str) -> &mut Line {
        self.0.push(flag.into());
        self
    }

    fn pair(&mut self, flag: &str, value: impl Into<OsString>) -> &mut Line {
        self.0.push(flag.into());
        self.0.push(value.into());
        self
    }
}
