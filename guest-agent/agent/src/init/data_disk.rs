//! The data disk: an XFS, made on a disk that is empty, repaired if need be, grown with its disk.
//!
//! A disk with anything on it is never formatted: what cannot be mounted is left as it is, and the machine comes up without.

use std::fs::File;
use std::io;
use std::os::unix::fs::FileExt;
use std::path::Path;
use std::process::{Command, Output};

use proa_kernel::disk::{self, Disk};
use proa_kernel::modules::Modules;
use proa_kernel::mount::{Configuring, attribute, place_at};

use super::console;
use super::state::FoundDisk;

/// What the host gives that disk as its serial.
const SERIAL: &str = "proa-data";
/// Where everything is kept.
const AT: &str = "/var/lib/proa";
/// Debian's programs with a loader and libraries of their own.
const PROGRAMS: &str = "/proa/xfs";

/// Why a disk is not used.
#[derive(Debug, thiserror::Error)]
enum DiskError {
    #[error("read {0}")]
    Read(String, #[source] io::Error),
    #[error("make a file system on {0}: {1}")]
    Make(String, String),
    #[error("{0} holds something that is no XFS of ours; it is left as it is")]
    Foreign(String),
    #[error("mount {0}: {1}; xfs_repair says: {2}; the disk is left as it is")]
    BeyondRepair(String, io::Error, String),
    #[error("mount {0}")]
    Mount(String, #[source] io::Error),
}

/// Mounts the data disk, or memory in its place.
pub(super) fn mount(modules: &Modules) -> FoundDisk {
    let Some(disk) = disk::all().into_iter().find(|disk| disk.serial == SERIAL) else {
        return none("the host attached no data disk");
    };
    if let Err(error) = modules.load("xfs") {
        console::say(&crate::log::told(&error));
    }
    let mut found = FoundDisk {
        device: Some(disk.device.display().to_string()),
        ..FoundDisk::default()
    };
    match prepare(&disk, &mut found) {
        Ok(()) => {
            console::phase("data disk mounted");
            grow(&disk);
            found
        }
        Err(error) => FoundDisk {
            device: found.device,
            ..none(&crate::log::told(&error))
        },
    }
}

/// Memory in place of the disk.
pub(super) fn none(why: &str) -> FoundDisk {
    console::say(&format!("{why}: what is kept now is lost with the machine"));
    let mounted = std::fs::create_dir_all(AT)
        .and_then(|()| Configuring::new("tmpfs")?.mount(attribute::NODEV))
        .and_then(|memory| place_at(memory, AT));
    if let Err(error) = mounted {
        console::say(&format!("mount memory at {AT}: {error}"));
    }
    FoundDisk {
        fault: Some(why.to_owned()),
        ..FoundDisk::default()
    }
}

fn prepare(disk: &Disk, found: &mut FoundDisk) -> Result<(), DiskError> {
    let device = disk.device.display().to_string();
    match content(disk).map_err(|e| DiskError::Read(device.clone(), e))? {
        Content::Nothing => make(&device)?,
        Content::Xfs | Content::Unknown => {}
    }
    let Err(error) = attach(&device) else {
        return Ok(());
    };
    console::say(&format!("mount {device}: {error}; repairing it"));
    let said = repair(&device);
    match attach(&device) {
        Ok(()) => {
            found.repaired = true;
            console::say("the data disk was repaired");
            Ok(())
        }
        Err(_) if said.contains("bad primary superblock") || said.contains("Sorry") => {
            Err(DiskError::BeyondRepair(device, error, said))
        }
        Err(again) if said.is_empty() => Err(DiskError::Mount(device, again)),
        Err(_) if content(disk).is_ok_and(|content| content == Content::Unknown) => {
            Err(DiskError::Foreign(device))
        }
        Err(_) => Err(DiskError::BeyondRepair(device, error, said)),
    }
}

#[derive(Debug, PartialEq, Eq)]
enum Content {
    Nothing,
    Xfs,
    Unknown,
}

/// How much is read at each of the places that are looked at.
const SAMPLE: usize = 64 << 10;
/// In how many places: those where `mkfs.xfs` puts its four superblocks are among them.
const PLACES: u64 = 64;

/// What is on a disk. Only where all the places are zero is it taken to be empty.
fn content(disk: &Disk) -> io::Result<Content> {
    let file = File::open(&disk.device)?;
    let mut sample = vec![0; SAMPLE.min(disk.size as usize)];
    file.read_exact_at(&mut sample, 0)?;
    if sample.starts_with(b"XFSB") {
        return Ok(Content::Xfs);
    }
    let last = disk.size.saturating_sub(SAMPLE as u64);
    for place in 0..=PLACES {
        // A few blocks earlier, since the superblocks begin at a rounded place.
        let at = (disk.size / PLACES * place).saturating_sub(SAMPLE as u64 / 2) & !511;
        file.read_exact_at(&mut sample, at.min(last) & !511)?;
        if sample.iter().any(|byte| *byte != 0) {
            return Ok(Content::Unknown);
        }
    }
    Ok(Content::Nothing)
}

fn attach(device: &str) -> io::Result<()> {
    let configuring = Configuring::new("xfs")?;
    configuring.set("source", device)?;
    configuring.set_flag("discard")?;
    let mount = configuring.mount(attribute::NODEV | attribute::NOATIME)?;
    std::fs::create_dir_all(AT)?;
    place_at(mount, AT)
}

fn make(device: &str) -> Result<(), DiskError> {
    // Nothing is on it that could be discarded.
    let made = program(
        "mkfs.xfs",
        &["-q", "-K", "-L", "proa", "-m", "reflink=1", device],
    );
    match made {
        Ok(output) if output.status.success() => {
            console::phase("data disk formatted");
            Ok(())
        }
        Ok(output) => Err(DiskError::Make(device.to_owned(), words_of(&output))),
        Err(error) => Err(DiskError::Make(device.to_owned(), error.to_string())),
    }
}

/// Has it repaired; what is said about it in the end. A log that cannot be replayed, which mounting has just tried, is
/// given up only when nothing else helps.
fn repair(device: &str) -> String {
    let mut said = String::new();
    for options in [&[device][..], &["-L", device]] {
        match program("xfs_repair", options) {
            Ok(output) if output.status.success() => return words_of(&output),
            // 2: the log is dirty (`xfs_repair(8)`).
            Ok(output) if output.status.code() == Some(2) => said = words_of(&output),
            Ok(output) => return words_of(&output),
            Err(error) => return error.to_string(),
        }
    }
    said
}

fn program(name: &str, arguments: &[&str]) -> io::Result<Output> {
    Command::new(Path::new(PROGRAMS).join("loader"))
        .args(["--library-path", PROGRAMS])
        .arg(Path::new(PROGRAMS).join(name))
        .args(arguments)
        .output()
}

/// The last lines that a program said, in one.
fn words_of(output: &Output) -> String {
    let text = [&output.stdout[..], &output.stderr].concat();
    let text = String::from_utf8_lossy(&text);
    let lines: Vec<&str> = text
        .lines()
        .map(str::trim)
        .filter(|line| !line.is_empty())
        .collect();
    lines[lines.len().saturating_sub(3)..].join("; ")
}

fn grow(disk: &Disk) {
    match disk::grow_xfs(Path::new(AT), disk.size) {
        Ok(0) => {}
        Ok(by) => console::phase(&format!("data disk grown by {} MiB", by >> 20)),
        Err(error) => console::say(&format!("grow the data disk: {error}")),
    }
}
