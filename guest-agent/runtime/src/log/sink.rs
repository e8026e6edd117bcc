//! The plain value that says where output is recorded.

use std::fmt;
use std::net::SocketAddr;
use std::path::PathBuf;

use serde::{Deserialize, Serialize};

/// Where a container's output is recorded.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct LogSink {
    /// The chosen driver.
    pub driver: Driver,
    /// What happens when the driver is slower than the container.
    pub mode: Mode,
    /// A second copy in the local format, so that a driver which cannot be read back has logs to show.
    pub cache: Option<FileLog>,
}

impl LogSink {
    /// Nothing is recorded.
    pub const NONE: LogSink = LogSink {
        driver: Driver::None,
        mode: Mode::Blocking,
        cache: None,
    };

    /// Docker's default driver, without options of its own.
    pub fn json_file(path: PathBuf) -> LogSink {
        LogSink {
            driver: Driver::JsonFile(FileLog::capped(path)),
            mode: Mode::Blocking,
            cache: None,
        }
    }
}

/// What happens when a driver is slower than the container.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum Mode {
    /// The container waits.
    Blocking,
    /// What does not fit into so many bytes is dropped.
    NonBlocking(u64),
}

/// One of Docker's log drivers, with its options decided.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub enum Driver {
    /// Nothing is recorded.
    None,
    /// One JSON document a line.
    JsonFile(FileLog),
    /// Docker's compact format.
    Local(FileLog),
    /// The journal's native protocol.
    Journald(Journald),
    /// RFC 3164 or 5424.
    Syslog(Syslog),
    /// Fluentd's forward protocol.
    Fluentd(Fluentd),
    /// Graylog's extended format.
    Gelf(Gelf),
}

/// A log in files that are rotated: `path`, `path.1`, … or with compression `path.1.gz`, ….
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct FileLog {
    /// The file that is written to.
    pub path: PathBuf,
    /// Size in bytes at which a new file begins; none: it grows for ever.
    pub max_size: Option<u64>,
    /// How many files there are at most, the current one included.
    pub max_files: u32,
    /// Whether the older ones are compressed.
    pub compress: bool,
    /// Names and values added to each line (`json-file`: labels, environment, tag).
    pub attributes: Vec<(String, String)>,
}

impl FileLog {
    /// Five files of 20 MB, so that no log fills a disk.
    pub fn capped(path: PathBuf) -> FileLog {
        FileLog {
            path,
            max_size: Some(20_000_000),
            max_files: 5,
            compress: false,
            attributes: Vec::new(),
        }
    }
}

/// The journal.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Journald {
    /// The journal's datagram socket.
    pub socket: PathBuf,
    /// Fields added to each entry.
    pub fields: Vec<(String, String)>,
}

/// Where a network driver sends to.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub enum Endpoint {
    /// A stream socket.
    Unix(PathBuf),
    /// A datagram socket.
    UnixDatagram(PathBuf),
    /// A connection.
    Tcp(SocketAddr),
    /// Datagrams.
    Udp(SocketAddr),
}

impl fmt::Display for Endpoint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Endpoint::Unix(path) => write!(f, "unix://{}", path.display()),
            Endpoint::UnixDatagram(path) => write!(f, "unixgram://{}", path.display()),
            Endpoint::Tcp(address) => write!(f, "tcp://{address}"),
            Endpoint::Udp(address) => write!(f, "udp://{address}"),
        }
    }
}

/// A syslog server.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Syslog {
    /// Where it is.
    pub endpoint: Endpoint,
    /// The facility's number (`daemon` is 3).
    pub facility: u8,
    /// How a message looks.
    pub format: SyslogFormat,
    /// The tag of each message.
    pub tag: String,
    /// The host's name.
    pub hostname: String,
}

/// Layouts of a syslog message, by Docker's names.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum SyslogFormat {
    /// The local socket's own: no host name.
    Unix,
    /// `rfc3164`.
    Rfc3164,
    /// `rfc5424`.
    Rfc5424,
    /// `rfc5424micro`.
    Rfc5424Micro,
}

/// A fluentd server.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Fluentd {
    /// Where it is.
    pub endpoint: Endpoint,
    /// The tag of each message.
    pub tag: String,
    /// Names and values added to each message.
    pub fields: Vec<(String, String)>,
    /// Bytes kept while the server is away.
    pub buffer: u64,
    /// Whether times carry nanoseconds.
    pub sub_second: bool,
    /// Whether the container may start before the server answers.
    pub lazy: bool,
}

/// A Graylog server.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Gelf {
    /// Where it is.
    pub endpoint: Endpoint,
    /// How datagrams are compressed.
    pub compression: GelfCompression,
    /// The host's name.
    pub hostname: String,
    /// Names (without the leading underscore) and values added to each message.
    pub fields: Vec<(String, String)>,
}

/// Compression of GELF datagrams.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum GelfCompression {
    /// As they are.
    None,
    /// `gzip`, of that level.
    Gzip(u8),
    /// `zlib`, of that level.
    Zlib(u8),
}
