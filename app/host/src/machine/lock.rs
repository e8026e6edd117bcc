//! One supervisor per user: a lock on a file, which the kernel lets go of when its holder dies, however it dies.

use std::fs::File;
use std::io;
use std::path::Path;

use rustix::fs::FlockOperation;

/// The lock, held until this is dropped.
#[derive(Debug)]
pub struct Lock {
    _file: File,
}

impl Lock {
    /// Takes it, if nobody has it. The file stays where it is for good: removing it would let two hold "it".
    pub fn take(path: &Path) -> io::Result<Option<Self>> {
        let file = File::options()
            .create(true)
            .truncate(false)
            .write(true)
            .open(path)?;
        match rustix::fs::flock(&file, FlockOperation::NonBlockingLockExclusive) {
            Ok(()) => Ok(Some(Self { _file: file })),
            Err(rustix::io::Errno::WOULDBLOCK) => Ok(None),
            Err(e) => Err(e.into()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_holds_it_at_a_time() {
        let folder = tempfile::tempdir().expect("a scratch folder");
        let path = folder.path().join("lock");
        let first = Lock::take(&path).expect("a file can be made");
        assert!(first.is_some());
        assert!(Lock::take(&path).expect("a file can be opened").is_none());
        drop(first);
        assert!(Lock::take(&path).expect("a file can be opened").is_some());
    }
}
