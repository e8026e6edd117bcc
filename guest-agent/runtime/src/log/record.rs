//! The monitor's side of a log: takes what was read and hands entries to the driver.

use super::Stream;
use super::clock;
use super::files::Files;
use super::json;
use super::lines::{Entry, Lines};
use super::local;
use super::sink::{Driver, FileLog, LogSink};
use crate::start_error::{StartError, Step};

/// Records one process's output.
pub(crate) struct Recorder {
    lines: [Lines; 2],
    writer: Writer,
    /// Whether the last attempt to write failed, so that a full disk is told once and not for every line.
    failing: bool,
}

/// An open driver.
enum Writer {
    None,
    JsonFile { files: Files, attributes: Box<[u8]> },
    Local(Files),
}

impl Recorder {
    /// Opens the driver.
    pub(crate) fn open(sink: LogSink) -> Result<Recorder, StartError> {
        let writer = match sink.driver {
            Driver::JsonFile(file) => {
                let attributes = json::attributes(&file.attributes).into();
                Writer::JsonFile {
                    files: open_files(file)?,
                    attributes,
                }
            }
            Driver::Local(file) => Writer::Local(open_files(file)?),
            _ => Writer::None,
        };
        Ok(Recorder::with(writer))
    }

    /// Records nothing.
    pub(crate) fn none() -> Recorder {
        Recorder::with(Writer::None)
    }

    fn with(writer: Writer) -> Recorder {
        let lines = [Lines::new(Stream::Stdout), Lines::new(Stream::Stderr)];
        Recorder {
            lines,
            writer,
            failing: false,
        }
    }

    /// Takes what was just read.
    pub(crate) fn record(&mut self, stream: Stream, chunk: &[u8]) {
        let writer = &mut self.writer;
        if matches!(writer, Writer::None) {
            return;
        }
        self.lines[stream as usize].feed(clock::now(), chunk, |entry| writer.write(entry));
        self.flush();
    }

    /// Takes what is left: the process has ended.
    pub(crate) fn finish(&mut self) {
        let writer = &mut self.writer;
        for lines in &mut self.lines {
            lines.finish(clock::now(), |entry| writer.write(entry));
        }
        self.flush();
    }

    /// Whether no more can be taken for now.
    pub(crate) fn is_full(&self) -> bool {
        false
    }

    /// Hands on what was collected.
    pub(crate) fn flush(&mut self) {
        let result = match &mut self.writer {
            Writer::None => return,
            Writer::JsonFile { files, .. } | Writer::Local(files) => files.flush(),
        };
        match result {
            Ok(()) => self.failing = false,
            Err(error) if !self.failing => {
                self.failing = true;
                eprintln!("proa: monitor: write the container's log: {error}");
            }
            Err(_) => {}
        }
    }
}

#[cfg(test)]
impl Recorder {
    /// Lets what goes on in the background finish.
    pub(crate) fn settle(&mut self) {
        if let Writer::JsonFile { files, .. } | Writer::Local(files) = &mut self.writer {
            files.settle();
        }
    }
}

fn open_files(file: FileLog) -> Result<Files, StartError> {
    let path = file.path.display().to_string();
    Files::open(file).map_err(|error| StartError::new(Step::Monitor, path, &error))
}

impl Writer {
    fn write(&mut self, entry: &Entry<'_>) {
        match self {
            Writer::None => {}
            Writer::JsonFile { files, attributes } => {
                files.push(|out| json::push(out, entry, attributes));
            }
            Writer::Local(files) => files.push(|out| local::push(out, entry)),
        }
    }
}
