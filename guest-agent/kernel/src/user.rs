//! User and group ids of the caller, and the id maps of user namespaces (`user_namespaces(7)`).

use std::fmt::Write as _;
use std::fs::File;
use std::io::{self, Write as _};
use std::os::fd::OwnedFd;

use rustix::process::{Gid, Uid};

use crate::message;
use crate::namespace::Namespaces;
use crate::process::{self, CloneOptions, Cloned};

/// One range of an id map.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Range {
    /// First id inside.
    pub inside: u32,
    /// First id outside.
    pub outside: u32,
    /// How many.
    pub length: u32,
}

/// Takes on these ids and groups for good: real, effective and saved.
pub fn become_user(uid: u32, gid: u32, groups: &[u32]) -> io::Result<()> {
    set_groups(groups)?;
    let gid = Gid::from_raw(gid);
    rustix::thread::set_thread_res_gid(gid, gid, gid)?;
    let uid = Uid::from_raw(uid);
    Ok(rustix::thread::set_thread_res_uid(uid, uid, uid)?)
}

/// Replaces the supplementary groups.
pub fn set_groups(groups: &[u32]) -> io::Result<()> {
    let groups: Vec<Gid> = groups.iter().map(|&gid| Gid::from_raw(gid)).collect();
    Ok(rustix::thread::set_thread_groups(&groups)?)
}

/// Writes the maps of the user namespace that process `pid` was born into.
pub fn write_maps(pid: i32, uids: &[Range], gids: &[Range]) -> io::Result<()> {
    write_map(&format!("/proc/{pid}/uid_map"), uids)?;
    write_map(&format!("/proc/{pid}/gid_map"), gids)
}

fn write_map(path: &str, ranges: &[Range]) -> io::Result<()> {
    let mut text = String::new();
    for range in ranges {
        // Writing to a string does not fail.
        let _ = writeln!(text, "{} {} {}", range.inside, range.outside, range.length);
    }
    // The kernel takes the whole map in one write.
    File::options()
        .write(true)
        .open(path)?
        .write_all(text.as_bytes())
}

/// A user namespace with these maps and nobody in it: what idmapped mounts are mapped by.
pub fn namespace(uids: &[Range], gids: &[Range]) -> io::Result<OwnedFd> {
    let (ours, theirs) = message::pair()?;
    match process::clone3(&CloneOptions {
        namespaces: Namespaces::USER,
        ..CloneOptions::default()
    })? {
        Cloned::Child => {
            drop(ours);
            // Lives until the parent closes its end.
            let _ = message::receive(&theirs, &mut [0]);
            process::exit_now(0)
        }
        Cloned::Parent { pid, pidfd } => {
            drop(theirs);
            let made = write_maps(pid, uids, gids)
                .and_then(|()| File::open(format!("/proc/{pid}/ns/user")))
                .map(OwnedFd::from);
            drop(ours);
            process::wait(&pidfd)?;
            made
        }
    }
}
