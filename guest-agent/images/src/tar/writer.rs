//! Writing archives: ustar headers, with a pax header in front where a value does not fit.

use std::io::{self, Write};

use super::header::BLOCK;

/// What is written: [`super::Kind`] without the kinds that exports never hold.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum WriterKind {
    File,
    Directory,
    Symlink,
    HardLink,
    CharDevice,
    BlockDevice,
    Fifo,
}

/// One member to write.
#[derive(Clone, Debug)]
pub(crate) struct Member<'a> {
    pub(crate) path: &'a [u8],
    pub(crate) link: &'a [u8],
    pub(crate) kind: WriterKind,
    pub(crate) mode: u32,
    pub(crate) uid: u32,
    pub(crate) gid: u32,
    pub(crate) mtime: (i64, u32),
    pub(crate) size: u64,
    pub(crate) device: (u32, u32),
    pub(crate) xattrs: Vec<(Vec<u8>, Vec<u8>)>,
    /// The file's real size, where its map and its pieces are written (pax 1.0) and `size` is the length of both.
    pub(crate) sparse: Option<u64>,
}

impl<'a> Member<'a> {
    /// A plain file of root's.
    pub(crate) fn file(path: &'a str, size: u64, mtime: i64) -> Self {
        Self {
            path: path.as_bytes(),
            link: b"",
            kind: WriterKind::File,
            mode: 0o644,
            uid: 0,
            gid: 0,
            mtime: (mtime, 0),
            size,
            device: (0, 0),
            xattrs: Vec::new(),
            sparse: None,
        }
    }

    /// A directory of root's.
    pub(crate) fn directory(path: &'a str, mtime: i64) -> Self {
        Self {
            kind: WriterKind::Directory,
            mode: 0o755,
            ..Self::file(path, 0, mtime)
        }
    }
}

/// Writes members; the caller writes each file's content right behind its header, then calls [`Writer::pad`].
pub(crate) struct Writer<W> {
    pub(crate) out: W,
}

impl<W: Write> Writer<W> {
    pub(crate) fn new(out: W) -> Self {
        Self { out }
    }

    pub(crate) fn header(&mut self, member: &Member<'_>) -> io::Result<()> {
        let records = pax_records(member);
        if !records.is_empty() {
            self.out.write_all(&block(
                b"PaxHeaders/entry",
                b"",
                b'x',
                records.len() as u64,
                &Numbers::default(),
            ))?;
            self.out.write_all(&records)?;
            self.pad(records.len() as u64)?;
        }
        let numbers = Numbers {
            mode: member.mode,
            uid: member.uid,
            gid: member.gid,
            mtime: member.mtime.0,
            device: member.device,
        };
        let flag = match member.kind {
            WriterKind::File => b'0',
            WriterKind::HardLink => b'1',
            WriterKind::Symlink => b'2',
            WriterKind::CharDevice => b'3',
            WriterKind::BlockDevice => b'4',
            WriterKind::Directory => b'5',
            WriterKind::Fifo => b'6',
        };
        let path = match member.sparse {
            // Readers that do not know sparse files must not take the map for content of the real one.
            Some(_) => &b"GNUSparseFile.0/entry"[..],
            None => member.path,
        };
        self.out
            .write_all(&block(path, member.link, flag, member.size, &numbers))
    }

    /// A small file, whole.
    pub(crate) fn file(&mut self, path: &str, content: &[u8], mtime: i64) -> io::Result<()> {
        self.header(&Member::file(path, content.len() as u64, mtime))?;
        self.out.write_all(content)?;
        self.pad(content.len() as u64)
    }

    pub(crate) fn pad(&mut self, size: u64) -> io::Result<()> {
        let padding = (size.next_multiple_of(BLOCK as u64) - size) as usize;
        self.out.write_all(&[0; BLOCK][..padding])
    }

    pub(crate) fn finish(mut self) -> io::Result<W> {
        self.out.write_all(&[0; 2 * BLOCK])?;
        Ok(self.out)
    }
}

#[derive(Default)]
struct Numbers {
    mode: u32,
    uid: u32,
    gid: u32,
    mtime: i64,
    device: (u32, u32),
}

const OCTAL_ID: u32 = 0o7_777_777;
const OCTAL_SIZE: u64 = 0o77_777_777_777;

fn pax_records(member: &Member<'_>) -> Vec<u8> {
    let mut records = Vec::new();
    let mut add = |key: &[u8], value: &[u8]| {
        let body = key.len() + value.len() + 3;
        let mut length = body + 1;
        while body + length.to_string().len() != length {
            length = body + length.to_string().len();
        }
        records.extend_from_slice(length.to_string().as_bytes());
        records.push(b' ');
        records.extend_from_slice(key);
        records.push(b'=');
        records.extend_from_slice(value);
        records.push(b'\n');
    };
    if member.path.len() > 100 && member.sparse.is_none() {
        add(b"path", member.path);
    }
    if member.link.len() > 100 {
        add(b"linkpath", member.link);
    }
    if member.size > OCTAL_SIZE {
        add(b"size", member.size.to_string().as_bytes());
    }
    for (key, id) in [(&b"uid"[..], member.uid), (b"gid", member.gid)] {
        if id > OCTAL_ID {
            add(key, id.to_string().as_bytes());
        }
    }
    let (seconds, nanoseconds) = member.mtime;
    if nanoseconds != 0 || !(0..=OCTAL_SIZE as i64).contains(&seconds) {
        add(b"mtime", pax_time(seconds, nanoseconds).as_bytes());
    }
    if let Some(size) = member.sparse {
        add(b"GNU.sparse.major", b"1");
        add(b"GNU.sparse.minor", b"0");
        add(b"GNU.sparse.name", member.path);
        add(b"GNU.sparse.realsize", size.to_string().as_bytes());
    }
    for (name, value) in &member.xattrs {
        add(&[b"SCHILY.xattr.", name.as_slice()].concat(), value);
    }
    records
}

/// The nanoseconds count up from the second, the text's fraction counts away from zero.
fn pax_time(seconds: i64, nanoseconds: u32) -> String {
    if seconds < 0 && nanoseconds > 0 {
        let whole = seconds + 1;
        let sign = if whole == 0 { "-" } else { "" };
        return format!("{sign}{whole}.{:09}", 1_000_000_000 - nanoseconds);
    }
    format!("{seconds}.{nanoseconds:09}")
}

fn block(path: &[u8], link: &[u8], flag: u8, size: u64, numbers: &Numbers) -> [u8; BLOCK] {
    let mut block = [0_u8; BLOCK];
    put(&mut block, 0, path, 100);
    octal(&mut block[100..108], u64::from(numbers.mode));
    octal(
        &mut block[108..116],
        u64::from(if numbers.uid > OCTAL_ID {
            0
        } else {
            numbers.uid
        }),
    );
    octal(
        &mut block[116..124],
        u64::from(if numbers.gid > OCTAL_ID {
            0
        } else {
            numbers.gid
        }),
    );
    octal(
        &mut block[124..136],
        if size > OCTAL_SIZE { 0 } else { size },
    );
    octal(
        &mut block[136..148],
        numbers.mtime.clamp(0, OCTAL_SIZE as i64).cast_unsigned(),
    );
    block[156] = flag;
    put(&mut block, 157, link, 100);
    block[257..265].copy_from_slice(b"ustar\x0000");
    octal(&mut block[329..337], u64::from(numbers.device.0));
    octal(&mut block[337..345], u64::from(numbers.device.1));
    block[148..156].fill(b' ');
    let sum: u64 = block.iter().map(|b| u64::from(*b)).sum();
    octal(&mut block[148..155], sum);
    block
}

fn put(block: &mut [u8; BLOCK], at: usize, text: &[u8], most: usize) {
    let length = text.len().min(most);
    block[at..at + length].copy_from_slice(&text[..length]);
}

fn octal(field: &mut [u8], value: u64) {
    let width = field.len() - 1;
    let digits = format!("{value:0width$o}");
    let digits = digits.as_bytes();
    field[..width].copy_from_slice(&digits[digits.len() - width..]);
    field[width] = 0;
}
