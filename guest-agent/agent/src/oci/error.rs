//! What can go wrong on this command line.

use std::io;
use std::path::PathBuf;

use proa_kernel::cgroup::{BadCgroupPath, CgroupError};
use proa_kernel::seccomp::SeccompError;
use proa_runtime::StartError;
use proa_runtime::plan::PlanError;
use proa_runtime::resources::BadDeviceRule;

/// A verb that could not be done. The words users of other runtimes match on ("does not exist", "no such file or
/// directory") are theirs.
#[derive(Debug, thiserror::Error)]
pub(super) enum OciError {
    #[error("container \"{0}\" does not exist")]
    NotFound(String),
    #[error("container \"{0}\" already exists")]
    Exists(String),
    #[error("container id {0:?} is not made of letters, digits and _+-.")]
    BadId(String),
    #[error("cannot {verb} a container that is {status}")]
    Status {
        verb: &'static str,
        status: &'static str,
    },
    #[error("unknown signal {0:?}")]
    Signal(String),
    #[error("bad {what} {value:?}")]
    Value { what: &'static str, value: String },
    #[error("a terminal needs --console-socket when nobody waits for it")]
    NoConsoleSocket,
    #[error("{what} {}", path.display())]
    File {
        what: &'static str,
        path: PathBuf,
        source: io::Error,
    },
    #[error("read {}", path.display())]
    Json {
        path: PathBuf,
        source: serde_json::Error,
    },
    #[error("read the spec")]
    Plan(#[from] PlanError),
    #[error("read the spec's resources")]
    Resources(#[from] BadDeviceRule),
    #[error("read the spec's seccomp section")]
    Seccomp(#[from] SeccompError),
    #[error("read the spec's cgroup path")]
    CgroupPath(#[from] BadCgroupPath),
    #[error("set up the cgroup")]
    Cgroup(#[from] CgroupError),
    #[error("start the container process")]
    Start(#[from] StartError),
    #[error("{what}")]
    Io {
        what: &'static str,
        source: io::Error,
    },
}

impl OciError {
    /// Attaches what was done to a file.
    pub(super) fn file(
        what: &'static str,
        path: impl Into<PathBuf>,
    ) -> impl FnOnce(io::Error) -> Self {
        let path = path.into();
        move |source| Self::File { what, path, source }
    }

    /// Attaches what was done.
    pub(super) fn io(what: &'static str) -> impl FnOnce(io::Error) -> Self {
        move |source| Self::Io { what, source }
    }

    /// The whole chain in one line.
    pub(super) fn chain(&self) -> String {
        let mut text = self.to_string();
        let mut source = std::error::Error::source(self);
        while let Some(error) = source {
            text = format!("{text}: {error}");
            source = error.source();
        }
        text
    }
}
