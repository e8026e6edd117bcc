//! How a verb ends: an exit code, or an error that a person can use.

use std::error::Error;
use std::io;

use proa_host::{EngineError, FindError};

use crate::output::style;
use crate::template::TemplateError;

/// The exit code of a verb that did what it was told.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Exit(pub(crate) i32);

impl Exit {
    pub(crate) const OK: Exit = Exit(0);
}

/// Why a verb did not do what it was told.
#[derive(Debug, thiserror::Error)]
pub(crate) enum Failure {
    #[error(transparent)]
    Engine(#[from] EngineError),
    #[error(transparent)]
    Find(#[from] FindError),
    #[error(transparent)]
    Template(#[from] TemplateError),
    #[error(transparent)]
    Credentials(#[from] proa_host::credentials::CredentialsError),
    #[error(transparent)]
    Native(#[from] proa_host::native::NativeError),
    #[cfg(target_os = "linux")]
    #[error(transparent)]
    Device(#[from] proa_host::device::DeviceError),
    #[error(transparent)]
    Machine(#[from] proa_host::machine::ReachError),
    #[error(transparent)]
    Folders(#[from] proa_host::machine::FoldersError),
    #[error(transparent)]
    Archive(#[from] proa_host::machine::ArchiveError),
    #[error(transparent)]
    Context(#[from] proa_host::machine::ContextError),
    #[error(transparent)]
    Settings(#[from] proa_host::machine::SettingsError),
    #[error(transparent)]
    Supervise(#[from] proa_host::machine::supervisor::SuperviseError),
    #[error("{0}")]
    Usage(String),
    #[error("{what}")]
    Io { what: String, source: io::Error },
    /// Each was reported when it happened.
    #[error("")]
    Reported,
    #[error("{source}")]
    Coded { code: i32, source: Box<Failure> },
}

impl Failure {
    /// A contradiction or mistake in what was typed.
    pub(crate) fn usage(text: impl Into<String>) -> Self {
        Self::Usage(text.into())
    }

    /// Something on this side of the socket.
    pub(crate) fn io(what: impl Into<String>, source: io::Error) -> Self {
        Self::Io {
            what: what.into(),
            source,
        }
    }

    /// The same failure with an exit code of its own.
    pub(crate) fn with_code(self, code: i32) -> Self {
        match self {
            Self::Coded { .. } => self,
            other => Self::Coded {
                code,
                source: Box::new(other),
            },
        }
    }

    pub(crate) fn code(&self) -> i32 {
        match self {
            Self::Coded { code, .. } => *code,
            _ => 1,
        }
    }

    /// Tells the user: the chain of causes on one line, then what to do about it.
    pub(crate) fn report(&self) {
        let failure = match self {
            Self::Reported => return,
            Self::Coded { source, .. } => return source.report(),
            other => other,
        };
        eprintln!("{} {}", style::error("proa:"), failure.story());
        if let Some(hint) = failure.hint() {
            eprintln!("      {hint}");
        }
    }

    fn story(&self) -> String {
        let mut story = self.to_string();
        let mut cause = self.source();
        while let Some(error) = cause {
            let text = error.to_string();
            // The number says nothing that the words before it do not.
            let text = text.split(" (os error ").next().unwrap_or_default();
            if !story.ends_with(text) {
                story.push_str(": ");
                story.push_str(text);
            }
            cause = error.source();
        }
        story
    }

    fn hint(&self) -> Option<String> {
        match self {
            Self::Engine(EngineError::Unreachable { endpoint, source }) => {
                Some(unreachable_hint(endpoint, source))
            }
            Self::Find(_) => {
                Some("set PROA_HOST or DOCKER_HOST to where the engine listens".to_owned())
            }
            _ => None,
        }
    }
}

fn unreachable_hint(endpoint: &str, source: &io::Error) -> String {
    if source.kind() == io::ErrorKind::PermissionDenied {
        return "you may not use this socket: run as root, or ask to be put into the group that owns it".to_owned();
    }
    if endpoint.starts_with("unix://") && cfg!(target_os = "linux") {
        return "is it running? start it with `proa system start` or `sudo proa-agent serve`, or in a machine of its own \
                with `proa machine start`"
            .to_owned();
    }
    "is it running there, and does it listen on this address?".to_owned()
}
