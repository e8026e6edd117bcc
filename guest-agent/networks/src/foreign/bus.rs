//! As much of D-Bus as one question at a time needs (the D-Bus specification): strings to a service of the system bus, a
//! string or a truth value back.

use std::io::{self, Read, Write};
use std::os::unix::net::UnixStream;
use std::time::Duration;

/// The specification's well-known address of the system bus, and where Linux has `/var/run` today.
const SOCKET: &str = "/run/dbus/system_bus_socket";
/// A service that does not answer in this time is as good as none.
const PATIENCE: Duration = Duration::from_secs(5);
/// The longest message the specification allows is 128 MiB; ours are a few hundred bytes.
const LONGEST: usize = 1 << 16;

const METHOD_CALL: u8 = 1;
const METHOD_RETURN: u8 = 2;
const ERROR: u8 = 3;
/// A service that does not run is not to be started by a question.
const NO_AUTO_START: u8 = 2;

/// The fields of a message's header.
const PATH: u8 = 1;
const INTERFACE: u8 = 2;
const MEMBER: u8 = 3;
const ERROR_NAME: u8 = 4;
const REPLY_SERIAL: u8 = 5;
const DESTINATION: u8 = 6;
const SIGNATURE: u8 = 8;

/// A connection to the system bus.
#[derive(Debug)]
pub(super) struct Bus {
    stream: UnixStream,
    serial: u32,
}

/// A method of a service.
#[derive(Clone, Copy, Debug)]
pub(super) struct Method<'a> {
    pub(super) service: &'a str,
    pub(super) path: &'a str,
    pub(super) interface: &'a str,
    pub(super) name: &'a str,
}

/// What came back.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Answer {
    Text(String),
    Truth(bool),
    /// Nothing, or something that nobody here asks for.
    Other,
    /// The service refused: the error's name and its words.
    Refused(String, String),
}

impl Bus {
    /// `None` where there is no bus.
    pub(super) fn connect() -> io::Result<Option<Bus>> {
        let stream = match UnixStream::connect(SOCKET) {
            Ok(stream) => stream,
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
            // A socket that a bus left behind.
            Err(error) if error.kind() == io::ErrorKind::ConnectionRefused => return Ok(None),
            Err(error) => return Err(error),
        };
        stream.set_read_timeout(Some(PATIENCE))?;
        stream.set_write_timeout(Some(PATIENCE))?;
        let mut bus = Bus { stream, serial: 0 };
        bus.introduce()?;
        bus.call(Method::of_bus("Hello"), &[])?;
        Ok(Some(bus))
    }

    /// The kernel tells the bus who we are; we only say that it is so (`EXTERNAL`, the user id in hexadecimal ASCII).
    fn introduce(&mut self) -> io::Result<()> {
        let user = rustix::process::geteuid().as_raw().to_string();
        let digits: String = user.bytes().map(|byte| format!("{byte:02x}")).collect();
        write!(self.stream, "\0AUTH EXTERNAL {digits}\r\n")?;
        let mut line = Vec::new();
        while !line.ends_with(b"\r\n") && line.len() < 1024 {
            let mut byte = [0];
            self.stream.read_exact(&mut byte)?;
            line.push(byte[0]);
        }
        if !line.starts_with(b"OK ") {
            return Err(io::Error::other("the bus does not know us"));
        }
        self.stream.write_all(b"BEGIN\r\n")
    }

    /// Whether somebody offers a service.
    pub(super) fn has(&mut self, service: &str) -> io::Result<bool> {
        let answer = self.call(Method::of_bus("NameHasOwner"), &[service])?;
        Ok(answer == Answer::Truth(true))
    }

    /// Calls a method with strings.
    pub(super) fn call(&mut self, method: Method<'_>, strings: &[&str]) -> io::Result<Answer> {
        self.serial += 1;
        let message = message(self.serial, method, strings);
        self.stream.write_all(&message)?;
        loop {
            if let Some(answer) = self.receive()? {
                return Ok(answer);
            }
        }
    }

    /// One message; `None` for one that is not our answer (a signal).
    fn receive(&mut self) -> io::Result<Option<Answer>> {
        let odd = || io::Error::new(io::ErrorKind::InvalidData, "a message that makes no sense");
        let mut head = [0; 16];
        self.stream.read_exact(&mut head)?;
        if head[0] != b'l' {
            return Err(odd());
        }
        let body = usize::try_from(number(&head, 4)).map_err(|_| odd())?;
        let fields = usize::try_from(number(&head, 12)).map_err(|_| odd())?;
        let length = fields.next_multiple_of(8).saturating_add(body);
        if length > LONGEST {
            return Err(odd());
        }
        let mut rest = vec![0; length];
        self.stream.read_exact(&mut rest)?;
        let (fields, body) = (
            rest.get(..fields).ok_or_else(odd)?,
            rest.get(length - body..).ok_or_else(odd)?,
        );
        let reader = Reader {
            bytes: fields,
            at: 0,
        };
        Ok(answer(head[1], self.serial, reader, body))
    }
}

impl<'a> Method<'a> {
    /// One of the bus itself.
    fn of_bus(name: &'a str) -> Method<'a> {
        Method {
            service: "org.freedesktop.DBus",
            path: "/org/freedesktop/DBus",
            interface: "org.freedesktop.DBus",
            name,
        }
    }
}

fn message(serial: u32, method: Method<'_>, strings: &[&str]) -> Vec<u8> {
    let mut body = Vec::new();
    for string in strings {
        pad(&mut body, 4);
        put(&mut body, string);
    }
    let mut fields = Vec::new();
    for (code, kind, text) in [
        (PATH, b'o', method.path),
        (INTERFACE, b's', method.interface),
        (MEMBER, b's', method.name),
        (DESTINATION, b's', method.service),
    ] {
        pad(&mut fields, 8);
        fields.extend([code, 1, kind, 0]);
        put(&mut fields, text);
    }
    if !strings.is_empty() {
        pad(&mut fields, 8);
        let count = u8::try_from(strings.len()).unwrap_or(u8::MAX);
        fields.extend([SIGNATURE, 1, b'g', 0, count]);
        fields.extend(std::iter::repeat_n(b's', strings.len()));
        fields.push(0);
    }
    let mut message = vec![b'l', METHOD_CALL, NO_AUTO_START, 1];
    message.extend(size(&body));
    message.extend(serial.to_le_bytes());
    message.extend(size(&fields));
    message.extend(fields);
    pad(&mut message, 8);
    message.extend(body);
    message
}

fn size(bytes: &[u8]) -> [u8; 4] {
    u32::try_from(bytes.len()).unwrap_or(u32::MAX).to_le_bytes()
}

fn pad(bytes: &mut Vec<u8>, to: usize) {
    bytes.resize(bytes.len().next_multiple_of(to), 0);
}

/// Its length, its bytes, a zero.
fn put(bytes: &mut Vec<u8>, text: &str) {
    bytes.extend(size(text.as_bytes()));
    bytes.extend(text.as_bytes());
    bytes.push(0);
}

fn number(bytes: &[u8], at: usize) -> u32 {
    let four = bytes.get(at..).and_then(|rest| rest.first_chunk::<4>());
    four.map_or(0, |four| u32::from_le_bytes(*four))
}

fn answer(kind: u8, serial: u32, mut fields: Reader<'_>, body: &[u8]) -> Option<Answer> {
    let (mut to, mut refusal, mut signature) = (0, String::new(), String::new());
    while let Some((code, value)) = fields.field() {
        match (code, value) {
            (REPLY_SERIAL, Field::Number(value)) => to = value,
            (ERROR_NAME, Field::Text(text)) => refusal = text,
            (SIGNATURE, Field::Text(text)) => signature = text,
            _ => {}
        }
    }
    if to != serial {
        return None;
    }
    let mut body = Reader { bytes: body, at: 0 };
    match (kind, signature.as_bytes().first()) {
        (ERROR, _) => Some(Answer::Refused(refusal, body.text().unwrap_or_default())),
        (METHOD_RETURN, Some(b's')) => Some(Answer::Text(body.text().unwrap_or_default())),
        (METHOD_RETURN, Some(b'b')) => Some(Answer::Truth(body.number() == Some(1))),
        (METHOD_RETURN, _) => Some(Answer::Other),
        _ => None,
    }
}

/// Reads values, each at its own alignment.
struct Reader<'a> {
    bytes: &'a [u8],
    at: usize,
}

enum Field {
    Text(String),
    Number(u32),
}

impl Reader<'_> {
    /// A header's field: its code and a variant. One of a kind that no header has ends the reading.
    fn field(&mut self) -> Option<(u8, Field)> {
        self.at = self.at.next_multiple_of(8);
        let (&code, &kind) = (self.bytes.get(self.at)?, self.bytes.get(self.at + 2)?);
        self.at += 4;
        let value = match kind {
            b's' | b'o' => Field::Text(self.text()?),
            b'g' => Field::Text(self.signature()?),
            b'u' => Field::Number(self.number()?),
            _ => return None,
        };
        Some((code, value))
    }

    fn number(&mut self) -> Option<u32> {
        self.at = self.at.next_multiple_of(4);
        let four = self.bytes.get(self.at..)?.first_chunk::<4>()?;
        self.at += 4;
        Some(u32::from_le_bytes(*four))
    }

    fn text(&mut self) -> Option<String> {
        let length = usize::try_from(self.number()?).ok()?;
        self.take(length)
    }

    fn signature(&mut self) -> Option<String> {
        let length = usize::from(*self.bytes.get(self.at)?);
        self.at += 1;
        self.take(length)
    }

    fn take(&mut self, length: usize) -> Option<String> {
        let text = self.bytes.get(self.at..)?.get(..length)?;
        self.at += length + 1;
        Some(String::from_utf8_lossy(text).into_owned())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_message_is_what_the_specification_says() {
        let method = Method {
            service: "a.b",
            path: "/",
            interface: "a.c",
            name: "M",
        };
        let bytes = message(7, method, &["xy"]);
        assert_eq!(&bytes[..4], b"l\x01\x02\x01");
        assert_eq!(
            number(&bytes, 4),
            7,
            "the body: a length, two letters, a zero"
        );
        assert_eq!(number(&bytes, 8), 7);
        assert_eq!(&bytes[bytes.len() - 7..], b"\x02\0\0\0xy\0");
        let fields = usize::try_from(number(&bytes, 12)).unwrap();
        assert_eq!((16 + fields).next_multiple_of(8) + 7, bytes.len());
        let mut reader = Reader {
            bytes: &bytes[16..16 + fields],
            at: 0,
        };
        let mut codes = Vec::new();
        while let Some((code, _)) = reader.field() {
            codes.push(code);
        }
        assert_eq!(codes, [PATH, INTERFACE, MEMBER, DESTINATION, SIGNATURE]);
    }
}
