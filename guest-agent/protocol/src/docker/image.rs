//! Images.
#![expect(
    clippy::zero_sized_map_values,
    reason = "Docker's sets are maps to empty objects"
)]
#![expect(missing_docs, reason = "Docker's API reference describes the fields")]

use std::collections::BTreeMap;

use super::TextMap;
use super::container::{ContainerConfig, GraphDriver, HealthConfig};
use super::words::{Empty, Words};
use crate::document::omit;
use serde::{Deserialize, Serialize};

documents! {
    /// One line of `GET /images/json`.
    pub struct ImageSummary {
        pub containers: i64,
        pub created: i64,
        pub id: String,
        pub labels: Option<TextMap>,
        pub parent_id: String,
        pub repo_digests: Option<Vec<String>>,
        pub repo_tags: Vec<String>,
        pub shared_size: i64,
        pub size: i64,
        /// Only for clients older than version 1.44.
        #[serde(skip_serializing_if = "omit::zero")]
        pub virtual_size: i64,
        #[serde(skip_serializing_if = "Option::is_none")]
        pub descriptor: Option<Descriptor>,
    }

    /// `GET /images/{name}/json`
    pub struct ImageInspect {
        pub id: String,
        pub repo_tags: Vec<String>,
        pub repo_digests: Vec<String>,
        pub parent: String,
        pub comment: String,
        #[serde(skip_serializing_if = "omit::zero")]
        pub created: String,
        /// Only for clients older than version 1.45.
        #[serde(skip_serializing_if = "omit::zero")]
        pub container: String,
        /// Only for clients older than version 1.45.
        #[serde(skip_serializing_if = "Option::is_none")]
        pub container_config: Option<ContainerConfig>,
        pub docker_version: String,
        pub author: String,
        pub config: Option<ImageConfig>,
        pub architecture: String,
        #[serde(skip_serializing_if = "omit::zero")]
        pub variant: String,
        pub os: String,
        #[serde(skip_serializing_if = "omit::zero")]
        pub os_version: String,
        pub size: i64,
        /// Only for clients older than version 1.44.
        #[serde(skip_serializing_if = "omit::zero")]
        pub virtual_size: i64,
        pub graph_driver: GraphDriver,
        #[serde(rename = "RootFS")]
        pub root_fs: RootFs,
        pub metadata: ImageMetadata,
        #[serde(skip_serializing_if = "Option::is_none")]
        pub descriptor: Option<Descriptor>,
    }

    /// An image's defaults for its containers.
    pub struct ImageConfig {
        #[serde(skip_serializing_if = "omit::zero")]
        pub user: String,
        #[serde(skip_serializing_if = "omit::empty")]
        pub exposed_ports: Option<BTreeMap<String, Empty>>,
        #[serde(skip_serializing_if = "omit::empty")]
        pub env: Option<Vec<String>>,
        #[serde(skip_serializing_if = "Option::is_none")]
        pub entrypoint: Option<Words>,
        #[serde(skip_serializing_if = "Option::is_none")]
        pub cmd: Option<Words>,
        #[serde(skip_serializing_if = "omit::empty")]
        pub volumes: Option<BTreeMap<String, Empty>>,
        #[serde(skip_serializing_if = "omit::zero")]
        pub working_dir: String,
        #[serde(skip_serializing_if = "omit::empty")]
        pub labels: Option<TextMap>,
        #[serde(skip_serializing_if = "omit::zero")]
        pub stop_signal: String,
        #[serde(skip_serializing_if = "omit::zero")]
        pub args_escaped: bool,
        #[serde(skip_serializing_if = "Option::is_none")]
        pub healthcheck: Option<HealthConfig>,
        #[serde(skip_serializing_if = "omit::empty")]
        pub on_build: Option<Vec<String>>,
        #[serde(skip_serializing_if = "Option::is_none")]
        pub shell: Option<Words>,
    }

    /// An image's layers, by the digests of their uncompressed content.
    pub struct RootFs {
        #[serde(rename = "Type", skip_serializing_if = "omit::zero")]
        pub kind: String,
        #[serde(skip_serializing_if = "omit::empty")]
        pub layers: Option<Vec<String>>,
    }

    /// What only this engine knows of an image.
    pub struct ImageMetadata {
        pub last_tag_time: String,
    }

    /// One line of `GET /images/{name}/history`.
    pub struct HistoryEntry {
        pub comment: String,
        pub created: i64,
        pub created_by: String,
        pub id: String,
        pub size: i64,
        pub tags: Option<Vec<String>>,
    }

    /// One line of the answer of `DELETE /images/{name}`.
    pub struct ImageDeleted {
        #[serde(skip_serializing_if = "omit::zero")]
        pub deleted: String,
        #[serde(skip_serializing_if = "omit::zero")]
        pub untagged: String,
    }

    /// The answer of `POST /images/prune`.
    pub struct ImagePruneResponse {
        pub images_deleted: Option<Vec<ImageDeleted>>,
        pub space_reclaimed: u64,
    }
}

/// An OCI descriptor.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct Descriptor {
    pub media_type: String,
    pub digest: String,
    pub size: i64,
    #[serde(skip_serializing_if = "omit::empty")]
    pub urls: Option<Vec<String>>,
    #[serde(skip_serializing_if = "omit::empty")]
    pub annotations: Option<TextMap>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub platform: Option<OciPlatform>,
    #[serde(skip_serializing_if = "omit::zero")]
    pub artifact_type: String,
}

/// What an image runs on.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct OciPlatform {
    pub architecture: String,
    pub os: String,
    #[serde(rename = "os.version", skip_serializing_if = "omit::zero")]
    pub os_version: String,
    #[serde(rename = "os.features", skip_serializing_if = "omit::empty")]
    pub os_features: Option<Vec<String>>,
    #[serde(skip_serializing_if = "omit::zero")]
    pub variant: String,
}

/// One line of `GET /images/search`.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct ImageSearchResult {
    pub star_count: i64,
    pub is_official: bool,
    pub name: String,
    pub is_automated: bool,
    pub description: String,
}

/// The answer of `GET /distribution/{name}/json`.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase", default)]
pub struct DistributionInspect {
    pub descriptor: Descriptor,
    pub platforms: Vec<OciPlatform>,
}
