//! The engine itself.
#![expect(missing_docs, reason = "Docker's API reference describes the fields")]

use std::collections::BTreeMap;

use super::TextMap;
use super::container::ContainerSummary;
use super::image::ImageSummary;
use super::volume::Volume;
use crate::document::omit;
use serde::{Deserialize, Serialize};

documents! {
    /// `GET /version`
    pub struct Version {
        pub platform: VersionPlatform,
        pub components: Vec<VersionComponent>,
        pub version: String,
        pub api_version: String,
        #[serde(rename = "MinAPIVersion")]
        pub min_api_version: String,
        pub git_commit: String,
        pub go_version: String,
        pub os: String,
        pub arch: String,
        #[serde(skip_serializing_if = "omit::zero")]
        pub kernel_version: String,
        #[serde(skip_serializing_if = "omit::zero")]
        pub experimental: bool,
        #[serde(skip_serializing_if = "omit::zero")]
        pub build_time: String,
    }

    /// The product's name.
    pub struct VersionPlatform {
        pub name: String,
    }

    /// One part of the engine.
    pub struct VersionComponent {
        pub name: String,
        pub version: String,
        #[serde(skip_serializing_if = "omit::empty")]
        pub details: Option<TextMap>,
    }

    /// `GET /info`
    pub struct Info {
        #[serde(rename = "ID")]
        pub id: String,
        pub containers: i64,
        pub containers_running: i64,
        pub containers_paused: i64,
        pub containers_stopped: i64,
        pub images: i64,
        pub driver: String,
        pub driver_status: Vec<[String; 2]>,
        #[serde(skip_serializing_if = "omit::empty")]
        pub system_status: Option<Vec<[String; 2]>>,
        pub plugins: Plugins,
        pub memory_limit: bool,
        pub swap_limit: bool,
        #[serde(skip_serializing_if = "omit::zero")]
        pub kernel_memory: bool,
        #[serde(rename = "KernelMemoryTCP", skip_serializing_if = "omit::zero")]
        pub kernel_memory_tcp: bool,
        pub cpu_cfs_period: bool,
        pub cpu_cfs_quota: bool,
        #[serde(rename = "CPUShares")]
        pub cpu_shares: bool,
        #[serde(rename = "CPUSet")]
        pub cpu_set: bool,
        pub pids_limit: bool,
        #[serde(rename = "IPv4Forwarding")]
        pub ipv4_forwarding: bool,
        pub bridge_nf_iptables: bool,
        #[serde(rename = "BridgeNfIp6tables")]
        pub bridge_nf_ip6tables: bool,
        pub debug: bool,
        pub n_fd: i64,
        pub oom_kill_disable: bool,
        pub n_goroutines: i64,
        pub system_time: String,
        pub logging_driver: String,
        pub cgroup_driver: String,
        #[serde(skip_serializing_if = "omit::zero")]
        pub cgroup_version: String,
        pub n_events_listener: i64,
        pub kernel_version: String,
        pub operating_system: String,
        #[serde(rename = "OSVersion")]
        pub os_version: String,
        #[serde(rename = "OSType")]
        pub os_type: String,
        pub architecture: String,
        pub index_server_address: String,
        pub registry_config: RegistryConfig,
        #[serde(rename = "NCPU")]
        pub ncpu: i64,
        pub mem_total: i64,
        pub generic_resources: Option<Vec<String>>,
        pub docker_root_dir: String,
        pub http_proxy: String,
        pub https_proxy: String,
        pub no_proxy: String,
        pub name: String,
        pub labels: Vec<String>,
        pub experimental_build: bool,
        pub server_version: String,
        pub runtimes: BTreeMap<String, RuntimeInfo>,
        pub default_runtime: String,
        pub swarm: SwarmInfo,
        pub live_restore_enabled: bool,
        pub isolation: String,
        pub init_binary: String,
        pub containerd_commit: Commit,
        pub runc_commit: Commit,
        pub init_commit: Commit,
        pub security_options: Vec<String>,
        #[serde(skip_serializing_if = "omit::zero")]
        pub product_license: String,
        #[serde(rename = "CDISpecDirs")]
        pub cdi_spec_dirs: Vec<String>,
        pub warnings: Option<Vec<String>>,
    }

    /// What is built in, by kind.
    pub struct Plugins {
        pub volume: Vec<String>,
        pub network: Vec<String>,
        pub authorization: Option<Vec<String>>,
        pub log: Vec<String>,
    }

    /// How registries are reached.
    pub struct RegistryConfig {
        #[serde(rename = "AllowNondistributableArtifactsCIDRs")]
        pub allow_nondistributable_artifacts_cidrs: Option<Vec<String>>,
        pub allow_nondistributable_artifacts_hostnames: Option<Vec<String>>,
        #[serde(rename = "InsecureRegistryCIDRs")]
        pub insecure_registry_cidrs: Vec<String>,
        pub index_configs: BTreeMap<String, IndexInfo>,
        pub mirrors: Option<Vec<String>>,
    }

    /// How one registry is reached.
    pub struct IndexInfo {
        pub name: String,
        pub mirrors: Vec<String>,
        pub secure: bool,
        pub official: bool,
    }

    /// There is no swarm.
    pub struct SwarmInfo {
        #[serde(rename = "NodeID")]
        pub node_id: String,
        pub node_addr: String,
        pub local_node_state: String,
        pub control_available: bool,
        pub error: String,
        pub remote_managers: Option<Vec<String>>,
    }

    /// A version of a part.
    pub struct Commit {
        #[serde(rename = "ID")]
        pub id: String,
        pub expected: String,
    }

    /// The answer of `POST /build/prune`.
    pub struct BuildPruneResponse {
        pub caches_deleted: Option<Vec<String>>,
        pub space_reclaimed: u64,
    }

    /// What one kind of object takes on the disk, as `GET /system/df` says it since version 1.52.
    pub struct UsageSummary {
        pub active_count: i64,
        pub total_count: i64,
        pub reclaimable: i64,
        pub total_size: i64,
    }

    /// `GET /system/df`
    pub struct DiskUsage {
        #[serde(skip_serializing_if = "omit::zero")]
        pub layers_size: i64,
        #[serde(skip_serializing_if = "Option::is_none")]
        pub images: Option<Vec<ImageSummary>>,
        #[serde(skip_serializing_if = "Option::is_none")]
        pub containers: Option<Vec<ContainerSummary>>,
        #[serde(skip_serializing_if = "Option::is_none")]
        pub volumes: Option<Vec<Volume>>,
        #[serde(skip_serializing_if = "Option::is_none")]
        pub build_cache: Option<Vec<Empty>>,
    }
}
use super::words::Empty;

/// One OCI runtime.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct RuntimeInfo {
    pub path: String,
    #[serde(skip_serializing_if = "omit::empty")]
    pub status: Option<TextMap>,
}

/// The body of `POST /auth`, and what `X-Registry-Auth` holds.
#[derive(Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct AuthConfig {
    #[serde(
        skip_serializing_if = "omit::zero",
        deserialize_with = "crate::document::or_default"
    )]
    pub username: String,
    #[serde(
        skip_serializing_if = "omit::zero",
        deserialize_with = "crate::document::or_default"
    )]
    pub password: String,
    /// `username:password` in base64, as configuration files hold it.
    #[serde(
        skip_serializing_if = "omit::zero",
        deserialize_with = "crate::document::or_default"
    )]
    pub auth: String,
    #[serde(
        skip_serializing_if = "omit::zero",
        deserialize_with = "crate::document::or_default"
    )]
    pub serveraddress: String,
    /// A refresh token instead of a password.
    #[serde(
        skip_serializing_if = "omit::zero",
        deserialize_with = "crate::document::or_default"
    )]
    pub identitytoken: String,
    /// A bearer token to send as it is.
    #[serde(
        skip_serializing_if = "omit::zero",
        deserialize_with = "crate::document::or_default"
    )]
    pub registrytoken: String,
}

impl std::fmt::Debug for AuthConfig {
    /// Secrets do not reach a log.
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("AuthConfig")
            .field("username", &self.username)
            .field("serveraddress", &self.serveraddress)
            .finish_non_exhaustive()
    }
}

documents! {
    /// The answer of `POST /auth`.
    pub struct AuthResponse {
        pub status: String,
        pub identity_token: String,
    }
}
