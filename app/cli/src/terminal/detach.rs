//! Finding the detach keys in what is typed.

/// Looks for one sequence of bytes in a stream.
pub(crate) struct DetachKeys {
    keys: Vec<u8>,
    matched: usize,
}

/// What a piece of input comes to.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Typed {
    /// These bytes go on.
    On(Vec<u8>),
    /// These bytes go on, then the keys were typed.
    Detach(Vec<u8>),
}

impl DetachKeys {
    pub(crate) fn new(keys: Vec<u8>) -> Self {
        Self { keys, matched: 0 }
    }

    /// Takes a piece of input. Bytes that may begin the sequence wait until it is known that they do not.
    pub(crate) fn scan(&mut self, input: &[u8]) -> Typed {
        let mut on = Vec::with_capacity(input.len());
        for &byte in input {
            if self.keys.get(self.matched) == Some(&byte) {
                self.matched += 1;
                if self.matched == self.keys.len() {
                    return Typed::Detach(on);
                }
                continue;
            }
            on.extend_from_slice(&self.keys[..self.matched]);
            self.matched = usize::from(self.keys.first() == Some(&byte));
            if self.matched == 0 {
                on.push(byte);
            }
        }
        Typed::On(on)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn typed(pieces: &[&[u8]]) -> Vec<Typed> {
        let mut keys = DetachKeys::new(vec![16, 17]);
        pieces.iter().map(|piece| keys.scan(piece)).collect()
    }

    #[test]
    fn the_sequence_may_be_cut_anywhere() {
        assert_eq!(typed(&[b"a\x10\x11b"]), [Typed::Detach(b"a".to_vec())]);
        assert_eq!(
            typed(&[b"a\x10", b"\x11"]),
            [Typed::On(b"a".to_vec()), Typed::Detach(vec![])]
        );
    }

    #[test]
    fn what_only_began_like_it_goes_on() {
        assert_eq!(
            typed(&[b"\x10", b"x"]),
            [Typed::On(vec![]), Typed::On(b"\x10x".to_vec())]
        );
        assert_eq!(typed(&[b"\x10\x10\x11"]), [Typed::Detach(b"\x10".to_vec())]);
    }
}
