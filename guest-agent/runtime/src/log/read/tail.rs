//! Finds where the last entries of a log begin, from behind.

use std::collections::VecDeque;
use std::fs::File;
use std::io::{self, BufReader, Read, Seek, SeekFrom};

use super::Format;
use super::file::LogFile;
use crate::log::local;

/// How much is looked at in one step backwards.
const BLOCK: u64 = 32 * 1024;

/// Leaves only the last `count` entries in `files`.
pub(super) fn keep_last(files: &mut VecDeque<LogFile>, count: usize) -> io::Result<()> {
    let mut missing = count;
    let mut kept = 0;
    for file in files.iter_mut().rev() {
        // The newest file is followed, whatever is wanted of it.
        if missing == 0 && kept > 0 {
            break;
        }
        missing -= position(file, missing)?;
        kept += 1;
    }
    let older = files.len() - kept;
    files.drain(..older);
    Ok(())
}

/// Places a file before its last `count` entries; says how many it has of them.
fn position(file: &mut LogFile, count: usize) -> io::Result<usize> {
    let format = file.format();
    match (file.plain(), format) {
        (Some(plain), Format::Json) => before_lines(plain, count),
        (Some(plain), Format::Local) => before_records(plain, count),
        (None, _) => by_counting(file, count),
    }
}

/// Newlines counted from the end: each ends an entry.
fn before_lines(file: &mut BufReader<File>, count: usize) -> io::Result<usize> {
    let end = file.seek(SeekFrom::End(0))?;
    let mut block = Vec::new();
    let mut found = 0;
    let mut start = end;
    while start > 0 {
        let length = BLOCK.min(start);
        start -= length;
        file.seek(SeekFrom::Start(start))?;
        block.clear();
        file.take(length).read_to_end(&mut block)?;
        for (at, byte) in block.iter().enumerate().rev() {
            if *byte != b'\n' {
                continue;
            }
            // This newline ends the entry before the wanted ones.
            if found == count {
                file.seek(SeekFrom::Start(start + at as u64 + 1))?;
                return Ok(count);
            }
            found += 1;
        }
    }
    file.seek(SeekFrom::Start(0))?;
    Ok(found)
}

/// Walks backwards by the lengths that end the records.
fn before_records(file: &mut BufReader<File>, count: usize) -> io::Result<usize> {
    let mut at = file.seek(SeekFrom::End(0))?;
    let mut found = 0;
    while found < count && at >= 8 {
        file.seek(SeekFrom::Start(at - 4))?;
        let mut length = [0; 4];
        file.read_exact(&mut length)?;
        let length = u64::from(u32::from_be_bytes(length));
        if length > local::LONGEST as u64 || length + 8 > at {
            // Damaged, or caught while being written: from the front, then.
            file.seek(SeekFrom::Start(0))?;
            return Ok(found);
        }
        at -= length + 8;
        found += 1;
    }
    file.seek(SeekFrom::Start(at))?;
    Ok(found)
}

/// What is compressed can only be read from the front.
fn by_counting(file: &mut LogFile, count: usize) -> io::Result<usize> {
    let mut total = 0;
    while file.next()?.is_some() {
        total += 1;
    }
    file.rewind()?;
    for _ in count..total {
        file.next()?;
    }
    Ok(total.min(count))
}
