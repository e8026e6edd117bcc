//! One 512-byte header block: fields, numbers, checksum.

use super::TarError;

/// Every header and every padding is a multiple of this.
pub(crate) const BLOCK: usize = 512;

/// A header block whose checksum is right.
pub(crate) struct Header<'a>(pub(crate) &'a [u8; BLOCK]);

#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Format {
    V7,
    Ustar,
    Gnu,
}

impl<'a> Header<'a> {
    pub(crate) fn new(block: &'a [u8; BLOCK]) -> Result<Self, TarError> {
        let header = Self(block);
        let stored = header.number(148..156)?;
        let (mut unsigned, mut signed) = (0_i64, 0_i64);
        for (at, byte) in block.iter().enumerate() {
            let byte = if (148..156).contains(&at) {
                b' '
            } else {
                *byte
            };
            unsigned += i64::from(byte);
            signed += i64::from(byte.cast_signed());
        }
        if stored == unsigned || stored == signed {
            Ok(header)
        } else {
            Err(TarError::Header("wrong checksum"))
        }
    }

    pub(crate) fn flag(&self) -> u8 {
        self.0[156]
    }

    pub(crate) fn format(&self) -> Format {
        match &self.0[257..265] {
            b"ustar  \0" => Format::Gnu,
            magic if magic.starts_with(b"ustar\0") => Format::Ustar,
            _ => Format::V7,
        }
    }

    /// The name, with ustar's prefix.
    pub(crate) fn path(&self) -> Vec<u8> {
        let name = text(&self.0[..100]);
        if self.format() != Format::Ustar {
            return name.to_vec();
        }
        // Star archives have times behind a shorter prefix.
        let prefix = if &self.0[508..512] == b"tar\0" {
            text(&self.0[345..476])
        } else {
            text(&self.0[345..500])
        };
        if prefix.is_empty() {
            name.to_vec()
        } else {
            [prefix, b"/", name].concat()
        }
    }

    pub(crate) fn link(&self) -> Vec<u8> {
        text(&self.0[157..257]).to_vec()
    }

    /// Mode, uid, gid, size, mtime.
    pub(crate) fn numbers(&self) -> Result<[i64; 5], TarError> {
        let fields = [100..108, 108..116, 116..124, 124..136, 136..148];
        let mut numbers = [0; 5];
        for (number, field) in numbers.iter_mut().zip(fields) {
            *number = self.number(field)?;
        }
        Ok(numbers)
    }

    pub(crate) fn device(&self) -> Result<(u32, u32), TarError> {
        if self.format() == Format::V7 {
            return Ok((0, 0));
        }
        let narrow =
            |n: i64| u32::try_from(n).map_err(|_| TarError::Header("device number out of range"));
        Ok((
            narrow(self.number(329..337)?)?,
            narrow(self.number(337..345)?)?,
        ))
    }

    pub(crate) fn number(&self, field: std::ops::Range<usize>) -> Result<i64, TarError> {
        number(&self.0[field])
    }
}

/// A field up to its first NUL.
fn text(field: &[u8]) -> &[u8] {
    field.split(|b| *b == 0).next().unwrap_or_default()
}

/// Octal digits amid spaces and NULs, or base-256 when the first bit is set.
pub(crate) fn number(field: &[u8]) -> Result<i64, TarError> {
    if field[0] & 0x80 != 0 {
        return base256(field);
    }
    let digits = text(field).trim_ascii();
    let digits = if digits.is_empty() {
        field.trim_ascii()
    } else {
        digits
    };
    let mut value = 0_i64;
    for byte in digits.iter().filter(|b| **b != 0) {
        let digit = byte.wrapping_sub(b'0');
        if digit > 7 {
            return Err(TarError::Header("a number is not octal"));
        }
        value = value
            .checked_mul(8)
            .and_then(|v| v.checked_add(i64::from(digit)))
            .ok_or(OUT_OF_RANGE)?;
    }
    Ok(value)
}

const OUT_OF_RANGE: TarError = TarError::Header("a number is out of range");

fn base256(field: &[u8]) -> Result<i64, TarError> {
    let negative = field[0] & 0x40 != 0;
    let mut value: i64 = if negative { -1 } else { 0 };
    for (at, byte) in field.iter().enumerate() {
        let byte = match (at, negative) {
            (0, false) => byte & 0x7f,
            _ => *byte,
        };
        value = value.checked_mul(256).ok_or(OUT_OF_RANGE)? | i64::from(byte);
    }
    Ok(value)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers() {
        let check =
            |field: &[u8], want: Option<i64>| assert_eq!(number(field).ok(), want, "{field:?}");
        check(b"0000644\0", Some(0o644));
        check(b"   644 \0", Some(0o644));
        check(b"\0\0\0\0\0\0\0\0", Some(0));
        check(b"        ", Some(0));
        check(b"77777777777\0", Some(0o77_777_777_777));
        check(b"0000648\0", None);
        check(b"-000644\0", None);
        check(&[0x80, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1, 0], Some(256));
        check(&[0x80, 0, 0, 0, 1, 0, 0, 0, 0, 0, 0, 0], Some(1 << 56));
        check(&[0xff; 12], Some(-1));
        check(
            &[
                0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xfe,
            ],
            Some(-2),
        );
        check(&[0x80, 1, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0], None);
    }
}
