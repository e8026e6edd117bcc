//! The file systems that any Linux has. `/dev`, `/proc` and `/sys` are there already.

use std::fs;
use std::io;

use proa_kernel::mount::{Configuring, attribute, place_at, propagation, set_propagation};

use super::console;

struct Place {
    fstype: &'static str,
    at: &'static str,
    options: &'static [(&'static str, &'static str)],
    attributes: u64,
}

const HARMLESS: u64 = attribute::NOSUID | attribute::NODEV;

const PLACES: [Place; 6] = [
    Place {
        fstype: "devpts",
        at: "/dev/pts",
        options: &[("mode", "620"), ("ptmxmode", "666")],
        attributes: attribute::NOSUID | attribute::NOEXEC,
    },
    Place {
        fstype: "tmpfs",
        at: "/dev/shm",
        options: &[("mode", "1777")],
        attributes: HARMLESS,
    },
    Place {
        fstype: "mqueue",
        at: "/dev/mqueue",
        options: &[],
        attributes: HARMLESS | attribute::NOEXEC,
    },
    Place {
        fstype: "tmpfs",
        at: "/run",
        options: &[("mode", "755")],
        attributes: HARMLESS,
    },
    Place {
        fstype: "tmpfs",
        at: "/tmp",
        options: &[("mode", "1777")],
        attributes: HARMLESS,
    },
    Place {
        fstype: "cgroup2",
        at: "/sys/fs/cgroup",
        options: &[("nsdelegate", ""), ("memory_recursiveprot", "")],
        attributes: HARMLESS | attribute::NOEXEC,
    },
];

/// Mounts them all. What fails is said, and done without.
pub(super) fn all() {
    // What is mounted later, such as a share, is to reach containers that ask for it.
    if let Err(error) = set_propagation(c"/", propagation::SHARED, true) {
        console::say(&format!("share the mounts with containers: {error}"));
    }
    for place in &PLACES {
        if let Err(error) = mount(place) {
            console::say(&format!("mount {} at {}: {error}", place.fstype, place.at));
        }
    }
    for (link, to) in [
        ("/dev/fd", "/proc/self/fd"),
        ("/dev/stdin", "/proc/self/fd/0"),
        ("/dev/stdout", "/proc/self/fd/1"),
        ("/dev/stderr", "/proc/self/fd/2"),
        ("/var/run", "/run"),
    ] {
        // Some kernels make them.
        let _ = fs::create_dir_all("/var").and_then(|()| std::os::unix::fs::symlink(to, link));
    }
}

fn mount(place: &Place) -> io::Result<()> {
    // In sysfs nothing can be made, and nothing needs to be.
    if let Err(error) = fs::create_dir_all(place.at)
        && !std::path::Path::new(place.at).is_dir()
    {
        return Err(error);
    }
    let configuring = Configuring::new(place.fstype)?;
    for (key, value) in place.options {
        match *value {
            "" => configuring.set_flag(key)?,
            value => configuring.set(key, value)?,
        }
    }
    place_at(configuring.mount(place.attributes)?, place.at)
}
