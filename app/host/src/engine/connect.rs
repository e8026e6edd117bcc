//! Opening a byte stream to an endpoint.

use std::io;
use std::pin::Pin;
use std::process::Stdio;
use std::task::{Context, Poll};

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::TcpStream;
use tokio::process::{Child, ChildStdin, ChildStdout, Command};

use super::tls;
use crate::endpoint::Endpoint;

/// What HTTP runs over.
pub(super) trait Wire: AsyncRead + AsyncWrite + Send + Unpin {}
impl<T: AsyncRead + AsyncWrite + Send + Unpin> Wire for T {}

/// Connects to `endpoint`.
pub(super) async fn open(endpoint: &Endpoint) -> io::Result<Box<dyn Wire>> {
    match endpoint {
        #[cfg(unix)]
        Endpoint::Unix(path) => Ok(Box::new(tokio::net::UnixStream::connect(path).await?)),
        #[cfg(not(unix))]
        Endpoint::Unix(_) => Err(io::Error::new(
            io::ErrorKind::Unsupported,
            "no unix sockets on this system",
        )),
        Endpoint::Tcp { address, tls } => {
            let stream = TcpStream::connect(address.as_str()).await?;
            stream.set_nodelay(true)?;
            match tls {
                None => Ok(Box::new(stream)),
                Some(files) => Ok(Box::new(tls::wrap(stream, address, files).await?)),
            }
        }
        Endpoint::Machine(dialer) => {
            let stream = dialer.dial(crate::machine::CONTROL_PORT).await;
            Ok(Box::new(stream.map_err(io::Error::other)?))
        }
        Endpoint::Ssh { destination, port } => Ok(Box::new(ssh(destination, *port)?)),
    }
}

/// Runs the far side's own relay, as Docker's command line does, so that `ssh` needs no forwarding rights.
fn ssh(destination: &str, port: Option<u16>) -> io::Result<Piped> {
    let mut command = Command::new("ssh");
    if let Some(port) = port {
        command.arg("-p").arg(port.to_string());
    }
    command.args([
        "-o",
        "ConnectTimeout=30",
        "-T",
        "--",
        destination,
        "docker",
        "system",
        "dial-stdio",
    ]);
    let mut child = command
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .kill_on_drop(true)
        .spawn()?;
    let (Some(stdin), Some(stdout)) = (child.stdin.take(), child.stdout.take()) else {
        return Err(io::Error::other("ssh was started without pipes"));
    };
    Ok(Piped {
        stdin,
        stdout,
        _child: child,
    })
}

/// A program's standard input and output as one stream.
struct Piped {
    stdin: ChildStdin,
    stdout: ChildStdout,
    _child: Child,
}

impl AsyncRead for Piped {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stdout).poll_read(cx, buf)
    }
}

impl AsyncWrite for Piped {
    fn poll_write(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &[u8],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.stdin).poll_write(cx, buf)
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stdin).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stdin).poll_shutdown(cx)
    }
}
