//! Reading an archive entry by entry from a stream that cannot seek.

use std::io::{self, BufRead};

use super::header::{BLOCK, Header};
use super::pax::Overrides;
use super::{Entry, Kind, MAX_ENTRIES, MAX_PATH, MAX_SPECIAL, TarError, sparse};

/// Sees all bytes of an archive that are not content of files.
pub(crate) trait Record {
    /// Headers, paddings, the end, and content nobody wanted.
    fn raw(&mut self, bytes: &[u8]) -> io::Result<()>;
}

impl Record for () {
    fn raw(&mut self, _: &[u8]) -> io::Result<()> {
        Ok(())
    }
}

/// Reads entries. Between two calls of [`Reader::next`] the content is read with [`Reader::chunk`]; what is left of
/// it is recorded raw.
pub(crate) struct Reader<R, T> {
    input: R,
    pub(crate) record: T,
    /// Content left of the current entry, and the padding behind it.
    left: u64,
    padding: u64,
    entries: u64,
}

impl<R: BufRead, T: Record> Reader<R, T> {
    pub(crate) fn new(input: R, record: T) -> Self {
        Self {
            input,
            record,
            left: 0,
            padding: 0,
            entries: 0,
        }
    }

    /// The next entry; `None` at the end of the archive, when the rest of the stream has been read too.
    pub(crate) fn next(&mut self) -> Result<Option<Entry>, TarError> {
        self.skip(self.left)?;
        self.skip_padding()?;
        self.entries += 1;
        if self.entries > MAX_ENTRIES {
            return Err(TarError::TooMany);
        }
        let mut long = Overrides::default();
        loop {
            let Some(block) = self.block()? else {
                return Ok(None);
            };
            if block.iter().all(|b| *b == 0) {
                self.drain()?;
                return Ok(None);
            }
            let header = Header::new(&block)?;
            match header.flag() {
                b'x' => long = Overrides::parse(&self.special(&header, "pax header")?)?,
                b'g' => drop(self.special(&header, "global pax header")?),
                b'L' => long.path = Some(until_nul(self.special(&header, "name")?)),
                b'K' => long.link = Some(until_nul(self.special(&header, "link")?)),
                _ => return self.entry(&block, &mut long).map(Some),
            }
        }
    }

    /// The next bytes of the current entry's content; empty at its end. [`Reader::advance`] moves on.
    pub(crate) fn chunk(&mut self) -> Result<&[u8], TarError> {
        if self.left == 0 {
            return Ok(&[]);
        }
        let buffer = self.input.fill_buf()?;
        if buffer.is_empty() {
            return Err(TarError::Truncated);
        }
        Ok(&buffer[..buffer
            .len()
            .min(usize::try_from(self.left).unwrap_or(usize::MAX))])
    }

    pub(crate) fn advance(&mut self, bytes: usize) {
        self.input.consume(bytes);
        self.left -= bytes as u64;
    }

    /// The whole content of the current entry.
    pub(crate) fn content(&mut self, limit: u64) -> Result<Vec<u8>, TarError> {
        if self.left > limit {
            return Err(TarError::TooLong {
                what: "document",
                size: self.left,
            });
        }
        let mut content = Vec::new();
        while self.left > 0 {
            let chunk = self.chunk()?;
            let length = chunk.len();
            content.extend_from_slice(chunk);
            self.advance(length);
        }
        Ok(content)
    }

    /// The next block, recorded; `None` at the end of the stream.
    pub(super) fn block(&mut self) -> Result<Option<[u8; BLOCK]>, TarError> {
        let mut block = [0; BLOCK];
        let mut filled = 0;
        while filled < BLOCK {
            let buffer = self.input.fill_buf()?;
            if buffer.is_empty() {
                return if filled == 0 {
                    Ok(None)
                } else {
                    Err(TarError::Truncated)
                };
            }
            let length = buffer.len().min(BLOCK - filled);
            block[filled..filled + length].copy_from_slice(&buffer[..length]);
            self.input.consume(length);
            filled += length;
        }
        self.record.raw(&block)?;
        Ok(Some(block))
    }

    /// The content of a header that describes the next one.
    fn special(&mut self, header: &Header<'_>, what: &'static str) -> Result<Vec<u8>, TarError> {
        let size = size_of(header)?;
        if size > MAX_SPECIAL {
            return Err(TarError::TooLong { what, size });
        }
        let mut content = Vec::with_capacity(size as usize);
        while (content.len() as u64) < size {
            let block = self.block()?.ok_or(TarError::Truncated)?;
            let length = BLOCK.min(size as usize - content.len());
            content.extend_from_slice(&block[..length]);
        }
        Ok(content)
    }

    fn entry(&mut self, block: &[u8; BLOCK], long: &mut Overrides) -> Result<Entry, TarError> {
        let header = Header(block);
        let mut entry = plain(&header, long)?;
        let pax_sparse = sparse::from_pax(long)?;
        long.apply(&mut entry);
        let length = long.size.map_or_else(|| size_of(&header), limited)?;
        let in_stream = if has_content(entry.kind) { length } else { 0 };
        entry.size = in_stream;
        entry.payload = in_stream;
        self.padding = in_stream.next_multiple_of(BLOCK as u64) - in_stream;
        if let Some(found) = pax_sparse.filter(|_| entry.kind == Kind::File) {
            entry.size = found.size;
            entry.path = found.name.unwrap_or(entry.path);
            match found.pieces {
                Some(pieces) => entry.pieces = Some(pieces),
                None => sparse::from_content(self, &mut entry)?,
            }
        } else if header.flag() == b'S' {
            sparse::from_gnu(self, block, &mut entry)?;
        }
        sparse::check(&entry)?;
        check(&entry)?;
        self.left = entry.payload;
        Ok(entry)
    }

    /// Reads content nobody asked for.
    fn skip(&mut self, mut bytes: u64) -> Result<(), TarError> {
        self.left = 0;
        while bytes > 0 {
            let buffer = self.input.fill_buf()?;
            if buffer.is_empty() {
                return Err(TarError::Truncated);
            }
            let length = buffer
                .len()
                .min(usize::try_from(bytes).unwrap_or(usize::MAX));
            self.record.raw(&buffer[..length])?;
            self.input.consume(length);
            bytes -= length as u64;
        }
        Ok(())
    }

    fn skip_padding(&mut self) -> Result<(), TarError> {
        let padding = std::mem::take(&mut self.padding);
        self.skip(padding)
    }

    /// Everything behind the end mark belongs to the layer's digest too.
    fn drain(&mut self) -> Result<(), TarError> {
        loop {
            let buffer = self.input.fill_buf()?;
            if buffer.is_empty() {
                return Ok(());
            }
            let length = buffer.len();
            self.record.raw(buffer)?;
            self.input.consume(length);
        }
    }
}

fn size_of(header: &Header<'_>) -> Result<u64, TarError> {
    let size =
        u64::try_from(header.number(124..136)?).map_err(|_| TarError::Header("negative size"))?;
    limited(size)
}

fn limited(size: u64) -> Result<u64, TarError> {
    // Far beyond any file system, and it keeps the arithmetic behind it from overflowing.
    if size > 1 << 60 {
        Err(TarError::TooLong { what: "file", size })
    } else {
        Ok(size)
    }
}

fn plain(header: &Header<'_>, long: &Overrides) -> Result<Entry, TarError> {
    let [mode, uid, gid, _, mtime] = header.numbers()?;
    let overridden = long.overrides_owner();
    let owner = |id: i64, overridden: bool| match u32::try_from(id) {
        Ok(id) if id != u32::MAX => Ok(id),
        _ if overridden => Ok(0),
        _ => Err(TarError::Header("an owner is out of range")),
    };
    let path = header.path();
    let kind = kind(header.flag(), long.path.as_ref().unwrap_or(&path))?;
    Ok(Entry {
        link: header.link(),
        kind,
        mode: (mode & 0o7777) as u32,
        uid: owner(uid, overridden.0)?,
        gid: owner(gid, overridden.1)?,
        mtime: (mtime, 0),
        device: if matches!(kind, Kind::CharDevice | Kind::BlockDevice) {
            header.device()?
        } else {
            (0, 0)
        },
        path,
        ..Entry::default()
    })
}

fn kind(flag: u8, path: &[u8]) -> Result<Kind, TarError> {
    Ok(match flag {
        // Before there was a flag for directories they were files with a slash behind them.
        b'0' | 0 | b'7' if path.ends_with(b"/") => Kind::Directory,
        b'0' | 0 | b'7' | b'S' => Kind::File,
        b'1' => Kind::HardLink,
        b'2' => Kind::Symlink,
        b'3' => Kind::CharDevice,
        b'4' => Kind::BlockDevice,
        b'5' => Kind::Directory,
        b'6' => Kind::Fifo,
        other => return Err(TarError::Type(other)),
    })
}

fn has_content(kind: Kind) -> bool {
    kind == Kind::File
}

fn check(entry: &Entry) -> Result<(), TarError> {
    for (what, text) in [("name", &entry.path), ("link", &entry.link)] {
        if text.len() >= MAX_PATH {
            return Err(TarError::TooLong {
                what,
                size: text.len() as u64,
            });
        }
    }
    if entry.size > 1 << 60 || entry.payload > 1 << 60 {
        return Err(TarError::TooLong {
            what: "file",
            size: entry.size,
        });
    }
    Ok(())
}

fn until_nul(mut text: Vec<u8>) -> Vec<u8> {
    let end = text.iter().position(|b| *b == 0).unwrap_or(text.len());
    text.truncate(end);
    text
}
