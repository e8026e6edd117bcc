//! Folders of the host in the machine: virtiofs devices, each mounted where the folder lies on the host, so that a bind
//! mount means the same on both sides.

use std::fs;
use std::io;
use std::path::{Component, Path, PathBuf};

use proa_kernel::mount::{Configuring, attribute, place_at};
use proa_protocol::proa::Share;
use rustix::mount::{UnmountFlags, unmount};

/// Why a share is not as it was asked for.
#[derive(Debug, thiserror::Error)]
pub(crate) enum ShareError {
    #[error("share {0:?}: it is no absolute path, or one that the machine needs itself")]
    Path(String),
    #[error("take the share {0} away: something in the machine still uses it")]
    Busy(String, #[source] io::Error),
    #[error("mount the share {tag} at {path}", tag = .0.tag, path = .0.path)]
    Mount(Share, #[source] io::Error),
    #[error("read the machine's mounts")]
    List(#[source] io::Error),
}

/// What is the machine's own: below these, nothing can be mounted.
const OWN: [&str; 5] = ["/proc", "/sys", "/dev", "/proa", "/var/lib/proa"];

/// Mounts what is missing, and takes away what is not wanted any more.
pub(crate) fn set(wanted: &[Share]) -> Result<(), ShareError> {
    for share in wanted {
        if !is_allowed(Path::new(&share.path)) {
            return Err(ShareError::Path(share.path.clone()));
        }
    }
    let mounted = mounted()?;
    // The innermost first.
    for share in mounted.iter().rev().filter(|share| !wanted.contains(share)) {
        unmount(&*share.path, UnmountFlags::empty())
            .map_err(|e| ShareError::Busy(share.path.clone(), e.into()))?;
    }
    let mut missing: Vec<&Share> = wanted
        .iter()
        .filter(|share| !mounted.contains(share))
        .collect();
    missing.sort_by_key(|share| share.path.len());
    for share in missing {
        mount(share).map_err(|e| ShareError::Mount(share.clone(), e))?;
    }
    Ok(())
}

/// The shares there are, in the order they were mounted.
pub(crate) fn mounted() -> Result<Vec<Share>, ShareError> {
    let mounts = fs::read_to_string("/proc/self/mountinfo").map_err(ShareError::List)?;
    Ok(mounts.lines().filter_map(share_of).collect())
}

fn mount(share: &Share) -> io::Result<()> {
    let path = PathBuf::from(&share.path);
    if !path.is_dir() {
        fs::create_dir_all(&path)?;
    }
    let configuring = Configuring::new("virtiofs")?;
    configuring.set("source", &*share.tag)?;
    let attributes = if share.readonly { attribute::RDONLY } else { 0 };
    place_at(configuring.mount(attributes)?, path)
}

fn is_allowed(path: &Path) -> bool {
    let plain = path
        .components()
        .all(|part| matches!(part, Component::RootDir | Component::Normal(_)));
    path.is_absolute()
        && path != Path::new("/")
        && plain
        && !OWN.iter().any(|own| path.starts_with(own))
}

/// The share that a line of `proc_pid_mountinfo(5)` tells of.
fn share_of(line: &str) -> Option<Share> {
    let (place, kind) = line.split_once(" - ")?;
    let tag = kind.strip_prefix("virtiofs ")?.split(' ').next()?;
    let mut fields = place.split(' ').skip(3);
    // A part of a share that a volume or a container bound elsewhere is none.
    let (root, path, options) = (fields.next()?, fields.next()?, fields.next()?);
    (root == "/").then(|| Share {
        tag: unescaped(tag),
        path: unescaped(path),
        readonly: options.split(',').any(|option| option == "ro"),
    })
}

/// Spaces and the like are told as three octal digits.
fn unescaped(text: &str) -> String {
    let mut pieces = text.split('\\');
    let mut bytes = pieces.next().unwrap_or_default().as_bytes().to_vec();
    for piece in pieces {
        match piece
            .get(..3)
            .and_then(|digits| u8::from_str_radix(digits, 8).ok())
        {
            Some(byte) => {
                bytes.push(byte);
                bytes.extend_from_slice(&piece.as_bytes()[3..]);
            }
            None => {
                bytes.push(b'\\');
                bytes.extend_from_slice(piece.as_bytes());
            }
        }
    }
    String::from_utf8_lossy(&bytes).into_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn shares_are_found_among_the_mounts() {
        let line = r"42 23 0:31 / /home/a\040b rw,relatime shared:1 - virtiofs share0 rw";
        let share = share_of(line).unwrap();
        assert_eq!(
            (share.tag.as_str(), share.path.as_str(), share.readonly),
            ("share0", "/home/a b", false)
        );
        let line = "42 23 0:31 / /home ro,relatime - virtiofs share1 rw";
        assert!(share_of(line).unwrap().readonly);
        assert!(share_of("42 23 0:31 / / rw - tmpfs none rw").is_none());
        assert!(share_of("42 23 0:31 /x /y rw - virtiofs share0 rw").is_none());
    }

    #[test]
    fn the_machines_own_folders_are_no_place_for_shares() {
        for path in [
            "/",
            "home",
            "/proc/1",
            "/home/../proc",
            "/var/lib/proa/images",
        ] {
            assert!(!is_allowed(Path::new(path)), "{path}");
        }
        assert!(is_allowed(Path::new("/home/a, b")));
        assert!(is_allowed(Path::new("/var/lib/proalike")));
    }
}
