//! The `local` driver's options: a volume that is another file system (`type`, `device`, `o`), mounted when first used.

use std::{ffi::CString, path::Path};

use proa_protocol::TextMap;
use rustix::{
    io::Errno,
    mount::{MountFlags, UnmountFlags},
};

use super::Record;
use crate::{Error, Result, error::Context};

/// Words of `o` that are flags and not the file system's own options.
const FLAGS: &[(&str, MountFlags)] = &[
    ("ro", MountFlags::RDONLY),
    ("nosuid", MountFlags::NOSUID),
    ("nodev", MountFlags::NODEV),
    ("noexec", MountFlags::NOEXEC),
    ("noatime", MountFlags::NOATIME),
    ("sync", MountFlags::SYNCHRONOUS),
    ("bind", MountFlags::BIND),
    (
        "rbind",
        MountFlags::from_bits_retain(MountFlags::BIND.bits() | MountFlags::REC.bits()),
    ),
];

/// Refuses options the driver does not have.
pub(super) fn check(name: &str, options: &TextMap) -> Result<()> {
    for key in options.keys() {
        if !matches!(key.as_str(), "type" | "device" | "o" | "size") {
            return Err(Error::bad(format!(
                "create {name}: invalid option: \"{key}\""
            )));
        }
    }
    if options.contains_key("device") != options.contains_key("type") {
        let missing = if options.contains_key("device") {
            "type"
        } else {
            "device"
        };
        if options.contains_key("o")
            || options.contains_key("type")
            || options.contains_key("device")
        {
            return Err(Error::bad(format!(
                "create {name}: missing required option: \"{missing}\""
            )));
        }
    }
    Ok(())
}

/// Mounts it unless it is mounted already.
pub(super) fn mount(record: &Record, target: &Path) -> Result<()> {
    let Some(device) = record.options.get("device") else {
        return Ok(());
    };
    if is_mounted(target)? {
        return Ok(());
    }
    let kind = record.options.get("type").map_or("", String::as_str);
    let mut flags = MountFlags::empty();
    let mut rest = Vec::new();
    for word in record
        .options
        .get("o")
        .map_or("", String::as_str)
        .split(',')
        .filter(|word| !word.is_empty())
    {
        match FLAGS.iter().find(|(name, _)| *name == word) {
            Some((_, flag)) => flags |= *flag,
            None if word == "rw" => {}
            None => rest.push(word),
        }
    }
    let attempt = || {
        format!(
            "failed to mount local volume: mount {device}:{}",
            target.display()
        )
    };
    let rest = CString::new(rest.join(",")).context(attempt)?;
    rustix::mount::mount(device.as_str(), target, kind, flags, rest.as_c_str()).context(attempt)
}

/// Unmounts whatever is mounted there.
pub(super) fn unmount(target: &Path) -> Result<()> {
    loop {
        match rustix::mount::unmount(target, UnmountFlags::DETACH) {
            Ok(()) => {}
            // Nothing is mounted there, or nothing is there.
            Err(Errno::INVAL | Errno::NOENT) => return Ok(()),
            Err(error) => return Err(error).context(|| format!("unmount {}", target.display())),
        }
    }
}

/// Asked of the place itself: its name in the list of mounts may be another, if the way to it has links.
fn is_mounted(target: &Path) -> Result<bool> {
    use rustix::fs::{AtFlags, CWD, StatxAttributes, StatxFlags, statx};
    let found = statx(CWD, target, AtFlags::SYMLINK_NOFOLLOW, StatxFlags::TYPE)
        .context(|| format!("look at {}", target.display()))?;
    Ok(found.stx_attributes.contains(StatxAttributes::MOUNT_ROOT))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check_told(pairs: &[(&str, &str)], expected: &str) {
        let options = pairs
            .iter()
            .map(|(k, v)| ((*k).to_owned(), (*v).to_owned()))
            .collect();
        let told = check("v", &options).map_or_else(|error| error.told(), |()| "fine".to_owned());
        assert_eq!(told, expected);
    }

    #[test]
    fn options_are_dockers() {
        check_told(&[], "fine");
        check_told(
            &[("type", "tmpfs"), ("device", "tmpfs"), ("o", "size=1m")],
            "fine",
        );
        check_told(&[("colour", "red")], "create v: invalid option: \"colour\"");
        check_told(
            &[("type", "tmpfs")],
            "create v: missing required option: \"device\"",
        );
    }
}
