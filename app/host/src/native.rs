//! Starting an engine on this machine, where there is none yet (Linux).

use std::io;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::Duration;

use crate::endpoint::Endpoint;

/// Why no engine was started.
#[derive(Debug, thiserror::Error)]
pub enum NativeError {
    /// Engines run on Linux.
    #[error("there is no native engine on this operating system")]
    NotLinux,
    /// The program is not installed.
    #[error("cannot find proa-agent beside this program or on PATH")]
    NoAgent,
    /// Only a socket of this machine can be served.
    #[error("the chosen engine is at {0}, which is not a socket of this machine")]
    Elsewhere(String),
    /// The agent needs root.
    #[error("the engine needs root: run `sudo {0}`")]
    NotRoot(String),
    /// The program did not start.
    #[error("start {agent}")]
    Spawn {
        /// The program.
        agent: PathBuf,
        /// What the operating system said.
        source: io::Error,
    },
    /// It started and ended.
    #[error("{agent} ended with {status}; its log is {log}")]
    Ended {
        /// The program.
        agent: PathBuf,
        /// How it ended.
        status: std::process::ExitStatus,
        /// What it said.
        log: PathBuf,
    },
    /// It started and does not answer.
    #[error("{agent} runs but does not answer at {socket}; its log is {log}")]
    Silent {
        /// The program.
        agent: PathBuf,
        /// The socket that was waited for.
        socket: PathBuf,
        /// What it said.
        log: PathBuf,
    },
}

/// Where an engine of this machine keeps its log when it was started by hand.
const LOG: &str = "/var/log/proa-agent.log";

/// Starts the agent in the background for `endpoint`'s socket and waits until it answers.
pub async fn start(endpoint: &Endpoint) -> Result<(), NativeError> {
    let socket = match endpoint {
        _ if !cfg!(target_os = "linux") => return Err(NativeError::NotLinux),
        Endpoint::Unix(socket) => socket,
        other => return Err(NativeError::Elsewhere(other.to_string())),
    };
    let agent = find_agent().ok_or(NativeError::NoAgent)?;
    let address = format!("unix://{}", socket.display());
    if !is_root() {
        return Err(NativeError::NotRoot(format!(
            "{} serve --socket {address}",
            agent.display()
        )));
    }
    let log = PathBuf::from(LOG);
    let failed = |source| NativeError::Spawn {
        agent: agent.clone(),
        source,
    };
    let output = std::fs::OpenOptions::new()
        .create(true)
        .append(true)
        .open(&log)
        .map_err(failed)?;
    let mut command = Command::new(&agent);
    command.args(["serve", "--socket", &address]);
    command
        .stdin(Stdio::null())
        .stdout(output.try_clone().map_err(failed)?)
        .stderr(output);
    // Out of this terminal's reach: Ctrl-C here is not for the engine.
    #[cfg(unix)]
    std::os::unix::process::CommandExt::process_group(&mut command, 0);
    let mut child = command.spawn().map_err(failed)?;
    for _ in 0..200 {
        if answers(socket).await {
            return Ok(());
        }
        if let Some(status) = child.try_wait().map_err(failed)? {
            return Err(NativeError::Ended { agent, status, log });
        }
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    Err(NativeError::Silent {
        agent,
        socket: socket.clone(),
        log,
    })
}

async fn answers(socket: &Path) -> bool {
    let engine = crate::Engine::at(Endpoint::Unix(socket.to_owned()));
    engine.order(crate::Request::get(&["_ping"])).await.is_ok()
}

/// `proa-agent` beside this program, else on PATH.
fn find_agent() -> Option<PathBuf> {
    let beside = std::env::current_exe()
        .ok()
        .and_then(|program| Some(program.parent()?.join("proa-agent")));
    let on_path = std::env::var_os("PATH")
        .map(|path| {
            std::env::split_paths(&path)
                .map(|folder| folder.join("proa-agent"))
                .collect::<Vec<_>>()
        })
        .unwrap_or_default();
    beside
        .into_iter()
        .chain(on_path)
        .find(|program| program.is_file())
}

#[cfg(unix)]
fn is_root() -> bool {
    rustix::process::geteuid().is_root()
}

#[cfg(not(unix))]
fn is_root() -> bool {
    false
}
