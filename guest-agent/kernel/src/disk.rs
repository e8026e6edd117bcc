//! Disks: which there are, and an XFS that grows with its own.

use std::fs::{self, File};
use std::io;
use std::os::fd::AsRawFd;
use std::path::{Path, PathBuf};

use crate::sys::check;

/// A disk that names itself.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Disk {
    /// Its device.
    pub device: PathBuf,
    /// What the host gave it as its serial (`drivers/block/virtio_blk.c`, `serial_show`).
    pub serial: String,
    /// Bytes.
    pub size: u64,
}

/// Every disk that has a serial.
pub fn all() -> Vec<Disk> {
    let blocks = fs::read_dir("/sys/block").into_iter().flatten().flatten();
    blocks
        .filter_map(|block| {
            let serial = fs::read_to_string(block.path().join("serial")).ok()?;
            let sectors = fs::read_to_string(block.path().join("size")).ok()?;
            Some(Disk {
                device: Path::new("/dev").join(block.file_name()),
                serial: serial.trim().to_owned(),
                // Always in units of 512, whatever the disk's own sectors are.
                size: sectors.trim().parse::<u64>().ok()? * 512,
            })
        })
        .collect()
}

/// `struct xfs_fsop_geom_v1` of `xfs_fs.h`, which every XFS answers.
#[repr(C)]
#[derive(Default)]
struct Geometry {
    block_size: u32,
    _units: [u32; 6],
    max_percent: u32,
    data_blocks: u64,
    _rest: [u64; 9],
}

/// `struct xfs_growfs_data`
#[repr(C)]
struct Grow {
    blocks: u64,
    max_percent: u32,
}

const fn ioctl(direction: u32, number: u32, size: usize) -> u64 {
    ((direction << 30) | ((size as u32) << 16) | ((b'X' as u32) << 8) | number) as u64
}
/// `XFS_IOC_FSGEOMETRY_V1`: read
const GEOMETRY: u64 = ioctl(2, 100, size_of::<Geometry>());
/// `XFS_IOC_FSGROWFSDATA`: write
const GROW: u64 = ioctl(1, 110, size_of::<Grow>());

/// Grows the XFS mounted at `at` to fill a disk of `size` bytes; says by how many bytes, 0 if it does already.
pub fn grow_xfs(at: &Path, size: u64) -> io::Result<u64> {
    let root = File::open(at)?;
    let mut geometry = Geometry::default();
    // SAFETY: the kernel writes one `Geometry`, whose size is in the request's number.
    check(unsafe { libc::ioctl(root.as_raw_fd(), GEOMETRY as _, &raw mut geometry) })?;
    let unit = u64::from(geometry.block_size);
    let grow = Grow {
        blocks: size / unit,
        max_percent: geometry.max_percent,
    };
    if grow.blocks <= geometry.data_blocks {
        return Ok(0);
    }
    // SAFETY: the kernel reads one `Grow`, whose size is in the request's number.
    check(unsafe { libc::ioctl(root.as_raw_fd(), GROW as _, &raw const grow) })?;
    Ok((grow.blocks - geometry.data_blocks) * unit)
}
