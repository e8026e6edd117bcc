//! Docker's stream of two outputs in one: frames of `[stream, 0, 0, 0, length]` and bytes.

/// Whose bytes they are.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Output {
    Stdout,
    Stderr,
}

/// Where in the stream we are; bytes are handed on as they come, however long a frame says it is.
#[derive(Debug, Default)]
pub(crate) struct Frames {
    head: [u8; 8],
    filled: usize,
    left: usize,
}

impl Frames {
    /// Takes the next bytes off `input`: whose they are, and how many. `None` means "read more first".
    pub(crate) fn next<'a>(&mut self, input: &mut &'a [u8]) -> Option<(Output, &'a [u8])> {
        while self.left == 0 {
            let wanted = (8 - self.filled).min(input.len());
            self.head[self.filled..self.filled + wanted].copy_from_slice(&input[..wanted]);
            *input = &input[wanted..];
            self.filled += wanted;
            if self.filled < 8 {
                return None;
            }
            self.filled = 0;
            let [_, _, _, _, length @ ..] = self.head;
            self.left = u32::from_be_bytes(length) as usize;
        }
        if input.is_empty() {
            return None;
        }
        let (bytes, rest) = input.split_at(self.left.min(input.len()));
        *input = rest;
        self.left -= bytes.len();
        // 0 is standard input's echo and 3 the engine's own words; both are for people.
        Some((
            if self.head[0] <= 1 {
                Output::Stdout
            } else {
                Output::Stderr
            },
            bytes,
        ))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bytes_find_their_stream_however_they_are_cut() {
        let stream = b"\x01\0\0\0\0\0\0\x03out\x02\0\0\0\0\0\0\0\x02\0\0\0\0\0\0\x03err";
        for size in 1..stream.len() {
            let (mut frames, mut out, mut err) = (Frames::default(), Vec::new(), Vec::new());
            for mut piece in stream.chunks(size) {
                while let Some((output, bytes)) = frames.next(&mut piece) {
                    if output == Output::Stdout {
                        &mut out
                    } else {
                        &mut err
                    }
                    .extend_from_slice(bytes);
                }
            }
            assert_eq!(
                (out.as_slice(), err.as_slice()),
                (&b"out"[..], &b"err"[..]),
                "pieces of {size}"
            );
        }
    }
}
