//! A container's state, and what became of it before.
//!
//! ```text
//!            ┌────────────── start ───────────────┐
//! Created ───┴─▶ Running ◀── pause, unpause ──▶ Paused
//!                 │   ▲ ▲
//!            exit ▼   │ └── back-off over ── Restarting ◀── exit, by the restart policy
//!                Exited                    remove: from Created, Exited or Restarting ──▶ Removing
//! ```

use std::sync::{Arc, OnceLock};

use jiff::Timestamp;
use oci_spec::runtime::Process;
use proa_kernel::cgroup::Cgroup;
use proa_runtime::plan::Plan;
use serde::{Deserialize, Serialize};

use super::link::Link;
use crate::{Error, Result, network::Place};

/// A container's state; each carries what exists in it.
#[derive(Clone, Debug)]
pub(crate) enum State {
    /// Never started with success; holds how the last try failed.
    Created(Option<Failure>),
    Running(Running),
    Paused(Running),
    /// Waits to be started again by its restart policy.
    Restarting(Exit),
    Exited(Exit),
    /// Being removed; nothing can be done with it any more.
    Removing(Ended),
}

/// A live container.
#[derive(Clone, Debug)]
pub(crate) struct Running {
    pub(crate) pid: u32,
    pub(crate) started: Timestamp,
    pub(crate) link: Arc<Link>,
    pub(crate) cgroup: Arc<Cgroup>,
    /// Where it is in its networks.
    pub(crate) place: Arc<Place>,
    /// What execs are made from; empty until one is, if this process did not start it.
    pub(crate) kit: Arc<OnceLock<Kit>>,
}

/// What a container was started with, of which execs have a share.
#[derive(Debug)]
pub(crate) struct Kit {
    pub(crate) plan: Plan,
    pub(crate) process: Process,
}

/// How a start failed.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Failure {
    /// 127: no such command; 126: not executable; 128: anything else.
    pub(crate) code: i32,
    pub(crate) error: String,
}

/// How a run ended.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Exit {
    pub(crate) code: i32,
    pub(crate) started: Option<Timestamp>,
    pub(crate) finished: Timestamp,
    pub(crate) oom_killed: bool,
    /// What went wrong with the engine's part of it.
    pub(crate) error: String,
}

/// What a container that does not run has behind it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) enum Ended {
    Never(Option<Failure>),
    Exited(Exit),
}

/// What became of a container: kept beside its definition.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct History {
    pub(crate) ended: Ended,
    /// Since when it runs, or did when this was written.
    pub(crate) running: Option<Timestamp>,
    /// A user stopped it: `unless-stopped` leaves it alone.
    pub(crate) manually_stopped: bool,
    /// How often its policy started it again.
    pub(crate) restarts: u32,
}

impl Default for History {
    fn default() -> Self {
        History {
            ended: Ended::Never(None),
            running: None,
            manually_stopped: false,
            restarts: 0,
        }
    }
}

impl History {
    /// When it last ended.
    pub(crate) fn finished(&self) -> Option<Timestamp> {
        match &self.ended {
            Ended::Never(_) => None,
            Ended::Exited(exit) => Some(exit.finished),
        }
    }
}

impl Ended {
    /// The exit code a waiter is told.
    pub(crate) fn code(&self) -> i32 {
        match self {
            Ended::Never(failure) => failure.as_ref().map_or(0, |failure| failure.code),
            Ended::Exited(exit) => exit.code,
        }
    }
}

impl From<Ended> for State {
    fn from(ended: Ended) -> State {
        match ended {
            Ended::Never(failure) => State::Created(failure),
            Ended::Exited(exit) => State::Exited(exit),
        }
    }
}

impl State {
    /// Docker's word for it.
    pub(crate) fn name(&self) -> &'static str {
        match self {
            State::Created(_) => "created",
            State::Running(_) => "running",
            State::Paused(_) => "paused",
            State::Restarting(_) => "restarting",
            State::Exited(_) => "exited",
            State::Removing(_) => "removing",
        }
    }

    /// The live process, paused or not.
    pub(crate) fn live(&self) -> Option<&Running> {
        match self {
            State::Running(running) | State::Paused(running) => Some(running),
            State::Created(_) | State::Restarting(_) | State::Exited(_) | State::Removing(_) => {
                None
            }
        }
    }

    /// How it ended last; `None` while it is live.
    pub(crate) fn ended(&self) -> Option<Ended> {
        match self {
            State::Created(failure) => Some(Ended::Never(failure.clone())),
            State::Restarting(exit) | State::Exited(exit) => Some(Ended::Exited(exit.clone())),
            State::Removing(ended) => Some(ended.clone()),
            State::Running(_) | State::Paused(_) => None,
        }
    }

    /// The live process, or the refusal of every verb that needs one.
    pub(crate) fn running(&self, id: &str) -> Result<&Running> {
        match self {
            State::Restarting(_) => Err(Error::conflict(format!(
                "Container {id} is restarting, wait until the container is running"
            ))),
            State::Running(_)
            | State::Paused(_)
            | State::Created(_)
            | State::Exited(_)
            | State::Removing(_) => self
                .live()
                .ok_or_else(|| Error::conflict(format!("container {id} is not running"))),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn verbs_that_need_a_process_are_refused_in_dockers_words() {
        let told = State::Created(None).running("abc").unwrap_err().told();
        assert_eq!(told, "container abc is not running");
    }

    #[test]
    fn history_survives_as_json() {
        let text = serde_json::to_string(&History::default()).unwrap();
        let history: History = serde_json::from_str(&text).unwrap();
        assert_eq!(history.ended, Ended::Never(None));
    }
}
