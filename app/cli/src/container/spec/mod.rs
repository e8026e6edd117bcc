//! What the flags of `run` and `create` mean: the engine's document.
//!
//! Pure but for [`Surroundings`], through which files and the environment of this side come in.

mod files;
mod health;
mod host;
mod network;
mod process;
mod security;

pub(crate) use host::{resources, restart_policy};
pub(crate) use process::variables;

use std::io;
use std::path::PathBuf;

use serde_json::Value;

use super::flags::CreateFlags;
use crate::failure::Failure;
use crate::flags::document::Document;

/// What the meaning of flags depends on beside the flags.
pub(crate) struct Surroundings<'a> {
    pub(crate) folder: PathBuf,
    pub(crate) variable: &'a dyn Fn(&str) -> Option<String>,
    pub(crate) read: &'a dyn Fn(&str) -> io::Result<String>,
    /// Rows and columns of the terminal, where there is one to be copied.
    pub(crate) terminal: Option<(u16, u16)>,
}

impl Surroundings<'_> {
    /// Those of this process.
    pub(crate) fn here(terminal: Option<(u16, u16)>) -> Surroundings<'static> {
        Surroundings {
            folder: std::env::current_dir().unwrap_or_default(),
            variable: &|name| std::env::var(name).ok(),
            read: &|path| std::fs::read_to_string(path),
            terminal,
        }
    }

    fn file(&self, path: &str) -> Result<String, Failure> {
        (self.read)(path).map_err(|source| Failure::io(format!("read {path}"), source))
    }
}

/// Which of the three standard streams the client is attached to.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Attached {
    pub(crate) stdin: bool,
    pub(crate) stdout: bool,
    pub(crate) stderr: bool,
}

impl Attached {
    /// What `--attach`, `--interactive` and `--detach` come to.
    pub(crate) fn of(flags: &CreateFlags, detach: bool) -> Result<Self, Failure> {
        let mut attached = Self::default();
        for stream in &flags.attach {
            match stream.to_ascii_lowercase().as_str() {
                "stdin" => attached.stdin = true,
                "stdout" => attached.stdout = true,
                "stderr" => attached.stderr = true,
                _ => {
                    return Err(Failure::usage(format!(
                        "invalid --attach {stream:?}: expected stdin, stdout or stderr"
                    )));
                }
            }
        }
        if flags.attach.is_empty() && !detach {
            attached.stdout = true;
            attached.stderr = true;
            attached.stdin = flags.interactive;
        }
        Ok(attached)
    }
}

/// The document of `POST /containers/create`.
pub(crate) fn document(
    flags: &CreateFlags,
    attached: Attached,
    around: &Surroundings<'_>,
) -> Result<Value, Failure> {
    refuse_contradictions(flags)?;
    let (image, command) = flags
        .words
        .split_first()
        .ok_or_else(|| Failure::usage("which image? say `proa run IMAGE`"))?;
    let ports = crate::flags::port::Ports::parse(&flags.network.publish, &flags.network.expose)?;
    let mut document = Document::default();
    document
        .always("Image", image)
        .put("Hostname", &flags.network.hostname)
        .put("Domainname", &flags.network.domainname)
        .put("AttachStdin", attached.stdin)
        .always("AttachStdout", attached.stdout)
        .always("AttachStderr", attached.stderr)
        .put("Tty", flags.tty)
        .put("OpenStdin", flags.interactive)
        .put("StdinOnce", flags.interactive && attached.stdin)
        .put("Cmd", command)
        .put("ExposedPorts", &ports.exposed)
        .put("Healthcheck", health::check(&flags.life)?);
    process::fill(&mut document, flags, around)?;
    document.put("Volumes", files::anonymous(&flags.files, around)?);
    let networks = network::attachments(&flags.network)?;
    document.put("NetworkingConfig", network::endpoints(&networks));
    document.always(
        "HostConfig",
        host::config(flags, &networks, ports.bindings, around)?,
    );
    Ok(document.into_value())
}

fn refuse_contradictions(flags: &CreateFlags) -> Result<(), Failure> {
    if flags.rm && !matches!(flags.life.restart.as_str(), "" | "no") {
        return Err(Failure::usage("conflicting options: --restart and --rm"));
    }
    if !matches!(flags.pull.as_str(), "always" | "missing" | "never" | "") {
        return Err(Failure::usage(format!(
            "invalid --pull {:?}: must be one of \"always\", \"missing\" or \"never\"",
            flags.pull
        )));
    }
    Ok(())
}

#[cfg(test)]
mod tests;
