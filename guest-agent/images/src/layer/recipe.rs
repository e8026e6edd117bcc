//! A layer's recipe: what is needed beside its files to make its exact tar again.
//!
//! A compressed stream of instructions. Headers, paddings and everything else that no file holds are in it
//! literally; a file's content is a path. A file that the same layer overwrote later is kept aside and named by a
//! later instruction. Integers are little-endian.
//!
//! ```text
//! 0 length:u32 bytes          these bytes
//! 1 length:u16 path size:u64  the content of this file
//! 2 length:u16 path count:u32 (offset:u64 length:u64)…   pieces of this sparse file
//! 3 length:u16 path number:u32  what was at this path until now is `replaced/<number>`
//! ```

use std::cell::RefCell;
use std::collections::BTreeMap;
use std::fs::File;
use std::io::{self, BufReader, BufWriter, Read, Write};
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};
use std::rc::Rc;

use crate::tar;

const RAW: u8 = 0;
const FILE: u8 = 1;
const SPARSE: u8 = 2;
const REPLACED: u8 = 3;

/// Writes a recipe while a layer is unpacked.
pub(crate) struct Recipe {
    out: BufWriter<zstd::Encoder<'static, File>>,
    /// Raw bytes not written yet, so that a run of blocks is one instruction.
    pending: Vec<u8>,
}

impl Recipe {
    pub(crate) fn create(path: &Path) -> io::Result<Self> {
        let encoder = zstd::Encoder::new(File::create_new(path)?, 1)?;
        Ok(Self {
            out: BufWriter::with_capacity(64 << 10, encoder),
            pending: Vec::new(),
        })
    }

    pub(crate) fn file(&mut self, path: &[u8], size: u64) -> io::Result<()> {
        self.path(FILE, path)?;
        self.out.write_all(&size.to_le_bytes())
    }

    pub(crate) fn sparse(&mut self, path: &[u8], pieces: &[(u64, u64)]) -> io::Result<()> {
        self.path(SPARSE, path)?;
        self.out.write_all(&(pieces.len() as u32).to_le_bytes())?;
        for (offset, length) in pieces {
            self.out.write_all(&offset.to_le_bytes())?;
            self.out.write_all(&length.to_le_bytes())?;
        }
        Ok(())
    }

    pub(crate) fn replaced(&mut self, path: &[u8], number: u32) -> io::Result<()> {
        self.path(REPLACED, path)?;
        self.out.write_all(&number.to_le_bytes())
    }

    pub(crate) fn finish(mut self) -> io::Result<()> {
        self.flush_pending()?;
        let encoder = self
            .out
            .into_inner()
            .map_err(io::IntoInnerError::into_error)?;
        encoder.finish().map(drop)
    }

    fn path(&mut self, kind: u8, path: &[u8]) -> io::Result<()> {
        self.flush_pending()?;
        self.out.write_all(&[kind])?;
        self.out.write_all(&(path.len() as u16).to_le_bytes())?;
        self.out.write_all(path)
    }

    fn flush_pending(&mut self) -> io::Result<()> {
        if self.pending.is_empty() {
            return Ok(());
        }
        self.out.write_all(&[RAW])?;
        self.out
            .write_all(&(self.pending.len() as u32).to_le_bytes())?;
        self.out.write_all(&self.pending)?;
        self.pending.clear();
        Ok(())
    }
}

impl tar::Record for Rc<RefCell<Recipe>> {
    fn raw(&mut self, bytes: &[u8]) -> io::Result<()> {
        let mut recipe = self.borrow_mut();
        recipe.pending.extend_from_slice(bytes);
        if recipe.pending.len() > 60 << 10 {
            recipe.flush_pending()
        } else {
            Ok(())
        }
    }
}

/// One instruction as read back.
enum Step {
    Raw(Vec<u8>),
    File {
        path: Vec<u8>,
        pieces: Vec<(u64, u64)>,
    },
    Replaced {
        path: Vec<u8>,
        number: u32,
    },
}

struct Steps<R>(R);

impl<R: Read> Steps<R> {
    fn next(&mut self) -> io::Result<Option<Step>> {
        let mut kind = [0];
        if self.0.read(&mut kind)? == 0 {
            return Ok(None);
        }
        Ok(Some(match kind[0] {
            RAW => {
                let length = u32::from_le_bytes(self.array()?);
                Step::Raw(self.bytes(u64::from(length))?)
            }
            FILE => Step::File {
                path: self.path()?,
                pieces: vec![(0, u64::from_le_bytes(self.array()?))],
            },
            SPARSE => {
                let path = self.path()?;
                let count = u32::from_le_bytes(self.array()?);
                let mut pieces = Vec::new();
                for _ in 0..count {
                    pieces.push((
                        u64::from_le_bytes(self.array()?),
                        u64::from_le_bytes(self.array()?),
                    ));
                }
                Step::File { path, pieces }
            }
            REPLACED => Step::Replaced {
                path: self.path()?,
                number: u32::from_le_bytes(self.array()?),
            },
            _ => return Err(io::Error::other("the layer's recipe is damaged")),
        }))
    }

    fn array<const N: usize>(&mut self) -> io::Result<[u8; N]> {
        let mut array = [0; N];
        self.0.read_exact(&mut array)?;
        Ok(array)
    }

    fn path(&mut self) -> io::Result<Vec<u8>> {
        let length = u16::from_le_bytes(self.array()?);
        self.bytes(u64::from(length))
    }

    fn bytes(&mut self, length: u64) -> io::Result<Vec<u8>> {
        let mut bytes = Vec::with_capacity(length as usize);
        (&mut self.0).take(length).read_to_end(&mut bytes)?;
        if bytes.len() as u64 == length {
            Ok(bytes)
        } else {
            Err(io::ErrorKind::UnexpectedEof.into())
        }
    }
}

fn steps(layer: &Path) -> io::Result<Steps<impl Read + use<>>> {
    let file = File::open(layer.join("recipe"))?;
    Ok(Steps(BufReader::with_capacity(
        64 << 10,
        zstd::Decoder::new(file)?,
    )))
}

/// Writes the exact tar a layer was unpacked from. The caller checks its digest.
pub(crate) fn write_tar(layer: &Path, mut to: impl Write) -> io::Result<()> {
    let mut replaced = replacements(layer)?;
    let mut buffer = vec![0; 256 << 10];
    let mut steps = steps(layer)?;
    while let Some(step) = steps.next()? {
        match step {
            Step::Raw(bytes) => to.write_all(&bytes)?,
            Step::File { path, pieces } => {
                let file = File::open(locate(layer, &path, &replaced))?;
                for (offset, length) in pieces {
                    copy_piece(&file, offset, length, &mut buffer, &mut to)?;
                }
            }
            // Files before this instruction are aside; those behind it are of the next generation.
            Step::Replaced { path, .. } => {
                if let Some(numbers) = replaced.get_mut(&path) {
                    numbers.remove(0);
                }
            }
        }
    }
    to.flush()
}

/// For each path the numbers of what stood there, oldest first.
fn replacements(layer: &Path) -> io::Result<BTreeMap<Vec<u8>, Vec<u32>>> {
    let mut replaced: BTreeMap<Vec<u8>, Vec<u32>> = BTreeMap::new();
    if !layer.join("replaced").exists() {
        return Ok(replaced);
    }
    let mut steps = steps(layer)?;
    while let Some(step) = steps.next()? {
        if let Step::Replaced { path, number } = step {
            replaced.entry(path).or_default().push(number);
        }
    }
    Ok(replaced)
}

/// Where a file's content is: under its own path, or aside, alone or with a directory above it.
fn locate(layer: &Path, path: &[u8], replaced: &BTreeMap<Vec<u8>, Vec<u32>>) -> PathBuf {
    let plain = layer.join("fs").join(std::ffi::OsStr::from_bytes(path));
    if replaced.is_empty() {
        return plain;
    }
    let mut best: Option<(u32, &[u8])> = None;
    let ends = path
        .iter()
        .enumerate()
        .filter(|(_, b)| **b == b'/')
        .map(|(at, _)| at)
        .chain([path.len()]);
    for end in ends {
        if let Some(number) = replaced
            .get(&path[..end])
            .and_then(|numbers| numbers.first())
        {
            // What moved first took everything below with it.
            if best.is_none_or(|(first, _)| *number < first) {
                best = Some((*number, path.get(end + 1..).unwrap_or_default()));
            }
        }
    }
    match best {
        None => plain,
        Some((number, [])) => layer.join("replaced").join(number.to_string()),
        Some((number, rest)) => layer
            .join("replaced")
            .join(number.to_string())
            .join(std::ffi::OsStr::from_bytes(rest)),
    }
}

fn copy_piece(
    file: &File,
    mut offset: u64,
    mut left: u64,
    buffer: &mut [u8],
    to: &mut impl Write,
) -> io::Result<()> {
    while left > 0 {
        let most = buffer
            .len()
            .min(usize::try_from(left).unwrap_or(usize::MAX));
        let length = file.read_at(&mut buffer[..most], offset)?;
        if length == 0 {
            return Err(io::ErrorKind::UnexpectedEof.into());
        }
        to.write_all(&buffer[..length])?;
        offset += length as u64;
        left -= length as u64;
    }
    Ok(())
}
