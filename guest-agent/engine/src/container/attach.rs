//! Attaching to a container's streams, before or after its start.

use bytes::Bytes;
use futures_util::stream::BoxStream;

use super::Container;
use crate::Result;

/// What an attach asks for.
#[derive(Clone, Debug, Default)]
pub struct AttachOptions {
    /// Write to its standard input.
    pub stdin: bool,
    /// Read its standard output.
    pub stdout: bool,
    /// Read its standard error.
    pub stderr: bool,
    /// First what the log holds.
    pub logs: bool,
    /// Then what comes.
    pub stream: bool,
    /// The keys that end the attachment (`ctrl-p,ctrl-q` if none are given).
    pub detach_keys: Option<String>,
}

/// The streams of an attached container or exec.
pub struct Attached {
    /// Whether the bytes are a terminal's (`application/vnd.docker.raw-stream`) or framed
    /// (`application/vnd.docker.multiplexed-stream`).
    pub tty: bool,
    /// What to send to the client, already in its final form. It ends when the process is gone or the client
    /// typed the detach keys.
    pub output: BoxStream<'static, std::io::Result<Bytes>>,
    /// Where the client's bytes go, if asked for.
    pub input: Option<Input>,
}

/// The writing end of an attachment. Dropping it, like [`Input::close`], says the client closed its side.
pub struct Input {}

impl Input {
    /// Writes what the client sent. `Ok(false)`: there is nobody to write to any more, or the client detached.
    pub async fn write(&mut self, bytes: Bytes) -> std::io::Result<bool> {
        let _ = bytes;
        Ok(false)
    }

    /// The client has nothing more to say.
    pub async fn close(self) -> std::io::Result<()> {
        Ok(())
    }
}

impl Container {
    /// Attaches. Streams of a container not yet started begin with its start.
    pub async fn attach(&self, options: AttachOptions) -> Result<Attached> {
        let _ = options;
        Err(super::unimplemented("attach"))
    }
}
