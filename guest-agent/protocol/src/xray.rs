//! `/proa/v1/xray/…`: what the kernel really does for a container.

use serde::{Deserialize, Serialize};

/// `GET /proa/v1/xray/{container}/path?port=80`: every hop of a request, from the host's port to the process that listens.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct RequestPath {
    /// The container's id.
    pub container: String,
    /// The port inside.
    pub port: u16,
    /// `tcp` or `udp`.
    pub protocol: String,
    /// In the order in which a request passes them.
    pub hops: Vec<Hop>,
    /// The connections that were made to measure, if any.
    pub probes: Vec<Probe>,
}

/// One thing that a request passes.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Hop {
    /// What kind of thing.
    pub kind: HopKind,
    /// Its name: an address, an interface, a rule, a process.
    pub name: String,
    /// More about it.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub detail: String,
    /// What passed it since it was made, by the kernel's counters.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub traffic: Option<Traffic>,
    /// How much of that passed while the probes were made.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub probed: Option<Traffic>,
    /// What it adds to the time of a handshake.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub nanoseconds: Option<u64>,
    /// Why there is no time.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub unmeasured: Option<String>,
    /// Why no request gets past it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub problem: Option<String>,
}

/// The kinds of things that a request passes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum HopKind {
    /// An address and port of the host.
    Host,
    /// What translates the host's port to the container's.
    Rule,
    /// The network's bridge, or the interface that stands for it.
    Bridge,
    /// The host's end of the pair.
    Veth,
    /// The container's end of it, or whatever interface it has.
    Interface,
    /// The container's network namespace.
    Namespace,
    /// What listens.
    Socket,
    /// Who listens.
    Process,
}

/// What passed.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Traffic {
    /// Packets, both ways; for a rule, those that opened a connection.
    pub packets: u64,
    /// Their bytes.
    pub bytes: u64,
}

/// Connections made to measure.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Probe {
    /// `inside`, `host` or `published`: from the container to itself, from the host to the container's address, from the
    /// host to its own port.
    pub way: String,
    /// Where to.
    pub to: String,
    /// The quickest handshake, by the kernel's clock.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub nanoseconds: Option<u64>,
    /// Why there was none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub error: Option<String>,
}
