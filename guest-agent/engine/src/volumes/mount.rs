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

/// Options, and those that each of them needs.
const NEEDS: &[(&str, &[&str])] = &[
    ("device", &["type"]),
    ("o", &["device", "type"]),
    ("type", &["device"]),
];

/// Refuses options the driver does not have.
pub(super) fn check(name: &str, options: &TextMap) -> Result<()> {
    let bad = |words: String| Err(Error::bad(format!("create {name}: {words}")));
    if let Some(size) = options.get("size").filter(|size| !size.is_empty()) {
        if !is_size(size) {
            return bad(format!("invalid size: '{size}'"));
        }
        return bad("quota size requested but no quota support".to_owned());
    }
    let known = |key: &str| key == "size" || NEEDS.iter().any(|(name, _)| *name == key);
    if let Some(key) = options.keys().find(|key| !known(key)) {
        return bad(format!("invalid option: \"{key}\""));
    }
    let given = |key: &str| options.get(key).is_some_and(|value| !value.is_empty());
    for (_, needs) in NEEDS.iter().filter(|(key, _)| given(key)) {
        if let Some(missing) = needs.iter().find(|key| !given(key)) {
            return bad(format!("missing required option: \"{missing}\""));
        }
    }
    Ok(())
}

/// `10`, `10m`, `1.5GiB`, as the `units` of Go programs have them.
fn is_size(text: &str) -> bool {
    let end = text.find(|letter: char| !(letter.is_ascii_digit() || letter == '.'));
    let (number, unit) = text.split_at(end.unwrap_or(text.len()));
    let unit = unit.trim().to_ascii_lowercase();
    let unit = unit.strip_suffix('b').unwrap_or(&unit);
    let unit = unit.strip_suffix('i').unwrap_or(unit);
    number.parse::<f64>().is_ok() && matches!(unit, "" | "k" | "m" | "g" | "t" | "p")
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
    let rest = rest.join(",");
    let refused = |words: &str| {
        let place = target.display();
        let more = match rest.as_str() {
            "" => String::new(),
            rest => format!(", data: {rest}"),
        };
        let bits = flags.bits();
        Error::internal(format!(
            "error while mounting volume '{place}': failed to mount local volume: mount {device}:{place}, flags: \
             0x{bits:x}{more}: {words}"
        ))
    };
    let text = CString::new(rest.as_str()).map_err(|_| refused("a NUL is among its options"))?;
    rustix::mount::mount(device.as_str(), target, kind, flags, text.as_c_str()).map_err(|errno| {
        let words = std::io::Error::from(errno).to_string();
        refused(
            &words
                .split(" (os error")
                .next()
                .unwrap_or_default()
                .to_lowercase(),
        )
    })
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
            &[("o", "ro")],
            "create v: missing required option: \"device\"",
        );
        check_told(&[("size", "zz")], "create v: invalid size: 'zz'");
        check_told(
            &[("size", "1.5GiB")],
            "create v: quota size requested but no quota support",
        );
        check_told(
            &[("type", "tmpfs")],
            "create v: missing required option: \"device\"",
        );
    }
}
