//! Backup and restore of the data disk, while the machine is stopped: compressed, and what is empty takes no room.

use std::fs::File;
use std::io::{self, BufReader, BufWriter, Read, Seek, SeekFrom, Write};
use std::path::{Path, PathBuf};

use super::folders::Folders;
use super::lock::Lock;

/// Why there is no copy of the disk.
#[derive(Debug, thiserror::Error)]
pub enum ArchiveError {
    /// It would be copied while it changes.
    #[error("the machine runs; stop it first with `proa machine stop`")]
    Running,
    /// There is nothing to copy.
    #[error("the machine has no data disk yet: {}", .0.display())]
    NoDisk(PathBuf),
    /// The file is something else.
    #[error("{} is no backup of a machine's disk", .0.display())]
    Foreign(PathBuf),
    /// Nothing is overwritten.
    #[error("{} is there already", .0.display())]
    Exists(PathBuf),
    /// A call to the operating system failed.
    #[error("{doing} {}", .path.display())]
    Io {
        /// What was attempted.
        doing: &'static str,
        /// On what.
        path: PathBuf,
        /// What the operating system said.
        source: io::Error,
    },
}

/// The first bytes of a backup, inside the compression: a name, and the version of what follows.
const MAGIC: &[u8; 16] = b"proa data disk 1";
/// What is looked at and written at a time.
const BLOCK: usize = 1 << 16;
/// Quick, and within a few percent of the slower ones on disks.
const LEVEL: i32 = 3;

fn failed<'a>(
    doing: &'static str,
    path: &'a Path,
) -> impl Fn(io::Error) -> ArchiveError + Copy + use<'a> {
    move |source| ArchiveError::Io {
        doing,
        path: path.to_owned(),
        source,
    }
}

/// Writes the data disk to `to`, which must not exist; tells how many bytes of it were in use.
pub fn backup(folders: &Folders, to: &Path) -> Result<u64, ArchiveError> {
    let _lock = locked(folders)?;
    let disk = folders.disk();
    let mut from = match File::open(&disk) {
        Err(e) if e.kind() == io::ErrorKind::NotFound => return Err(ArchiveError::NoDisk(disk)),
        other => other.map_err(failed("open", &disk))?,
    };
    let folder = to.parent().filter(|folder| !folder.as_os_str().is_empty());
    let folder = folder.unwrap_or(Path::new("."));
    let write = failed("write", to);
    if to.exists() {
        return Err(ArchiveError::Exists(to.to_owned()));
    }
    let mut beside = tempfile::NamedTempFile::new_in(folder).map_err(write)?;
    let mut out = zstd::Encoder::new(BufWriter::new(&mut beside), LEVEL).map_err(write)?;
    let copied = pack(&mut from, &mut out).map_err(write)?;
    let out = out.finish().map_err(write)?;
    out.into_inner().map_err(|e| write(e.into_error()))?;
    beside.as_file().sync_all().map_err(write)?;
    beside.persist_noclobber(to).map_err(|e| write(e.error))?;
    Ok(copied)
}

/// Makes the data disk of a backup; the disk that was there is kept beside it. Tells where.
pub fn restore(folders: &Folders, from: &Path) -> Result<Option<PathBuf>, ArchiveError> {
    let _lock = locked(folders)?;
    let file = File::open(from).map_err(failed("open", from))?;
    let mut input = zstd::Decoder::new(BufReader::new(file)).map_err(failed("read", from))?;
    let mut magic = [0; MAGIC.len()];
    if input.read_exact(&mut magic).is_err() || &magic != MAGIC {
        return Err(ArchiveError::Foreign(from.to_owned()));
    }
    let disk = folders.disk();
    let write = failed("write", &disk);
    let mut beside = tempfile::NamedTempFile::new_in(&folders.home).map_err(write)?;
    unpack(&mut input, beside.as_file_mut()).map_err(failed("read", from))?;
    beside.as_file().sync_all().map_err(write)?;
    let kept = disk
        .exists()
        .then(|| disk.with_extension("raw.before-restore"));
    if let Some(kept) = &kept {
        std::fs::rename(&disk, kept).map_err(failed("keep", &disk))?;
    }
    beside.persist(&disk).map_err(|e| write(e.error))?;
    Ok(kept)
}

/// What a supervisor holds as long as it lives, so that none starts meanwhile.
fn locked(folders: &Folders) -> Result<Lock, ArchiveError> {
    let path = folders.lock();
    folders.create().map_err(|e| ArchiveError::Io {
        doing: "make the folder of",
        path: path.clone(),
        source: io::Error::other(e),
    })?;
    let lock = Lock::take(&path).map_err(failed("lock", &path))?;
    lock.ok_or(ArchiveError::Running)
}

/// `[position, length]` as little-endian u64 each and the bytes, for every stretch in use; at last the size and a
/// length of 0.
fn pack(from: &mut File, out: &mut impl Write) -> io::Result<u64> {
    out.write_all(MAGIC)?;
    let size = from.metadata()?.len();
    let (mut copied, mut at) = (0, 0);
    let mut block = vec![0; BLOCK];
    while let Some(start) = next_used(from, at)? {
        let count = (size - start).min(BLOCK as u64) as usize;
        from.seek(SeekFrom::Start(start))?;
        from.read_exact(&mut block[..count])?;
        if block[..count].iter().any(|byte| *byte != 0) {
            out.write_all(&start.to_le_bytes())?;
            out.write_all(&(count as u64).to_le_bytes())?;
            out.write_all(&block[..count])?;
            copied += count as u64;
        }
        at = start + count as u64;
    }
    out.write_all(&size.to_le_bytes())?;
    out.write_all(&0_u64.to_le_bytes())?;
    Ok(copied)
}

/// Where the next stretch begins that is no hole (`SEEK_DATA`, lseek(2)).
#[cfg(target_os = "linux")]
fn next_used(file: &File, at: u64) -> io::Result<Option<u64>> {
    match rustix::fs::seek(file, rustix::fs::SeekFrom::Data(at)) {
        Ok(found) => Ok(Some(found)),
        Err(rustix::io::Errno::NXIO) => Ok(None),
        Err(e) => Err(e.into()),
    }
}

#[cfg(not(target_os = "linux"))]
fn next_used(file: &File, at: u64) -> io::Result<Option<u64>> {
    Ok((at < file.metadata()?.len()).then_some(at))
}

fn unpack(input: &mut impl Read, disk: &mut File) -> io::Result<()> {
    let mut block = vec![0; BLOCK];
    loop {
        let (position, length) = (number(input)?, number(input)? as usize);
        if length == 0 {
            return disk.set_len(position);
        }
        let block = block.get_mut(..length).ok_or(io::ErrorKind::InvalidData)?;
        input.read_exact(block)?;
        disk.seek(SeekFrom::Start(position))?;
        disk.write_all(block)?;
    }
}

fn number(input: &mut impl Read) -> io::Result<u64> {
    let mut bytes = [0; 8];
    input.read_exact(&mut bytes)?;
    Ok(u64::from_le_bytes(bytes))
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::{FileExt, MetadataExt};

    use super::*;

    #[test]
    fn a_disk_comes_back_with_its_holes() {
        let scratch = tempfile::tempdir().expect("a scratch folder");
        let folders = Folders {
            home: scratch.path().join("home"),
            run: scratch.path().join("run"),
        };
        folders.create().expect("it is ours");
        let backup_file = scratch.path().join("copy");
        let nothing = backup(&folders, &backup_file);
        assert!(matches!(nothing, Err(ArchiveError::NoDisk(_))));

        let disk = File::create(folders.disk()).expect("it is ours");
        disk.set_len(1 << 30).expect("it is sparse");
        for position in [0, 5_000_000, (1 << 30) - 3] {
            disk.write_all_at(b"abc", position).expect("there is room");
        }
        let copied = backup(&folders, &backup_file).expect("it is stopped");
        assert!(copied < 1 << 20, "{copied} bytes in use");
        let again = backup(&folders, &backup_file);
        assert!(matches!(again, Err(ArchiveError::Exists(_))));

        std::fs::write(folders.disk(), "lost").expect("it is ours");
        let kept = restore(&folders, &backup_file).expect("it is a backup");
        assert_eq!(
            std::fs::read(kept.expect("it was there")).ok().as_deref(),
            Some(&b"lost"[..])
        );
        let disk = File::open(folders.disk()).expect("it is there");
        let about = disk.metadata().expect("it is open");
        assert_eq!(about.len(), 1 << 30);
        assert!(about.blocks() * 512 < 1 << 20, "holes are holes again");
        let mut found = [0; 3];
        disk.read_exact_at(&mut found, 5_000_000)
            .expect("it is long enough");
        assert_eq!(&found, b"abc");
        let foreign = restore(&folders, &folders.disk());
        assert!(foreign.is_err());
    }

    #[test]
    fn a_machine_that_runs_is_left_alone() {
        let scratch = tempfile::tempdir().expect("a scratch folder");
        let folders = Folders {
            home: scratch.path().join("home"),
            run: scratch.path().join("run"),
        };
        folders.create().expect("it is ours");
        let _held = Lock::take(&folders.lock()).expect("it is ours");
        let refused = backup(&folders, &scratch.path().join("copy"));
        assert!(matches!(refused, Err(ArchiveError::Running)));
    }
}
