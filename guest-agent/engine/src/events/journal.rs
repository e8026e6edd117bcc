//! The kept events as lines of a file in the run folder, so that the engine's next process still knows them. It is a
//! convenience: whatever fails is logged, and events go on.

use std::{
    collections::VecDeque,
    fs::{self, File},
    io::Write,
    path::{Path, PathBuf},
    sync::Arc,
};

use proa_protocol::Event;

/// After so many more lines the file is written anew.
const SLACK: usize = 4096;

/// The file, open at its end.
pub(super) struct Journal {
    path: PathBuf,
    file: File,
    added: usize,
}

impl Journal {
    /// What the file has. A line that cannot be read, such as one that was cut off, is passed over.
    pub(super) fn read(path: &Path) -> VecDeque<Arc<Event>> {
        let text = fs::read_to_string(path).unwrap_or_default();
        let events = text
            .lines()
            .filter_map(|line| serde_json::from_str(line).ok());
        events.map(Arc::new).collect()
    }

    /// Begins anew with the events that are kept.
    pub(super) fn open(path: PathBuf, kept: &VecDeque<Arc<Event>>) -> Option<Self> {
        match begin(&path, kept) {
            Ok(file) => Some(Self {
                path,
                file,
                added: 0,
            }),
            Err(error) => {
                tracing::warn!("keep events in {}: {error}", path.display());
                None
            }
        }
    }

    /// Adds the newest of the kept events.
    pub(super) fn add(&mut self, event: &Event, kept: &VecDeque<Arc<Event>>) {
        self.added += 1;
        if self.added > SLACK {
            match begin(&self.path, kept) {
                Ok(file) => (self.file, self.added) = (file, 0),
                Err(error) => tracing::warn!("shorten {}: {error}", self.path.display()),
            }
            return;
        }
        if let Err(error) = line(event).and_then(|line| self.file.write_all(&line)) {
            tracing::warn!("keep an event in {}: {error}", self.path.display());
        }
    }
}

fn begin(path: &Path, kept: &VecDeque<Arc<Event>>) -> std::io::Result<File> {
    let fresh = path.with_extension("new");
    let mut file = File::create(&fresh)?;
    let mut text = Vec::new();
    for event in kept {
        text.extend(line(event)?);
    }
    file.write_all(&text)?;
    fs::rename(&fresh, path)?;
    Ok(file)
}

fn line(event: &Event) -> std::io::Result<Vec<u8>> {
    let mut line = serde_json::to_vec(event)?;
    line.push(b'\n');
    Ok(line)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn event(number: usize) -> Arc<Event> {
        Arc::new(Event {
            action: number.to_string(),
            ..Event::default()
        })
    }

    #[test]
    fn the_next_process_reads_what_was_kept() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("events");
        let mut kept = VecDeque::new();
        let mut journal = Journal::open(path.clone(), &kept).unwrap();
        for number in 0..SLACK + 3 {
            kept.push_back(event(number));
            kept.drain(..kept.len().saturating_sub(2));
            journal.add(&kept[kept.len() - 1], &kept);
        }
        fs::OpenOptions::new()
            .append(true)
            .open(&path)
            .unwrap()
            .write_all(b"{\"cut")
            .unwrap();
        let read = Journal::read(&path);
        let last = &read[read.len() - 1];
        assert_eq!(last.action, (SLACK + 2).to_string());
        assert!(read.len() <= 4, "the file was written anew");
    }
}
