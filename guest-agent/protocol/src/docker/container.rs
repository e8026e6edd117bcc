//! Containers: what a client asks for, and what it is told.
#![expect(
    clippy::zero_sized_map_values,
    reason = "Docker's sets are maps to empty objects"
)]
#![expect(missing_docs, reason = "Docker's API reference describes the fields")]

use std::collections::BTreeMap;

use super::TextMap;
use super::host_config::{HostConfig, RestartPolicy};
use super::image::Descriptor;
use super::mount::MountPoint;
use super::network::{EndpointSettings, NetworkSettings, NetworkingConfig};
use super::words::{Empty, Words};
use crate::document::omit;

documents! {
    /// What runs in a container, without what the host gives it.
    pub struct ContainerConfig {
        pub hostname: String,
        pub domainname: String,
        pub user: String,
        pub attach_stdin: bool,
        pub attach_stdout: bool,
        pub attach_stderr: bool,
        #[serde(skip_serializing_if = "omit::empty")]
        pub exposed_ports: Option<BTreeMap<String, Empty>>,
        pub tty: bool,
        pub open_stdin: bool,
        pub stdin_once: bool,
        pub env: Option<Vec<String>>,
        pub cmd: Option<Words>,
        #[serde(skip_serializing_if = "Option::is_none")]
        pub healthcheck: Option<HealthConfig>,
        #[serde(skip_serializing_if = "omit::zero")]
        pub args_escaped: bool,
        pub image: String,
        pub volumes: Option<BTreeMap<String, Empty>>,
        pub working_dir: String,
        pub entrypoint: Option<Words>,
        #[serde(skip_serializing_if = "omit::zero")]
        pub network_disabled: bool,
        #[serde(skip_serializing_if = "omit::zero")]
        pub mac_address: String,
        pub on_build: Option<Vec<String>>,
        pub labels: Option<TextMap>,
        #[serde(skip_serializing_if = "omit::zero")]
        pub stop_signal: String,
        #[serde(skip_serializing_if = "Option::is_none")]
        pub stop_timeout: Option<i64>,
        #[serde(skip_serializing_if = "Option::is_none")]
        pub shell: Option<Words>,
    }

    /// How health is probed; times in nanoseconds.
    pub struct HealthConfig {
        #[serde(skip_serializing_if = "omit::empty")]
        pub test: Option<Vec<String>>,
        #[serde(skip_serializing_if = "omit::zero")]
        pub interval: i64,
        #[serde(skip_serializing_if = "omit::zero")]
        pub timeout: i64,
        #[serde(skip_serializing_if = "omit::zero")]
        pub start_period: i64,
        #[serde(skip_serializing_if = "omit::zero")]
        pub start_interval: i64,
        #[serde(skip_serializing_if = "omit::zero")]
        pub retries: i64,
    }

    /// `GET /containers/{id}/json`
    pub struct ContainerInspect {
        pub id: String,
        pub created: String,
        pub path: String,
        pub args: Vec<String>,
        pub state: ContainerState,
        pub image: String,
        pub resolv_conf_path: String,
        pub hostname_path: String,
        pub hosts_path: String,
        pub log_path: String,
        pub name: String,
        pub restart_count: i64,
        pub driver: String,
        pub platform: String,
        pub mount_label: String,
        pub process_label: String,
        pub app_armor_profile: String,
        #[serde(rename = "ExecIDs")]
        pub exec_ids: Option<Vec<String>>,
        pub host_config: HostConfig,
        pub graph_driver: GraphDriver,
        #[serde(skip_serializing_if = "Option::is_none")]
        pub size_rw: Option<i64>,
        #[serde(skip_serializing_if = "Option::is_none")]
        pub size_root_fs: Option<i64>,
        #[serde(skip_serializing_if = "Option::is_none")]
        pub image_manifest_descriptor: Option<Descriptor>,
        #[serde(rename = "IDMappings", skip_serializing_if = "Option::is_none")]
        pub id_mappings: Option<IdMappings>,
        pub mounts: Vec<MountPoint>,
        pub config: ContainerConfig,
        pub network_settings: NetworkSettings,
        /// What Docker has no word for.
        #[serde(skip_serializing_if = "Option::is_none")]
        pub proa: Option<ProaFacts>,
    }

    /// What this engine knows of a container beyond Docker's documents.
    pub struct ProaFacts {
        #[serde(skip_serializing_if = "Option::is_none")]
        pub readiness: Option<Readiness>,
    }

    /// How long its latest start took until it was ready.
    #[derive(Eq)]
    pub struct Readiness {
        pub milliseconds: u64,
        /// `health`, or `port`.
        pub by: String,
        /// The port that something listened at first: `80/tcp`.
        #[serde(skip_serializing_if = "omit::zero")]
        pub port: String,
    }

    /// A container's health, as a list shows it.
    pub struct HealthSummary {
        pub status: String,
        pub failing_streak: i64,
    }

    /// Which ids of the host a container has in a user namespace of its own: `inside:outside:how many`, Podman's way.
    pub struct IdMappings {
        pub uid_map: Vec<String>,
        pub gid_map: Vec<String>,
    }

    /// How a container is.
    pub struct ContainerState {
        pub status: String,
        pub running: bool,
        pub paused: bool,
        pub restarting: bool,
        #[serde(rename = "OOMKilled")]
        pub oom_killed: bool,
        pub dead: bool,
        pub pid: i64,
        pub exit_code: i64,
        pub error: String,
        pub started_at: String,
        pub finished_at: String,
        #[serde(skip_serializing_if = "Option::is_none")]
        pub health: Option<Health>,
    }

    /// What the probes said.
    pub struct Health {
        pub status: String,
        pub failing_streak: i64,
        pub log: Option<Vec<HealthcheckResult>>,
    }

    /// What one probe said.
    pub struct HealthcheckResult {
        pub start: String,
        pub end: String,
        pub exit_code: i64,
        pub output: String,
    }

    /// Where a root file system's parts lie.
    pub struct GraphDriver {
        pub data: Option<TextMap>,
        pub name: String,
    }

    /// One line of `GET /containers/json`.
    pub struct ContainerSummary {
        pub id: String,
        pub names: Vec<String>,
        pub image: String,
        #[serde(rename = "ImageID")]
        pub image_id: String,
        #[serde(skip_serializing_if = "Option::is_none")]
        pub image_manifest_descriptor: Option<Descriptor>,
        pub command: String,
        pub created: i64,
        pub ports: Vec<Port>,
        #[serde(skip_serializing_if = "omit::zero")]
        pub size_rw: i64,
        #[serde(skip_serializing_if = "omit::zero")]
        pub size_root_fs: i64,
        pub labels: TextMap,
        pub state: String,
        pub status: String,
        pub host_config: SummaryHostConfig,
        pub network_settings: SummaryNetworkSettings,
        pub mounts: Vec<MountPoint>,
        pub health: HealthSummary,
        /// What Docker has no word for.
        #[serde(skip_serializing_if = "Option::is_none")]
        pub proa: Option<ProaFacts>,
    }

    /// The part of [`HostConfig`] that a list shows.
    pub struct SummaryHostConfig {
        #[serde(skip_serializing_if = "omit::zero")]
        pub network_mode: String,
        #[serde(skip_serializing_if = "omit::empty")]
        pub annotations: Option<TextMap>,
    }

    /// The part of [`NetworkSettings`] that a list shows.
    pub struct SummaryNetworkSettings {
        pub networks: Option<BTreeMap<String, EndpointSettings>>,
    }

    /// A port, published or only exposed.
    pub struct Port {
        #[serde(rename = "IP", skip_serializing_if = "omit::zero")]
        pub ip: String,
        pub private_port: u16,
        #[serde(skip_serializing_if = "omit::zero")]
        pub public_port: u16,
        #[serde(rename = "Type")]
        pub kind: String,
    }

    /// The answer of `POST /containers/create`.
    pub struct ContainerCreateResponse {
        pub id: String,
        pub warnings: Vec<String>,
    }

    /// The answer of `POST /containers/{id}/wait`.
    pub struct ContainerWaitResponse {
        pub status_code: i64,
        #[serde(skip_serializing_if = "Option::is_none")]
        pub error: Option<WaitError>,
    }

    /// Why a wait ended without an exit.
    pub struct WaitError {
        pub message: String,
    }

    /// The answer of `POST /containers/{id}/update`.
    pub struct ContainerUpdateResponse {
        pub warnings: Option<Vec<String>>,
    }

    /// The answer of `GET /containers/{id}/top`.
    pub struct ContainerTop {
        pub processes: Vec<Vec<String>>,
        pub titles: Vec<String>,
    }

    /// One path of `GET /containers/{id}/changes`: 0 changed, 1 added, 2 deleted.
    pub struct FilesystemChange {
        pub kind: u8,
        pub path: String,
    }

    /// The answer of `POST /commit`, and of an exec's creation in older words.
    pub struct IdResponse {
        pub id: String,
    }

    /// The answer of `POST /containers/prune`.
    pub struct ContainerPruneResponse {
        pub containers_deleted: Option<Vec<String>>,
        pub space_reclaimed: u64,
    }
}

/// What a path of a container is: in a header of the answers about `/containers/{id}/archive`.
#[derive(Clone, Debug, Default, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct PathStat {
    pub name: String,
    pub size: i64,
    /// Permission bits, and the kind in bits of Go's `fs.FileMode`.
    pub mode: u32,
    pub mtime: String,
    pub link_target: String,
}

impl PathStat {
    /// As a header's value: JSON in base64.
    pub fn to_header(&self) -> String {
        crate::to_base64(&serde_json::to_vec(self).unwrap_or_default())
    }
}

/// The body of `POST /containers/create`: the config's fields, and beside them what the host gives.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct ContainerCreateBody {
    pub config: ContainerConfig,
    pub host_config: HostConfig,
    pub networking_config: NetworkingConfig,
}

mod create_body {
    //! The body lists the config's fields and two more at one level. `serde(flatten)` would buffer the whole
    //! document, so the bytes are read twice with one set of fields each; what the other reader knows is skipped.

    use serde::{Deserialize, Serialize};

    use super::{ContainerConfig, ContainerCreateBody, HostConfig, NetworkingConfig};

    #[derive(Default, Serialize, Deserialize)]
    #[serde(rename_all = "PascalCase", default)]
    struct Beside {
        #[serde(deserialize_with = "crate::document::or_default")]
        host_config: HostConfig,
        #[serde(deserialize_with = "crate::document::or_default")]
        networking_config: NetworkingConfig,
    }

    impl ContainerCreateBody {
        /// Reads the body of a request.
        pub fn from_json(bytes: &[u8]) -> serde_json::Result<Self> {
            let config: Option<ContainerConfig> = serde_json::from_slice(bytes)?;
            let beside: Option<Beside> = serde_json::from_slice(bytes)?;
            let beside = beside.unwrap_or_default();
            Ok(Self {
                config: config.unwrap_or_default(),
                host_config: beside.host_config,
                networking_config: beside.networking_config,
            })
        }
    }

    impl Serialize for ContainerCreateBody {
        fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
            #[derive(Serialize)]
            #[serde(rename_all = "PascalCase")]
            struct Flat<'a> {
                #[serde(flatten)]
                config: &'a ContainerConfig,
                host_config: &'a HostConfig,
                networking_config: &'a NetworkingConfig,
            }
            Flat {
                config: &self.config,
                host_config: &self.host_config,
                networking_config: &self.networking_config,
            }
            .serialize(serializer)
        }
    }
}

documents! {
    /// The body of `POST /containers/{id}/update`: a zero or an absent value changes nothing.
    pub struct ContainerUpdateBody {
        pub blkio_weight: u16,
        pub cpu_shares: i64,
        pub cpu_period: i64,
        pub cpu_quota: i64,
        pub cpu_realtime_period: i64,
        pub cpu_realtime_runtime: i64,
        pub cpuset_cpus: String,
        pub cpuset_mems: String,
        pub memory: i64,
        pub memory_swap: i64,
        pub memory_reservation: i64,
        pub kernel_memory: i64,
        pub nano_cpus: i64,
        pub pids_limit: Option<i64>,
        pub restart_policy: RestartPolicy,
    }
}

impl HealthSummary {
    /// Of a container without a health check.
    pub fn none() -> Self {
        Self {
            status: "none".to_owned(),
            failing_streak: 0,
        }
    }
}
