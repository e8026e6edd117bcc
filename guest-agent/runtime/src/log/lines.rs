//! Cuts a stream into log entries: one for each line, several for a line longer than 16 KiB.

use super::Stream;

/// The longest piece of a line, as Docker cuts it.
pub(crate) const LONGEST: usize = 16 * 1024;

/// One line, or a piece of one, without its newline.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Entry<'a> {
    pub(crate) stream: Stream,
    /// Nanoseconds since 1970; pieces of one line have the time of its first.
    pub(crate) time: i64,
    pub(crate) line: &'a [u8],
    /// Set for a piece.
    pub(crate) partial: Option<Partial>,
}

/// Which piece of a line.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Partial {
    /// The same for all pieces of a line.
    pub(crate) id: u64,
    /// Counted from 1.
    pub(crate) ordinal: u32,
    /// Whether the newline follows.
    pub(crate) last: bool,
}

impl Entry<'_> {
    /// Whether a newline follows.
    pub(crate) fn ends_line(&self) -> bool {
        self.partial.is_none_or(|partial| partial.last)
    }
}

/// One stream between two reads.
#[derive(Debug)]
pub(crate) struct Lines {
    stream: Stream,
    /// The line so far, shorter than [`LONGEST`].
    begun: Vec<u8>,
    /// The pieces so far: their id, their time, how many.
    pieces: Option<(u64, i64, u32)>,
}

impl Lines {
    pub(crate) fn new(stream: Stream) -> Lines {
        Lines {
            stream,
            begun: Vec::new(),
            pieces: None,
        }
    }

    /// Takes what was read at `time` and gives each entry that is complete.
    pub(crate) fn feed(&mut self, time: i64, mut chunk: &[u8], mut give: impl FnMut(&Entry<'_>)) {
        loop {
            let room = LONGEST - self.begun.len();
            let within = &chunk[..chunk.len().min(room)];
            if let Some(end) = memchr(within) {
                self.give_line(time, &chunk[..end], &mut give);
                chunk = &chunk[end + 1..];
            } else if within.len() == room {
                self.give_piece(time, within, &mut give);
                chunk = &chunk[room..];
            } else {
                self.begun.extend_from_slice(chunk);
                return;
            }
        }
    }

    /// Gives what is left at the stream's end, which then has no newline.
    pub(crate) fn finish(&mut self, time: i64, mut give: impl FnMut(&Entry<'_>)) {
        if !self.begun.is_empty() {
            self.give_piece(time, &[], &mut give);
        }
        self.pieces = None;
    }

    fn give_line(&mut self, time: i64, end: &[u8], give: &mut impl FnMut(&Entry<'_>)) {
        let (time, partial) = match self.pieces.take() {
            Some((id, first, count)) => (
                first,
                Some(Partial {
                    id,
                    ordinal: count + 1,
                    last: true,
                }),
            ),
            None => (time, None),
        };
        self.give(time, end, partial, give);
    }

    fn give_piece(&mut self, time: i64, end: &[u8], give: &mut impl FnMut(&Entry<'_>)) {
        let (id, first, count) = self.pieces.unwrap_or((time as u64, time, 0));
        self.pieces = Some((id, first, count + 1));
        let partial = Partial {
            id,
            ordinal: count + 1,
            last: false,
        };
        self.give(first, end, Some(partial), give);
    }

    fn give(
        &mut self,
        time: i64,
        end: &[u8],
        partial: Option<Partial>,
        give: &mut impl FnMut(&Entry<'_>),
    ) {
        let stream = self.stream;
        if self.begun.is_empty() {
            give(&Entry {
                stream,
                time,
                line: end,
                partial,
            });
            return;
        }
        // Given back to the allocator: most lines come whole.
        let mut line = std::mem::take(&mut self.begun);
        line.extend_from_slice(end);
        give(&Entry {
            stream,
            time,
            line: &line,
            partial,
        });
    }
}

fn memchr(bytes: &[u8]) -> Option<usize> {
    bytes.iter().position(|byte| *byte == b'\n')
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Entries as `text`, `text…` for a piece and `…text` for the last one.
    fn entries(chunks: &[&[u8]]) -> Vec<String> {
        let mut lines = Lines::new(Stream::Stdout);
        let mut seen = Vec::new();
        let mut note = |entry: &Entry<'_>| {
            let text = match entry.line.len() {
                0..100 => String::from_utf8_lossy(entry.line).into_owned(),
                long => format!("<{long}>"),
            };
            seen.push(match entry.partial {
                None => text,
                Some(Partial {
                    last: true,
                    ordinal,
                    ..
                }) => format!("…{text} {ordinal}"),
                Some(Partial { ordinal, .. }) => format!("{text}… {ordinal}"),
            });
        };
        for (time, chunk) in chunks.iter().enumerate() {
            lines.feed(time as i64, chunk, &mut note);
        }
        lines.finish(9, &mut note);
        seen
    }

    #[test]
    fn a_line_is_an_entry_however_it_arrives() {
        assert_eq!(entries(&[b"a\nb\n"]), ["a", "b"]);
        assert_eq!(entries(&[b"a", b"", b"b", b"\n\n"]), ["ab", ""]);
    }

    #[test]
    fn an_end_without_a_newline_is_a_piece() {
        assert_eq!(entries(&[b"a\nb"]), ["a", "b… 1"]);
    }

    #[test]
    fn a_long_line_comes_in_pieces_of_16_kib() {
        let long = vec![b'x'; 2 * LONGEST + 5];
        let whole = [&long[..], b"\nend\n"].concat();
        let expected = ["<16384>… 1", "<16384>… 2", "…xxxxx 3", "end"];
        assert_eq!(entries(&[&whole]), expected);
        let halves: Vec<&[u8]> = whole.chunks(1000).collect();
        assert_eq!(entries(&halves), expected);
    }

    #[test]
    fn a_line_of_exactly_16_kib_has_an_empty_last_piece() {
        let mut line = vec![b'x'; LONGEST];
        line.push(b'\n');
        assert_eq!(entries(&[&line]), ["<16384>… 1", "… 2"]);
    }
}
