//! Sparse files: GNU's old headers and the three pax formats. All become a list of pieces.

use std::io::BufRead;

use super::header::{BLOCK, Header};
use super::pax::{Overrides, decimal};
use super::reader::{Reader, Record};
use super::{Entry, TarError};

/// Most pieces of one file; a bomb limit.
const MAX_PIECES: usize = 1 << 20;

/// What a pax header says about sparseness.
pub(crate) struct PaxSparse {
    /// The file's real size.
    pub(crate) size: u64,
    /// The pieces, or `None` where the map stands in front of the content.
    pub(crate) pieces: Option<Vec<(u64, u64)>>,
    /// The file's real name.
    pub(crate) name: Option<Vec<u8>>,
}

/// Reads `GNU.sparse.*`; `None` if there is nothing of the kind.
pub(crate) fn from_pax(overrides: &Overrides) -> Result<Option<PaxSparse>, TarError> {
    let find = |key: &[u8]| {
        overrides
            .sparse
            .iter()
            .find(|(k, _)| k == key)
            .map(|(_, v)| v.as_slice())
    };
    let version = (find(b"major"), find(b"minor"));
    let size = find(b"realsize").or(find(b"size"));
    let Some(size) = size else { return Ok(None) };
    let size = decimal(size)?;
    let name = find(b"name").map(<[u8]>::to_vec);
    if version == (Some(b"1"), Some(b"0")) {
        return Ok(Some(PaxSparse {
            size,
            pieces: None,
            name,
        }));
    }
    let mut numbers = Vec::new();
    if let Some(map) = find(b"map") {
        for number in map.split(|b| *b == b',').filter(|n| !n.is_empty()) {
            numbers.push(decimal(number)?);
        }
    } else {
        for (key, value) in &overrides.sparse {
            if matches!(key.as_slice(), b"offset" | b"numbytes") {
                numbers.push(decimal(value)?);
            }
        }
    }
    if numbers.is_empty() && find(b"numblocks").is_none() && find(b"map").is_none() {
        return Ok(None);
    }
    Ok(Some(PaxSparse {
        size,
        pieces: Some(pairs(&numbers)?),
        name,
    }))
}

fn pairs(numbers: &[u64]) -> Result<Vec<(u64, u64)>, TarError> {
    let (pairs, rest) = numbers.as_chunks::<2>();
    if !rest.is_empty() || pairs.len() > MAX_PIECES {
        return Err(TarError::Sparse("odd or too many numbers"));
    }
    Ok(pairs
        .iter()
        .map(|[offset, length]| (*offset, *length))
        .collect())
}

/// Refuses maps that overlap, run backwards, or do not fit the content.
pub(crate) fn check(entry: &Entry) -> Result<(), TarError> {
    let Some(pieces) = &entry.pieces else {
        return Ok(());
    };
    let (mut end, mut sum) = (0_u64, 0_u64);
    for (offset, length) in pieces {
        if *offset < end {
            return Err(TarError::Sparse("pieces overlap"));
        }
        end = offset
            .checked_add(*length)
            .ok_or(TarError::Sparse("out of range"))?;
        sum += length;
    }
    if end > entry.size || sum != entry.payload {
        return Err(TarError::Sparse("pieces do not fit the file"));
    }
    Ok(())
}

/// GNU's old format: four pieces in the header, more in blocks behind it.
pub(crate) fn from_gnu<R: BufRead, T: Record>(
    reader: &mut Reader<R, T>,
    block: &[u8; BLOCK],
    entry: &mut Entry,
) -> Result<(), TarError> {
    let header = Header(block);
    entry.size =
        u64::try_from(header.number(483..495)?).map_err(|_| TarError::Sparse("negative size"))?;
    let mut pieces = Vec::new();
    add_pieces(&header, 386, 4, &mut pieces)?;
    let mut more = block[482] != 0;
    while more {
        let block = reader.block()?.ok_or(TarError::Truncated)?;
        add_pieces(&Header(&block), 0, 21, &mut pieces)?;
        more = block[504] != 0;
    }
    entry.pieces = Some(pieces);
    Ok(())
}

fn add_pieces(
    header: &Header<'_>,
    at: usize,
    count: usize,
    pieces: &mut Vec<(u64, u64)>,
) -> Result<(), TarError> {
    for start in (0..count).map(|n| at + n * 24) {
        if header.0[start] == 0 {
            return Ok(());
        }
        let narrow = |n: i64| u64::try_from(n).map_err(|_| TarError::Sparse("negative number"));
        pieces.push((
            narrow(header.number(start..start + 12)?)?,
            narrow(header.number(start + 12..start + 24)?)?,
        ));
    }
    if pieces.len() > MAX_PIECES {
        Err(TarError::Sparse("too many pieces"))
    } else {
        Ok(())
    }
}

/// Pax 1.0: the map is text in whole blocks in front of the content.
pub(crate) fn from_content<R: BufRead, T: Record>(
    reader: &mut Reader<R, T>,
    entry: &mut Entry,
) -> Result<(), TarError> {
    let mut numbers: Vec<u64> = Vec::new();
    let mut digits = Vec::new();
    let mut wanted = None;
    while wanted.is_none_or(|w| numbers.len() < w) {
        let block = reader.block()?.ok_or(TarError::Truncated)?;
        entry.payload = entry
            .payload
            .checked_sub(BLOCK as u64)
            .ok_or(TarError::Sparse("map is cut"))?;
        for byte in block {
            if wanted.is_some_and(|w| numbers.len() >= w) {
                break;
            }
            if byte != b'\n' {
                digits.push(byte);
                continue;
            }
            let number = decimal(&digits)?;
            digits.clear();
            match wanted {
                None if number as usize > MAX_PIECES => {
                    return Err(TarError::Sparse("too many pieces"));
                }
                None => wanted = Some(number as usize * 2),
                Some(_) => numbers.push(number),
            }
        }
        if digits.len() > 20 {
            return Err(TarError::Sparse("a number is too long"));
        }
    }
    entry.pieces = Some(pairs(&numbers)?);
    Ok(())
}
