//! Opening streams into a guest, whatever carries them.

use std::io;
use std::path::PathBuf;
use std::pin::Pin;
use std::task::{Context, Poll};

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

/// How streams into a guest are opened. Cheap to copy; it says nothing about whether the guest is still there.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum Dialer {
    /// The host's own vsock (`vsock(7)`): the kernel of a Linux host carries the streams.
    Vsock {
        /// The guest's context identifier.
        cid: u32,
    },
    /// A unix socket that takes `CONNECT PORT` and a newline, and answers `OK PORT` once the guest has accepted: the
    /// shape that Firecracker gave it.
    Hybrid {
        /// The socket.
        path: PathBuf,
    },
    /// A unix socket that is the one port: an engine without a machine around it.
    Unix {
        /// The socket.
        path: PathBuf,
    },
}

/// A stream into the guest. Some carriers lose a half-closed direction, so whoever needs that frames its bytes.
pub struct Stream(Box<dyn Duplex>);

/// What [`Stream`] may hold.
pub(crate) trait Duplex: AsyncRead + AsyncWrite + Send + Unpin {}

impl<T: AsyncRead + AsyncWrite + Send + Unpin> Duplex for T {}

/// Why no stream was opened.
#[derive(Debug, thiserror::Error)]
pub enum DialError {
    /// Whatever carries the streams is not there.
    #[error("reach the machine by {by}")]
    Carrier {
        /// The carrier.
        by: String,
        /// What the operating system said.
        source: io::Error,
    },
    /// The carrier works; in the guest nobody listens at that port.
    #[error("nobody listens at port {port} in the machine")]
    Refused {
        /// The guest's port.
        port: u32,
    },
    /// The carrier answered something that it never should.
    #[error("{by} answered {answer:?} where OK was expected")]
    Garbled {
        /// The carrier.
        by: String,
        /// What it said.
        answer: String,
    },
    /// This operating system does not have that carrier.
    #[error("this operating system has no {by}")]
    Unsupported {
        /// The carrier.
        by: String,
    },
}

impl Dialer {
    /// Opens a stream to a port of the guest.
    pub async fn dial(&self, port: u32) -> Result<Stream, DialError> {
        match self {
            Dialer::Vsock { cid } => os::vsock(*cid, port).await,
            Dialer::Hybrid { path } => os::hybrid(path, port).await,
            Dialer::Unix { path } => os::unix(path).await,
        }
    }
}

impl std::fmt::Display for Dialer {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Dialer::Vsock { cid } => write!(f, "vsock {cid}"),
            Dialer::Hybrid { path } | Dialer::Unix { path } => write!(f, "{}", path.display()),
        }
    }
}

impl Stream {
    fn of(inner: impl Duplex + 'static) -> Stream {
        Stream(Box::new(inner))
    }
}

impl std::fmt::Debug for Stream {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Stream")
    }
}

impl AsyncRead for Stream {
    fn poll_read(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        Pin::new(&mut *self.0).poll_read(context, buffer)
    }
}

impl AsyncWrite for Stream {
    fn poll_write(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut *self.0).poll_write(context, bytes)
    }

    fn poll_flush(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut *self.0).poll_flush(context)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut *self.0).poll_shutdown(context)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        slices: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut *self.0).poll_write_vectored(context, slices)
    }

    fn is_write_vectored(&self) -> bool {
        self.0.is_write_vectored()
    }
}

#[cfg(unix)]
mod os {
    //! Carriers that are sockets of this host.

    use std::io;
    use std::path::Path;

    use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
    use tokio::net::UnixStream;

    use super::{DialError, Stream};

    /// `OK`, a space, ten digits and a newline are the longest right answer.
    const LONGEST_ANSWER: usize = 32;

    pub(super) async fn unix(path: &Path) -> Result<Stream, DialError> {
        Ok(Stream::of(connect(path).await?))
    }

    pub(super) async fn hybrid(path: &Path, port: u32) -> Result<Stream, DialError> {
        let broken = |source| carrier(path.display(), source);
        let mut stream = connect(path).await?;
        let asked = stream
            .write_all(format!("CONNECT {port}\n").as_bytes())
            .await;
        let answer = match asked {
            Ok(()) => line(&mut stream).await,
            Err(error) => Err(error),
        };
        match answer {
            Ok(line) if line.starts_with("OK ") => Ok(Stream::of(stream)),
            // The carrier hangs up when the guest refuses.
            Ok(line) if line.is_empty() => Err(DialError::Refused { port }),
            Err(error) if hung_up(&error) => Err(DialError::Refused { port }),
            Ok(answer) => Err(DialError::Garbled {
                by: path.display().to_string(),
                answer,
            }),
            Err(error) => Err(broken(error)),
        }
    }

    /// Byte for byte, because what follows the newline is the guest's.
    async fn line(stream: &mut UnixStream) -> io::Result<String> {
        let mut line = Vec::new();
        while line.len() < LONGEST_ANSWER && line.last() != Some(&b'\n') {
            let mut byte = [0];
            if stream.read(&mut byte).await? == 0 {
                break;
            }
            line.push(byte[0]);
        }
        Ok(String::from_utf8_lossy(&line).into_owned())
    }

    fn hung_up(error: &io::Error) -> bool {
        matches!(
            error.kind(),
            io::ErrorKind::ConnectionReset | io::ErrorKind::BrokenPipe
        )
    }

    async fn connect(path: &Path) -> Result<UnixStream, DialError> {
        UnixStream::connect(path)
            .await
            .map_err(|source| carrier(path.display(), source))
    }

    fn carrier(by: impl std::fmt::Display, source: io::Error) -> DialError {
        DialError::Carrier {
            by: by.to_string(),
            source,
        }
    }

    #[cfg(target_os = "linux")]
    pub(super) async fn vsock(cid: u32, port: u32) -> Result<Stream, DialError> {
        use std::os::fd::AsRawFd as _;

        use nix::sys::socket::{AddressFamily, SockFlag, SockType, VsockAddr};
        let broken = |source: io::Error| match source.kind() {
            io::ErrorKind::ConnectionReset | io::ErrorKind::ConnectionRefused => {
                DialError::Refused { port }
            }
            _ => carrier(format_args!("vsock {cid}"), source),
        };
        let flags = SockFlag::SOCK_CLOEXEC | SockFlag::SOCK_NONBLOCK;
        let socket = nix::sys::socket::socket(
            AddressFamily::Vsock,
            SockType::Stream,
            flags,
            None::<nix::sys::socket::SockProtocol>,
        )
        .map_err(|errno| broken(errno.into()))?;
        let started = nix::sys::socket::connect(socket.as_raw_fd(), &VsockAddr::new(cid, port));
        // Every stream socket reads, writes and polls alike; only the address differs, which nobody asks for.
        let stream = UnixStream::from_std(socket.into()).map_err(broken)?;
        match started {
            Ok(()) => {}
            Err(nix::Error::EINPROGRESS) => {
                stream.writable().await.map_err(broken)?;
                if let Some(error) = stream.take_error().map_err(broken)? {
                    return Err(broken(error));
                }
            }
            Err(errno) => return Err(broken(errno.into())),
        }
        Ok(Stream::of(stream))
    }

    #[cfg(not(target_os = "linux"))]
    pub(super) async fn vsock(_cid: u32, _port: u32) -> Result<Stream, DialError> {
        Err(DialError::Unsupported { by: "vsock".into() })
    }
}

#[cfg(not(unix))]
mod os {
    //! Carriers that this operating system does not have yet.

    use std::path::Path;

    use super::{DialError, Stream};

    pub(super) async fn unix(_path: &Path) -> Result<Stream, DialError> {
        none("unix sockets")
    }

    pub(super) async fn hybrid(_path: &Path, _port: u32) -> Result<Stream, DialError> {
        none("unix sockets")
    }

    pub(super) async fn vsock(_cid: u32, _port: u32) -> Result<Stream, DialError> {
        none("vsock")
    }

    fn none(by: &str) -> Result<Stream, DialError> {
        Err(DialError::Unsupported { by: by.into() })
    }
}
