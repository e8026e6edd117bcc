//! The data disk's file: made, grown, measured, and kept to one machine at a time.
//!
//! A raw disk is a sparse file: it occupies what the guest has written and not given back. It only ever grows, because
//! its file system cannot be made smaller. The lock is `flock(2)` on the disk's own file: it goes with the process
//! that holds it, whatever kills it, so that none is ever stale.

use std::fs::{File, OpenOptions};
use std::io::{self, Read as _, Write as _};
use std::path::{Path, PathBuf};

use crate::{Disk, DiskFormat, StartError};

/// A start needs this much free space: a guest whose disk cannot take its first writes damages what is in it.
const NEEDED_TO_START: u64 = 64 << 20;

/// What a qcow2 file opens with (QEMU, `docs/interop/qcow2.txt`).
const QCOW2_MAGIC: [u8; 4] = [b'Q', b'F', b'I', 0xfb];

/// A disk that is ours until this is dropped.
#[derive(Debug)]
pub struct Locked {
    _file: File,
    /// What had to be done to it.
    pub change: Change,
}

/// What preparing a disk did to it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Change {
    /// Nothing.
    None,
    /// It did not exist.
    Made {
        /// Its size.
        bytes: u64,
    },
    /// It was smaller.
    Grown {
        /// What it was.
        from: u64,
        /// What it is.
        to: u64,
    },
}

/// What a disk costs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Usage {
    /// What the file occupies on the host.
    pub allocated: u64,
    /// How large the guest sees it.
    pub size: u64,
}

/// Takes the disk, making or growing it as its owner wants.
pub fn prepare(disk: &Disk) -> Result<Locked, StartError> {
    let folder = disk.path.parent().unwrap_or(Path::new("."));
    std::fs::create_dir_all(folder).map_err(|source| failed("make the folder of", disk, source))?;
    enough_space(disk, folder)?;
    let (file, is_new) = open(disk)?;
    lock(&file, disk)?;
    // Two may have made it at once; the one that got the lock first has filled it.
    let empty = is_new || length(&file, disk)? == 0;
    let change = if empty {
        make(&file, disk)?
    } else {
        fit(&file, disk)?
    };
    Ok(Locked {
        _file: file,
        change,
    })
}

/// What the disk costs; none if there is no such file.
pub fn usage(disk: &Disk) -> io::Result<Option<Usage>> {
    let file = match File::open(&disk.path) {
        Ok(file) => file,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
        Err(error) => return Err(error),
    };
    let size = match qcow2_size(&file)? {
        Some(size) => size,
        None => file.metadata()?.len(),
    };
    Ok(Some(Usage {
        allocated: allocated(&file)?,
        size,
    }))
}

/// Whether some machine, or who makes a copy of it, holds the disk now.
pub fn is_in_use(disk: &Disk) -> io::Result<bool> {
    match File::open(&disk.path) {
        Ok(file) => match file.try_lock() {
            Ok(()) => Ok(false),
            Err(std::fs::TryLockError::WouldBlock) => Ok(true),
            Err(std::fs::TryLockError::Error(error)) => Err(error),
        },
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(false),
        Err(error) => Err(error),
    }
}

fn failed(doing: &'static str, disk: &Disk, source: io::Error) -> StartError {
    match source.kind() {
        io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded => no_space(disk, 0),
        _ => StartError::Disk {
            doing,
            path: disk.path.clone(),
            source,
        },
    }
}

fn no_space(disk: &Disk, free: u64) -> StartError {
    StartError::NoSpace {
        path: disk.path.clone(),
        free: free >> 20,
        needed: NEEDED_TO_START >> 20,
    }
}

fn enough_space(disk: &Disk, folder: &Path) -> Result<(), StartError> {
    let free =
        free_space(folder).map_err(|source| failed("look at the space for", disk, source))?;
    match free {
        Some(free) if free < NEEDED_TO_START => Err(no_space(disk, free)),
        Some(_) | None => Ok(()),
    }
}

#[cfg(unix)]
fn free_space(folder: &Path) -> io::Result<Option<u64>> {
    let stats = rustix::fs::statvfs(folder)?;
    Ok(Some(stats.f_bavail.saturating_mul(stats.f_frsize)))
}

#[cfg(not(unix))]
fn free_space(_folder: &Path) -> io::Result<Option<u64>> {
    Ok(None)
}

#[cfg(unix)]
fn allocated(file: &File) -> io::Result<u64> {
    use std::os::unix::fs::MetadataExt as _;
    // In units of 512 bytes, whatever the file system's are (stat(2)).
    Ok(file.metadata()?.blocks() * 512)
}

#[cfg(not(unix))]
fn allocated(file: &File) -> io::Result<u64> {
    Ok(file.metadata()?.len())
}

/// The file, and whether it was made just now.
fn open(disk: &Disk) -> Result<(File, bool), StartError> {
    let mut options = OpenOptions::new();
    options.read(true).write(true);
    match options.open(&disk.path) {
        Ok(file) => return Ok((file, false)),
        Err(error) if error.kind() == io::ErrorKind::NotFound => {}
        Err(source) => return Err(failed("open", disk, source)),
    }
    private(&mut options);
    let made = options.create(true).truncate(false).open(&disk.path);
    let file = made.map_err(|source| failed("make", disk, source))?;
    Ok((file, true))
}

/// What is in containers is nobody else's business.
#[cfg(unix)]
fn private(options: &mut OpenOptions) {
    use std::os::unix::fs::OpenOptionsExt as _;
    options.mode(0o600);
}

#[cfg(not(unix))]
fn private(_options: &mut OpenOptions) {}

fn lock(file: &File, disk: &Disk) -> Result<(), StartError> {
    match file.try_lock() {
        Ok(()) => Ok(()),
        Err(std::fs::TryLockError::WouldBlock) => Err(StartError::DiskInUse {
            path: disk.path.clone(),
        }),
        Err(std::fs::TryLockError::Error(source)) => Err(failed("lock", disk, source)),
    }
}

fn length(file: &File, disk: &Disk) -> Result<u64, StartError> {
    let metadata = file
        .metadata()
        .map_err(|source| failed("look at", disk, source))?;
    if metadata.is_file() {
        Ok(metadata.len())
    } else {
        Err(unfit(disk, "it is no ordinary file"))
    }
}

fn unfit(disk: &Disk, why: &str) -> StartError {
    StartError::DiskUnfit {
        path: disk.path.clone(),
        why: why.into(),
    }
}

fn make(file: &File, disk: &Disk) -> Result<Change, StartError> {
    match disk.format {
        DiskFormat::Raw => file.set_len(disk.size),
        DiskFormat::Qcow2 => write_empty_qcow2(file, disk.size),
    }
    .map_err(|source| failed("make", disk, source))?;
    Ok(Change::Made { bytes: disk.size })
}

fn fit(file: &File, disk: &Disk) -> Result<Change, StartError> {
    let qcow2 = qcow2_size(file).map_err(|source| failed("look at", disk, source))?;
    match (disk.format, qcow2) {
        (DiskFormat::Raw, None) => grow(file, disk),
        // QEMU grows one while it runs; the hypervisor's backend asks for that.
        (DiskFormat::Qcow2, Some(_)) => Ok(Change::None),
        (DiskFormat::Raw, Some(_)) => Err(unfit(
            disk,
            "it is a qcow2 file, and a raw one was expected",
        )),
        (DiskFormat::Qcow2, None) => Err(unfit(disk, "it is no qcow2 file")),
    }
}

fn grow(file: &File, disk: &Disk) -> Result<Change, StartError> {
    let from = length(file, disk)?;
    if from >= disk.size {
        return Ok(Change::None);
    }
    file.set_len(disk.size)
        .map_err(|source| failed("grow", disk, source))?;
    Ok(Change::Grown {
        from,
        to: disk.size,
    })
}

/// The size in a qcow2 header: eight bytes, big end first, at 24.
fn qcow2_size(mut file: &File) -> io::Result<Option<u64>> {
    let mut head = [0; 32];
    match file.read_exact(&mut head) {
        Ok(()) if head[..4] == QCOW2_MAGIC => {
            let mut size = [0; 8];
            size.copy_from_slice(&head[24..]);
            Ok(Some(u64::from_be_bytes(size)))
        }
        Ok(()) => Ok(None),
        Err(error) if error.kind() == io::ErrorKind::UnexpectedEof => Ok(None),
        Err(error) => Err(error),
    }
}

/// An image of version 3 without content: header, a table of reference counts with one block, an empty first table.
/// Clusters have 64 KiB; everything that is a number has its big end first.
fn write_empty_qcow2(mut file: &File, size: u64) -> io::Result<()> {
    const CLUSTER: u64 = 1 << 16;
    // One entry of the first table stands for one cluster of second entries, of eight bytes each.
    let entries = size.div_ceil(CLUSTER * (CLUSTER / 8));
    let table_clusters = (entries * 8).div_ceil(CLUSTER).max(1);
    let mut image = Vec::new();
    image.extend(QCOW2_MAGIC);
    let words = |image: &mut Vec<u8>, words: &[u32]| {
        image.extend(words.iter().flat_map(|word| word.to_be_bytes()));
    };
    // Version; no backing file (offset, length); 2^16 bytes in a cluster.
    words(&mut image, &[3, 0, 0, 0, 16]);
    image.extend(size.to_be_bytes());
    // No encryption; the first table.
    words(&mut image, &[0, entries as u32]);
    image.extend((3 * CLUSTER).to_be_bytes());
    image.extend(CLUSTER.to_be_bytes());
    // One cluster of reference table; no snapshots.
    words(&mut image, &[1, 0]);
    image.extend(0_u64.to_be_bytes());
    // No features of any kind; counts of 2^4 bits; length of this header.
    image.extend([0; 24]);
    words(&mut image, &[4, 104]);
    image.resize(CLUSTER as usize, 0);
    image.extend((2 * CLUSTER).to_be_bytes());
    image.resize(2 * CLUSTER as usize, 0);
    // Header, reference table, reference block and the first table are used once each.
    image.extend((0..3 + table_clusters).flat_map(|_| 1_u16.to_be_bytes()));
    image.resize(((3 + table_clusters) * CLUSTER) as usize, 0);
    file.write_all(&image)?;
    file.sync_all()
}

/// Where a disk of that format is kept by convention in a folder.
pub fn file_in(folder: &Path, format: DiskFormat) -> PathBuf {
    match format {
        DiskFormat::Raw => folder.join("disk.raw"),
        DiskFormat::Qcow2 => folder.join("disk.qcow2"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const GB: u64 = 1 << 30;

    fn disk(folder: &Path, size: u64, format: DiskFormat) -> Disk {
        Disk {
            path: file_in(folder, format),
            size,
            format,
        }
    }

    #[test]
    fn a_disk_is_made_sparse_grown_and_never_shrunk() {
        let folder = tempfile::tempdir().expect("a folder");
        let of = |size| disk(folder.path(), size, DiskFormat::Raw);
        assert_eq!(usage(&of(0)).expect("no file is no error"), None);
        let change = |size| prepare(&of(size)).expect("it can be taken").change;
        assert_eq!(change(8 * GB), Change::Made { bytes: 8 * GB });
        let used = usage(&of(0)).expect("it can be read").expect("it is there");
        assert_eq!(used.size, 8 * GB);
        assert!(used.allocated < 1 << 20, "{used:?}");
        assert_eq!(change(8 * GB), Change::None);
        let (from, to) = (8 * GB, 16 * GB);
        assert_eq!(change(16 * GB), Change::Grown { from, to });
        assert_eq!(change(4 * GB), Change::None);
        assert_eq!(
            usage(&of(0)).expect("readable").expect("there").size,
            16 * GB
        );
    }

    #[test]
    fn a_disk_is_one_machines_at_a_time() {
        let folder = tempfile::tempdir().expect("a folder");
        let disk = disk(folder.path(), GB, DiskFormat::Raw);
        assert!(!is_in_use(&disk).expect("no file is no error"));
        let first = prepare(&disk).expect("it can be taken");
        assert!(is_in_use(&disk).expect("it can be asked"));
        let error = prepare(&disk).expect_err("it is taken");
        assert!(matches!(error, StartError::DiskInUse { .. }), "{error}");
        drop(first);
        assert!(!is_in_use(&disk).expect("it can be asked"));
        prepare(&disk).expect("it is free again");
    }

    #[test]
    fn a_file_that_is_something_else_is_left_alone() {
        let folder = tempfile::tempdir().expect("a folder");
        let raw = disk(folder.path(), GB, DiskFormat::Raw);
        drop(prepare(&raw).expect("it can be taken"));
        let as_qcow2 = Disk {
            format: DiskFormat::Qcow2,
            ..raw.clone()
        };
        assert!(
            prepare(&as_qcow2)
                .expect_err("it is raw")
                .to_string()
                .contains("no qcow2")
        );
        let qcow2 = disk(folder.path(), GB, DiskFormat::Qcow2);
        drop(prepare(&qcow2).expect("it can be taken"));
        let as_raw = Disk {
            format: DiskFormat::Raw,
            ..qcow2
        };
        assert!(
            prepare(&as_raw)
                .expect_err("it is qcow2")
                .to_string()
                .contains("qcow2")
        );
    }

    /// By the program whose format it is.
    #[test]
    fn qemu_finds_no_fault_with_an_empty_qcow2() {
        let folder = tempfile::tempdir().expect("a folder");
        for size in [GB, 100 * GB, 5000 * GB] {
            let disk = disk(folder.path(), size, DiskFormat::Qcow2);
            drop(prepare(&disk).expect("it can be made"));
            let checked = std::process::Command::new("qemu-img")
                .args(["check", "-f", "qcow2"])
                .arg(&disk.path)
                .output()
                .expect("qemu-img is installed");
            assert!(checked.status.success(), "{checked:?}");
            assert_eq!(usage(&disk).expect("readable").expect("there").size, size);
            std::fs::remove_file(&disk.path).expect("it is there");
        }
    }
}
