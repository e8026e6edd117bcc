//! Where a file has content, and how pax 1.0 writes that down: the map as text in whole blocks in front of the content
//! (GNU tar's manual, "Storing Sparse Files").

use std::os::fd::AsFd;

use rustix::fs::SeekFrom;
use rustix::io::Errno;

use crate::tar::BLOCK;

/// The pieces of a file that are not holes: offset and length. `None` where the file has no holes worth mentioning.
pub(super) fn pieces(file: impl AsFd, size: u64) -> Option<Vec<(u64, u64)>> {
    let mut pieces = Vec::new();
    let mut at = 0;
    while at < size {
        let start = match rustix::fs::seek(&file, SeekFrom::Data(at)) {
            Ok(start) => start,
            // Nothing but a hole up to the end.
            Err(Errno::NXIO) => break,
            // A file system that does not tell.
            Err(_) => return rewound(file, None),
        };
        let end = rustix::fs::seek(&file, SeekFrom::Hole(start)).ok()?;
        if start >= size || end <= start {
            break;
        }
        let end = end.min(size);
        pieces.push((start, end - start));
        at = end;
    }
    let whole = pieces == [(0, size)];
    rewound(file, (!whole).then_some(pieces))
}

fn rewound<T>(file: impl AsFd, value: Option<T>) -> Option<T> {
    rustix::fs::seek(file, SeekFrom::Start(0)).ok()?;
    value
}

/// The map in front of the content, in whole blocks.
pub(super) fn map(pieces: &[(u64, u64)]) -> Vec<u8> {
    let mut text = format!("{}\n", pieces.len());
    for (offset, length) in pieces {
        text.push_str(&format!("{offset}\n{length}\n"));
    }
    let mut map = text.into_bytes();
    map.resize(map.len().next_multiple_of(BLOCK), 0);
    map
}
