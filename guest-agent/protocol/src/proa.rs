//! Proa's own documents, under `/proa/v1`.

use serde::{Deserialize, Serialize};

/// The version of what is said between a host and the agent in its machine. It grows when one of them must know.
pub const PROTOCOL: u32 = 1;

/// `GET /proa/v1/health`: whether the engine can work.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Health {
    /// The program's version.
    pub version: String,
    /// [`PROTOCOL`] of the agent.
    pub protocol: u32,
    /// Another one after each boot.
    pub boot_id: String,
    /// How long the machine has been up.
    pub uptime_ms: u64,
    /// When `serve` began, in seconds since 1970.
    pub since: i64,
    /// Its process.
    pub pid: u32,
    /// `running`, or `degraded`: see the disk's fault.
    pub engine: String,
    /// Containers that run.
    pub running: u64,
    /// The machine's memory.
    pub memory: MemoryHealth,
    /// What everything is kept on.
    pub disk: DiskHealth,
}

/// Memory, in bytes.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct MemoryHealth {
    /// All of it.
    pub total: u64,
    /// What programs could still have.
    pub available: u64,
}

/// Room for images and containers, in bytes.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct DiskHealth {
    /// All of it.
    pub total: u64,
    /// What is taken.
    pub used: u64,
    /// Why a machine does without its data disk, whose content is untouched.
    pub fault: Option<String>,
    /// Whether it had to be repaired at this boot.
    pub repaired: bool,
}

/// `POST /proa/v1/clock`: what time it is.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Clock {
    /// Since 1970.
    pub unix_nanoseconds: i64,
}

/// `PUT /proa/v1/shares`: all folders of the host that the machine is to have; others are taken away.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Shares {
    /// Each of them.
    pub shares: Vec<Share>,
}

/// A folder of the host.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Share {
    /// The virtiofs device's name.
    pub tag: String,
    /// Where it is mounted: where it lies on the host.
    pub path: String,
    /// Whether containers may only read.
    pub readonly: bool,
}

/// `GET /proa/v1/volumes/{name}/browse?path=…`: a directory of a volume, or a piece of a file.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Browsed {
    /// The path, links resolved.
    pub path: String,
    /// What it is itself.
    #[serde(flatten)]
    pub entry: BrowsedEntry,
    /// What a directory holds, by name; absent for anything else.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub entries: Option<Vec<BrowsedEntry>>,
    /// There is more than is told.
    pub truncated: bool,
    /// A file's content from `offset` on.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub content: Option<BrowsedContent>,
}

/// One name in a directory.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct BrowsedEntry {
    /// Its name.
    pub name: String,
    /// `directory`, `file`, `link`, `fifo`, `socket`, `block` or `character`.
    pub kind: String,
    /// In bytes.
    pub size: u64,
    /// Permission bits.
    pub mode: u32,
    /// Its user.
    pub uid: u32,
    /// Its group.
    pub gid: u32,
    /// When it was last written to.
    pub modified: String,
    /// Where a link leads.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub target: Option<String>,
}

/// Bytes of a file.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct BrowsedContent {
    /// Where they begin.
    pub offset: u64,
    /// `utf-8` or `base64`.
    pub encoding: String,
    /// The bytes, so encoded.
    pub text: String,
}

/// A line of `POST /proa/v1/fsevents`: what the host did to a file that the machine shares.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct FileEvent {
    /// Which file, by its path on both sides.
    pub path: String,
    /// What happened: the bits of `inotify(7)`.
    pub mask: u32,
    /// The same for both halves of a move.
    pub cookie: u32,
}
