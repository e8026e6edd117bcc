//! One container: its verbs, one file each.

pub mod attach;

use std::{pin::Pin, sync::Arc};

use bytes::Bytes;
use futures_util::stream::BoxStream;
use proa_protocol::{
    ContainerInspect, ContainerStats, ContainerTop, ContainerUpdateBody, ContainerUpdateResponse,
    ContainerWaitResponse, ExecCreateBody, ExecCreateResponse, FilesystemChange,
};

use crate::{Error, Kind, Result, id::Id};

/// A handle to one container.
#[derive(Clone)]
pub struct Container {
    pub(crate) id: Arc<Id>,
}

/// What a start found.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Started {
    /// It runs now.
    Now,
    /// It ran already (304).
    Already,
}

/// What a stop found.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Stopped {
    /// It has stopped.
    Now,
    /// It was not running (304).
    Already,
}

/// How to stop.
#[derive(Clone, Debug, Default)]
pub struct StopOptions {
    /// The first signal; the container's own stop signal if absent.
    pub signal: Option<String>,
    /// Seconds until SIGKILL; negative: never; the container's own if absent.
    pub timeout: Option<i64>,
}

/// How to remove.
#[derive(Clone, Copy, Debug, Default)]
pub struct RemoveOptions {
    /// Kill it first if it runs.
    pub force: bool,
    /// With its anonymous volumes.
    pub volumes: bool,
    /// Remove a link, not the container; refused.
    pub link: bool,
}

/// What to wait for.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum WaitCondition {
    /// Until it does not run; at once if it does not.
    #[default]
    NotRunning,
    /// Until it exits the next time.
    NextExit,
    /// Until it is removed.
    Removed,
}

/// What to read of a log. Times are seconds since the epoch with nanoseconds.
#[derive(Clone, Debug, Default)]
pub struct LogOptions {
    /// Lines of standard output.
    pub stdout: bool,
    /// Lines of standard error.
    pub stderr: bool,
    /// Go on with what is written later.
    pub follow: bool,
    /// An RFC 3339 time in front of each line.
    pub timestamps: bool,
    /// `key=value` pairs of the log options in front of each line.
    pub details: bool,
    /// Only lines not before this: a Unix time (`1.5`), as Docker's parameter.
    pub since: Option<String>,
    /// Only lines not after this.
    pub until: Option<String>,
    /// At most so many of the last lines: a number or `all`.
    pub tail: Option<String>,
}

/// A log being read.
pub struct Logs {
    /// Whether the bytes are raw (a terminal) or framed.
    pub tty: bool,
    /// The bytes in their final form.
    pub output: BoxStream<'static, std::io::Result<Bytes>>,
}

/// An accepted wait; the answer comes later.
pub type Waiting = Pin<Box<dyn Future<Output = ContainerWaitResponse> + Send>>;

pub(crate) fn unimplemented(verb: &str) -> Error {
    Error::new(Kind::NotImplemented, format!("{verb} is not implemented"))
}

impl Container {
    /// The container's id.
    pub fn id(&self) -> &Id {
        &self.id
    }

    /// Whether its streams are a terminal's.
    pub fn tty(&self) -> bool {
        false
    }

    /// Starts it. `detach_keys` are those of the client's attachment, remembered for it.
    pub async fn start(&self, detach_keys: Option<&str>) -> Result<Started> {
        let _ = detach_keys;
        Err(unimplemented("start"))
    }

    /// Asks it to stop, then kills it.
    pub async fn stop(&self, options: StopOptions) -> Result<Stopped> {
        let _ = options;
        Err(unimplemented("stop"))
    }

    /// Sends a signal (`SIGKILL` if none is named).
    pub async fn kill(&self, signal: Option<&str>) -> Result<()> {
        let _ = signal;
        Err(unimplemented("kill"))
    }

    /// Stops and starts it.
    pub async fn restart(&self, options: StopOptions) -> Result<()> {
        let _ = options;
        Err(unimplemented("restart"))
    }

    /// Freezes its processes.
    pub async fn pause(&self) -> Result<()> {
        Err(unimplemented("pause"))
    }

    /// Thaws them.
    pub async fn unpause(&self) -> Result<()> {
        Err(unimplemented("unpause"))
    }

    /// Waits until `condition` holds.
    pub fn wait(&self, condition: WaitCondition) -> Waiting {
        let _ = condition;
        Box::pin(async { ContainerWaitResponse::default() })
    }

    /// Removes it.
    pub async fn remove(&self, options: RemoveOptions) -> Result<()> {
        let _ = options;
        Err(unimplemented("remove"))
    }

    /// Gives it another name.
    pub async fn rename(&self, name: &str) -> Result<()> {
        let _ = name;
        Err(unimplemented("rename"))
    }

    /// Changes its limits and its restart policy while it runs.
    pub async fn update(&self, body: ContainerUpdateBody) -> Result<ContainerUpdateResponse> {
        let _ = body;
        Err(unimplemented("update"))
    }

    /// Its whole document. `size` adds what its root takes.
    pub async fn inspect(&self, size: bool) -> Result<ContainerInspect> {
        let _ = size;
        Err(unimplemented("inspect"))
    }

    /// Its processes, as `ps` with these arguments (`-ef` if none) shows them.
    pub async fn top(&self, arguments: Option<&str>) -> Result<ContainerTop> {
        let _ = arguments;
        Err(unimplemented("top"))
    }

    /// Sets the size of its terminal.
    pub async fn resize(&self, height: u16, width: u16) -> Result<()> {
        let _ = (height, width);
        Err(unimplemented("resize"))
    }

    /// What differs from its image.
    pub async fn changes(&self) -> Result<Vec<FilesystemChange>> {
        Err(unimplemented("changes"))
    }

    /// Its log.
    pub async fn logs(&self, options: LogOptions) -> Result<Logs> {
        let _ = options;
        Err(unimplemented("logs"))
    }

    /// One measurement; `one_shot` leaves out the one before it, otherwise it takes a second.
    pub async fn stats(&self, one_shot: bool) -> Result<ContainerStats> {
        let _ = one_shot;
        Err(unimplemented("stats"))
    }

    /// A measurement every second until the container is removed.
    pub fn stats_stream(&self) -> Result<BoxStream<'static, Result<ContainerStats>>> {
        Err(unimplemented("stats"))
    }

    /// Prepares a further process in it.
    pub async fn exec(&self, config: ExecCreateBody) -> Result<ExecCreateResponse> {
        let _ = config;
        Err(unimplemented("exec create"))
    }
}
