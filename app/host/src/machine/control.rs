//! What is said at `supervisor.sock`: one question on a line, then answers on a line each, all JSON.
//!
//! ```text
//! {"ask":"start"}   ▶ {"told":"condition","state":"starting","phase":"booting with kvm"} … ▶ {"told":"done"}
//! {"ask":"status"}  ▶ {"told":"status",…} ▶ {"told":"done"}
//! anything          ▶ {"told":"refused","message":"…"}
//! ```

use std::path::PathBuf;

use serde::{Deserialize, Serialize};

use super::shares::SharedFolder;

/// What can be asked of a supervisor.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "ask", rename_all = "camelCase")]
pub enum Ask {
    /// Start the machine, and tell how it goes until it runs.
    Start,
    /// Stop the machine in an orderly way, and end.
    Stop {
        /// Pull the plug instead.
        #[serde(default)]
        force: bool,
    },
    /// Stop the machine and start it again.
    Restart,
    /// Tell how things are.
    Status,
}

/// What a supervisor says.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "told", rename_all = "camelCase")]
pub enum Told {
    /// What the machine is doing now.
    Condition(Condition),
    /// Everything.
    Status(Box<Status>),
    /// That was all, and it is well.
    Done,
    /// It was not done.
    Refused {
        /// Why.
        message: String,
    },
}

/// What the machine is doing.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "state", rename_all = "camelCase")]
pub enum Condition {
    /// Nothing.
    #[default]
    Stopped,
    /// It is on its way.
    Starting {
        /// How far it got.
        phase: String,
    },
    /// The engine in it answers.
    Running,
    /// It stopped because nobody needed it; the next command starts it.
    Asleep,
    /// It was told to stop.
    Stopping,
    /// It cannot be started, or ended too often.
    Failed {
        /// Why.
        cause: String,
    },
}

impl Condition {
    /// The word for it.
    pub fn name(&self) -> &'static str {
        match self {
            Self::Stopped => "stopped",
            Self::Starting { .. } => "starting",
            Self::Running => "running",
            Self::Asleep => "asleep",
            Self::Stopping => "stopping",
            Self::Failed { .. } => "failed",
        }
    }
}

/// Everything that is to be told about a machine.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct Status {
    /// What it is doing.
    pub condition: Condition,
    /// The supervisor's version, and its process.
    pub version: String,
    /// See there.
    pub pid: u32,
    /// The version of the engine in the machine.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub agent_version: Option<String>,
    /// What runs the machine's instructions.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub accelerator: Option<String>,
    /// When it began to run, in seconds since 1970.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub since: Option<u64>,
    /// How long its start took.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub start_milliseconds: Option<u64>,
    /// Docker's API.
    pub docker_socket: PathBuf,
    /// What it was made of at its last start.
    pub cpus: u32,
    /// In bytes.
    pub memory: u64,
    /// In bytes.
    pub disk: u64,
    /// What it has on its disk, in bytes.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub disk_used: Option<u64>,
    /// Its memory as it sees it, in bytes.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub memory_total: Option<u64>,
    /// What programs in it could still have.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub memory_available: Option<u64>,
    /// The folders it sees.
    pub shares: Vec<SharedFolder>,
    /// The processes it is made of.
    pub processes: Vec<ProcessStatus>,
    /// The ports of this host that lead into it.
    pub ports: Vec<PortStatus>,
    /// Answers under way and open streams.
    pub open_streams: usize,
    /// What went wrong and is still so.
    pub notices: Vec<String>,
}

/// A process of the machine on this host.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct ProcessStatus {
    /// What it does.
    pub role: String,
    /// Its number.
    pub pid: u32,
}

/// A port of this host.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct PortStatus {
    /// `127.0.0.1:8080/tcp`.
    pub host: String,
    /// The container's name or id.
    pub container: String,
    /// The address in the machine.
    pub target: String,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn questions_and_answers_are_lines_of_json() {
        let ask = serde_json::to_string(&Ask::Stop { force: false }).expect("it serialises");
        assert_eq!(ask, r#"{"ask":"stop","force":false}"#);
        assert_eq!(
            serde_json::from_str::<Ask>(r#"{"ask":"stop"}"#).ok(),
            Some(Ask::Stop { force: false })
        );
        let told = Told::Condition(Condition::Starting { phase: "x".into() });
        let text = serde_json::to_string(&told).expect("it serialises");
        assert_eq!(
            text,
            r#"{"told":"condition","state":"starting","phase":"x"}"#
        );
        let told = Told::Status(Box::default());
        let text = serde_json::to_string(&told).expect("it serialises");
        assert_eq!(serde_json::from_str::<Told>(&text).ok(), Some(told));
    }
}
