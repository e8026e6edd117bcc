//! One file of a log: plain or compressed, JSON or local.

use std::borrow::Cow;
use std::collections::BTreeMap;
use std::fs::File;
use std::io::{self, BufRead, BufReader, Read, Seek, SeekFrom};
use std::os::unix::fs::MetadataExt;
use std::path::Path;

use flate2::read::GzDecoder;
use serde::Deserialize;

use super::{Format, Record};
use crate::log::{Stream, clock, local};

/// A JSON line that is longer than this is damage.
const LONGEST_LINE: usize = 1024 * 1024;

/// One open file.
#[derive(Debug)]
pub(super) struct LogFile {
    input: Input,
    format: Format,
    /// Device and inode.
    identity: (u64, u64),
    /// The beginning of an entry whose rest is not there yet.
    begun: Vec<u8>,
    /// Entries up to this time were given from another copy of the file.
    skip_until: Option<i64>,
    /// Whether its end was looked at after it ceased to be written.
    finished: bool,
}

#[derive(Debug)]
enum Input {
    Plain(BufReader<File>),
    Compressed(Box<BufReader<GzDecoder<File>>>),
}

/// A line of a `json-file` log.
#[derive(Deserialize)]
struct JsonLine<'a> {
    #[serde(borrow, default)]
    log: Cow<'a, str>,
    #[serde(borrow, default)]
    stream: Cow<'a, str>,
    #[serde(borrow)]
    time: Cow<'a, str>,
    #[serde(default)]
    attrs: BTreeMap<String, String>,
}

impl LogFile {
    /// `None` when there is no such file.
    pub(super) fn open(path: &Path, format: Format) -> io::Result<Option<LogFile>> {
        let file = match File::open(path) {
            Ok(file) => file,
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
            Err(error) => return Err(error),
        };
        let metadata = file.metadata()?;
        let input = if path.extension().is_some_and(|extension| extension == "gz") {
            Input::Compressed(Box::new(BufReader::new(GzDecoder::new(file))))
        } else {
            Input::Plain(BufReader::with_capacity(32 * 1024, file))
        };
        Ok(Some(LogFile {
            input,
            format,
            identity: (metadata.dev(), metadata.ino()),
            begun: Vec::new(),
            skip_until: None,
            finished: false,
        }))
    }

    /// Whether `path` names this file.
    pub(super) fn is_at(&self, path: &Path) -> io::Result<bool> {
        match std::fs::metadata(path) {
            Ok(metadata) => Ok((metadata.dev(), metadata.ino()) == self.identity),
            // Between two renames of a rotation.
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(true),
            Err(error) => Err(error),
        }
    }

    pub(super) fn is_same(&self, other: &LogFile) -> bool {
        self.identity == other.identity
    }

    /// `false` the first time.
    pub(super) fn was_finished(&mut self) -> bool {
        std::mem::replace(&mut self.finished, true)
    }

    /// Leaves out what was given already.
    pub(super) fn skip_until(&mut self, time: i64) {
        self.skip_until = Some(time);
    }

    /// The file, if it can be read from anywhere.
    pub(super) fn plain(&mut self) -> Option<&mut BufReader<File>> {
        match &mut self.input {
            Input::Plain(file) => Some(file),
            Input::Compressed(_) => None,
        }
    }

    pub(super) fn format(&self) -> Format {
        self.format
    }

    /// Goes back to the beginning.
    pub(super) fn rewind(&mut self) -> io::Result<()> {
        self.begun.clear();
        match &mut self.input {
            Input::Plain(file) => file.seek(SeekFrom::Start(0)).map(drop),
            Input::Compressed(decoder) => {
                let mut file = decoder.get_ref().get_ref().try_clone()?;
                file.seek(SeekFrom::Start(0))?;
                **decoder = BufReader::new(GzDecoder::new(file));
                Ok(())
            }
        }
    }

    /// The next entry; `None` when the rest of the file holds no whole one.
    pub(super) fn next(&mut self) -> io::Result<Option<Record>> {
        loop {
            let record = match self.format {
                Format::Json => self.next_json()?,
                Format::Local => self.next_local()?,
            };
            match (record, self.skip_until) {
                (Some(record), Some(time)) if record.time <= time => {}
                (record, _) => return Ok(record),
            }
        }
    }

    /// Lines that are no documents are left out: one may be torn by a full disk.
    fn next_json(&mut self) -> io::Result<Option<Record>> {
        loop {
            let room = (LONGEST_LINE - self.begun.len()) as u64;
            let begun = &mut self.begun;
            let read = match &mut self.input {
                Input::Plain(file) => file.take(room).read_until(b'\n', begun)?,
                Input::Compressed(file) => {
                    unless_damaged(file.take(room).read_until(b'\n', begun))?
                }
            };
            if !self.begun.ends_with(b"\n") && self.begun.len() < LONGEST_LINE {
                return Ok(None);
            }
            let record = parse_json(&self.begun);
            self.begun.clear();
            if record.is_some() || read == 0 {
                return Ok(record);
            }
        }
    }

    fn next_local(&mut self) -> io::Result<Option<Record>> {
        if !self.fill(4)? {
            return Ok(None);
        }
        let length =
            u32::from_be_bytes([self.begun[0], self.begun[1], self.begun[2], self.begun[3]]);
        let length = length as usize;
        if length > local::LONGEST {
            return self.give_up();
        }
        if !self.fill(length + 8)? {
            return Ok(None);
        }
        let record = match local::decode(&self.begun[4..length + 4]) {
            Some(decoded) if self.begun[..4] == self.begun[length + 4..] => {
                let mut line = decoded.line.to_vec();
                if decoded.ends_line {
                    line.push(b'\n');
                }
                let (stream, time) = (decoded.stream, decoded.time);
                Record {
                    stream,
                    time,
                    line,
                    attributes: Vec::new(),
                }
            }
            _ => return self.give_up(),
        };
        self.begun.clear();
        Ok(Some(record))
    }

    /// After damage nothing tells where the next record begins.
    fn give_up(&mut self) -> io::Result<Option<Record>> {
        self.begun.clear();
        if let Input::Plain(file) = &mut self.input {
            file.seek(SeekFrom::End(0))?;
        } else {
            while self.fill(LONGEST_LINE)? {
                self.begun.clear();
            }
            self.begun.clear();
        }
        Ok(None)
    }

    /// Reads until so many bytes are begun. `false` when they are not there yet.
    fn fill(&mut self, wanted: usize) -> io::Result<bool> {
        let missing = wanted.saturating_sub(self.begun.len()) as u64;
        match &mut self.input {
            Input::Plain(file) => file.take(missing).read_to_end(&mut self.begun)?,
            Input::Compressed(file) => {
                unless_damaged(file.take(missing).read_to_end(&mut self.begun))?
            }
        };
        Ok(self.begun.len() >= wanted)
    }
}

/// A compressed file that is damaged ends there.
fn unless_damaged(read: io::Result<usize>) -> io::Result<usize> {
    use io::ErrorKind::{InvalidData, InvalidInput, UnexpectedEof};
    match read {
        Err(error) if matches!(error.kind(), InvalidData | InvalidInput | UnexpectedEof) => Ok(0),
        other => other,
    }
}

fn parse_json(line: &[u8]) -> Option<Record> {
    let line: JsonLine<'_> = serde_json::from_slice(line).ok()?;
    let stream = if line.stream == "stderr" {
        Stream::Stderr
    } else {
        Stream::Stdout
    };
    Some(Record {
        stream,
        time: clock::parse_rfc3339(line.time.as_bytes())?,
        line: line.log.into_owned().into_bytes(),
        attributes: line.attrs.into_iter().collect(),
    })
}
