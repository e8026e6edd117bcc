//! Pax extended headers: `length key=value` records.

use super::{Entry, TarError};

/// What a pax header overrides in the entry behind it.
#[derive(Default)]
pub(crate) struct Overrides {
    pub(crate) path: Option<Vec<u8>>,
    pub(crate) link: Option<Vec<u8>>,
    pub(crate) size: Option<u64>,
    uid: Option<u32>,
    gid: Option<u32>,
    mtime: Option<(i64, u32)>,
    xattrs: Vec<(Vec<u8>, Vec<u8>)>,
    /// `GNU.sparse.*`, in order.
    pub(crate) sparse: Vec<(Vec<u8>, Vec<u8>)>,
}

/// More than Linux can list of one file.
const MAX_XATTRS: usize = 4096;

const BAD: TarError = TarError::Header("malformed pax record");

impl Overrides {
    pub(crate) fn parse(mut text: &[u8]) -> Result<Self, TarError> {
        let mut overrides = Self::default();
        while !text.is_empty() {
            // Some writers pad with NULs.
            if text[0] == 0 {
                break;
            }
            let space = text.iter().position(|b| *b == b' ').ok_or(BAD)?;
            let length = usize::try_from(decimal(&text[..space])?).map_err(|_| BAD)?;
            if length <= space + 1 || length > text.len() || text[length - 1] != b'\n' {
                return Err(BAD);
            }
            let record = &text[space + 1..length - 1];
            let equals = record.iter().position(|b| *b == b'=').ok_or(BAD)?;
            overrides.set(&record[..equals], &record[equals + 1..])?;
            text = &text[length..];
        }
        Ok(overrides)
    }

    fn set(&mut self, key: &[u8], value: &[u8]) -> Result<(), TarError> {
        if let Some(name) = key.strip_prefix(b"SCHILY.xattr.") {
            self.xattrs.retain(|(known, _)| known != name);
            if self.xattrs.len() > MAX_XATTRS {
                return Err(TarError::Header("too many extended attributes"));
            }
            self.xattrs.push((name.to_vec(), value.to_vec()));
            return Ok(());
        }
        if let Some(name) = key.strip_prefix(b"GNU.sparse.") {
            self.sparse.push((name.to_vec(), value.to_vec()));
            return Ok(());
        }
        // An empty value takes an override back.
        let set = !value.is_empty();
        let id = |value| {
            u32::try_from(decimal(value)?).map_err(|_| TarError::Header("an owner is out of range"))
        };
        match key {
            b"path" | b"linkpath" if value.contains(&0) => return Err(BAD),
            b"path" => self.path = set.then(|| value.to_vec()),
            b"linkpath" => self.link = set.then(|| value.to_vec()),
            b"size" => self.size = set.then(|| decimal(value)).transpose()?,
            b"uid" => self.uid = set.then(|| id(value)).transpose()?,
            b"gid" => self.gid = set.then(|| id(value)).transpose()?,
            b"mtime" => self.mtime = set.then(|| time(value)).transpose()?,
            _ => {}
        }
        Ok(())
    }

    /// Puts everything but the sparse map into the entry.
    pub(crate) fn apply(&mut self, entry: &mut Entry) {
        entry.xattrs = std::mem::take(&mut self.xattrs);
        entry.uid = self.uid.unwrap_or(entry.uid);
        entry.gid = self.gid.unwrap_or(entry.gid);
        entry.mtime = self.mtime.unwrap_or(entry.mtime);
        if let Some(path) = self.path.take() {
            entry.path = path;
        }
        if let Some(link) = self.link.take() {
            entry.link = link;
        }
    }

    pub(crate) fn overrides_owner(&self) -> (bool, bool) {
        (self.uid.is_some(), self.gid.is_some())
    }
}

/// A decimal number without sign.
pub(crate) fn decimal(text: &[u8]) -> Result<u64, TarError> {
    let digits = std::str::from_utf8(text).map_err(|_| BAD)?;
    if digits.starts_with('+') {
        return Err(BAD);
    }
    digits.parse().map_err(|_| BAD)
}

/// `-12.345`: seconds before the point round down, so that the nanoseconds are never negative.
fn time(text: &[u8]) -> Result<(i64, u32), TarError> {
    let text = std::str::from_utf8(text).map_err(|_| BAD)?;
    let (seconds, fraction) = text.split_once('.').unwrap_or((text, ""));
    let negative = seconds.starts_with('-');
    if !fraction.bytes().all(|b| b.is_ascii_digit()) {
        return Err(BAD);
    }
    let seconds: i64 = seconds.parse().map_err(|_| BAD)?;
    let digits: String = fraction
        .chars()
        .chain("000000000".chars())
        .take(9)
        .collect();
    let nanoseconds: u32 = digits.parse().map_err(|_| BAD)?;
    match (negative, nanoseconds) {
        (true, 1..) => Ok((
            seconds.checked_sub(1).ok_or(BAD)?,
            1_000_000_000 - nanoseconds,
        )),
        _ => Ok((seconds, nanoseconds)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn records() {
        let overrides =
            Overrides::parse(b"12 path=a/b\n27 SCHILY.xattr.user.a=b=c\n13 uid=70000\n").unwrap();
        assert_eq!(overrides.path.as_deref(), Some(&b"a/b"[..]));
        assert_eq!(overrides.xattrs, [(b"user.a".to_vec(), b"b=c".to_vec())]);
        assert_eq!(overrides.uid, Some(70000));
        for bad in [
            &b"12 path=a/b"[..],
            b"99 path=a\n",
            b"x path=a\n",
            b"0 \n",
            b"4 \n",
            b"8 path-a\n",
            b"10 uid=-1\n",
            b"11 path=a\0\n",
        ] {
            assert!(Overrides::parse(bad).is_err(), "{bad:?}");
        }
    }

    #[test]
    fn times() {
        assert_eq!(time(b"1.5").unwrap(), (1, 500_000_000));
        assert_eq!(time(b"1").unwrap(), (1, 0));
        assert_eq!(time(b"-1.25").unwrap(), (-2, 750_000_000));
        assert_eq!(time(b"1.1234567891").unwrap(), (1, 123_456_789));
        assert!(time(b"1.x").is_err() && time(b"").is_err());
    }
}
