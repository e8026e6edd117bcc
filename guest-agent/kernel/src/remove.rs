//! Removes directory trees whose shape somebody else decided: of any depth, changing meanwhile, with links in them.
//!
//! Everything is done by descriptor, so no link is followed and no path gets too long. What lies deeper than a few
//! levels is moved to the top of the tree first, so that depth costs neither stack nor descriptors.

use std::ffi::CStr;
use std::io;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, OwnedFd};
use std::path::Path;

use rustix::fs::{AtFlags, CWD, Dir, FileType, Mode, OFlags, RenameFlags, ResolveFlags};
use rustix::io::Errno;
use rustix::path::Arg;

/// How many directories are open at a time.
const DEEPEST: usize = 32;
/// How often a directory is emptied again into which somebody puts new files.
const TRIES: usize = 16;

/// Removes a directory with all it holds, or a file; what is gone already is no failure. What is mounted in the tree
/// is left alone, and makes this fail.
pub fn remove_tree(path: &Path) -> io::Result<()> {
    let Some(name) = path.file_name() else {
        return Err(Errno::INVAL.into());
    };
    let flags = OFlags::PATH | OFlags::DIRECTORY | OFlags::CLOEXEC;
    let parent = match path.parent() {
        Some(parent) if !parent.as_os_str().is_empty() => {
            match rustix::fs::open(parent, flags, Mode::empty()) {
                Err(Errno::NOENT) => return Ok(()),
                other => other?,
            }
        }
        _ => rustix::fs::openat(CWD, c".", flags, Mode::empty())?,
    };
    Ok(remove_top(parent.as_fd(), &name.into_c_str()?)?)
}

fn remove_top(parent: BorrowedFd<'_>, name: &CStr) -> rustix::io::Result<()> {
    match gone(rustix::fs::unlinkat(parent, name, AtFlags::empty())) {
        Err(Errno::ISDIR | Errno::PERM) => {}
        other => return other,
    }
    let mut tries = 0;
    loop {
        let Some(top) = open(parent, name)? else {
            return Ok(());
        };
        let mut removal = Removal {
            top: top.as_fd(),
            moved: 0,
        };
        removal.empty(&top, 0)?;
        let moved = removal.moved;
        match gone(rustix::fs::unlinkat(parent, name, AtFlags::REMOVEDIR)) {
            Err(Errno::NOTEMPTY) if moved > 0 => {}
            Err(Errno::NOTEMPTY) if tries < TRIES => tries += 1,
            other => return other,
        }
    }
}

struct Removal<'a> {
    top: BorrowedFd<'a>,
    /// Directories moved to the top.
    moved: u64,
}

impl Removal<'_> {
    fn empty(&mut self, directory: &OwnedFd, depth: usize) -> rustix::io::Result<()> {
        for entry in Dir::read_from(directory)? {
            let entry = entry?;
            let name = entry.file_name();
            if name == c"." || name == c".." {
                continue;
            }
            // Not every file system tells kinds.
            if matches!(entry.file_type(), FileType::Directory | FileType::Unknown) {
                self.remove(directory, name, depth)?;
            } else {
                gone(rustix::fs::unlinkat(directory, name, AtFlags::empty()))?;
            }
        }
        Ok(())
    }

    fn remove(&mut self, directory: &OwnedFd, name: &CStr, depth: usize) -> rustix::io::Result<()> {
        match gone(rustix::fs::unlinkat(directory, name, AtFlags::REMOVEDIR)) {
            Err(Errno::NOTDIR) => {
                return gone(rustix::fs::unlinkat(directory, name, AtFlags::empty()));
            }
            Err(Errno::NOTEMPTY | Errno::EXIST) => {}
            other => return other,
        }
        if depth == DEEPEST {
            return self.move_up(directory, name);
        }
        for _ in 0..TRIES {
            let Some(child) = open(directory.as_fd(), name)? else {
                return Ok(());
            };
            self.empty(&child, depth + 1)?;
            match gone(rustix::fs::unlinkat(directory, name, AtFlags::REMOVEDIR)) {
                Err(Errno::NOTEMPTY) => {}
                other => return other,
            }
        }
        Err(Errno::NOTEMPTY)
    }

    /// To the top, under a name that nothing has there.
    fn move_up(&mut self, directory: &OwnedFd, name: &CStr) -> rustix::io::Result<()> {
        loop {
            self.moved += 1;
            let to = format!(".deep-{}-{}", directory.as_raw_fd(), self.moved);
            match rustix::fs::renameat_with(directory, name, self.top, to, RenameFlags::NOREPLACE) {
                Err(Errno::EXIST) => {}
                other => return gone(other),
            }
        }
    }
}

/// A directory of the same mount; `None` if it is gone. One that even root may not read (overlayfs makes one) is
/// made readable.
fn open(parent: BorrowedFd<'_>, name: &CStr) -> rustix::io::Result<Option<OwnedFd>> {
    let with = |flags| {
        let flags = flags | OFlags::DIRECTORY | OFlags::NOFOLLOW | OFlags::CLOEXEC;
        rustix::fs::openat2(parent, name, flags, Mode::empty(), ResolveFlags::NO_XDEV)
    };
    let opened = match with(OFlags::RDONLY) {
        Err(Errno::ACCESS) => {
            let closed = with(OFlags::PATH)?;
            let path = format!("/proc/self/fd/{}", closed.as_raw_fd());
            rustix::fs::chmod(path, Mode::RWXU)?;
            with(OFlags::RDONLY)
        }
        other => other,
    };
    match opened {
        Err(Errno::NOENT) => Ok(None),
        other => other.map(Some),
    }
}

fn gone(result: rustix::io::Result<()>) -> rustix::io::Result<()> {
    match result {
        Err(Errno::NOENT) => Ok(()),
        other => other,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn folder(name: &str) -> std::path::PathBuf {
        let folder = std::env::temp_dir().join(format!("{name}-{}", std::process::id()));
        std::fs::create_dir(&folder).unwrap();
        folder
    }

    #[test]
    fn depth_costs_neither_stack_nor_descriptors() {
        let folder = folder("proa-remove-deep");
        let mut here = rustix::fs::open(&folder, OFlags::DIRECTORY, Mode::empty()).unwrap();
        for _ in 0..5000 {
            rustix::fs::mkdirat(&here, c"d", Mode::RWXU).unwrap();
            rustix::fs::mkdirat(&here, c"e", Mode::RWXU).unwrap();
            let flags = OFlags::CREATE | OFlags::WRONLY;
            rustix::fs::openat(&here, c"file", flags, Mode::RWXU).unwrap();
            here = rustix::fs::openat(&here, c"d", OFlags::DIRECTORY, Mode::empty()).unwrap();
        }
        let small = std::thread::Builder::new().stack_size(64 << 10);
        let path = folder.clone();
        let removed = small.spawn(move || remove_tree(&path)).unwrap().join();
        removed.unwrap().unwrap();
        assert!(!folder.exists());
    }

    #[test]
    fn links_are_removed_and_not_what_they_lead_to() {
        let (folder, kept) = (folder("proa-remove-links"), folder("proa-remove-kept"));
        std::fs::write(kept.join("file"), "").unwrap();
        std::os::unix::fs::symlink(&kept, folder.join("link")).unwrap();
        remove_tree(&folder).unwrap();
        remove_tree(&folder).unwrap();
        assert!(!folder.exists() && kept.join("file").exists());
        remove_tree(&kept).unwrap();
    }
}
