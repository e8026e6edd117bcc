//! Mounts: asked for, and made.
#![expect(missing_docs, reason = "Docker's API reference describes the fields")]

use super::TextMap;
use crate::document::omit;

documents! {
    /// A mount as a client asks for it.
    pub struct Mount {
        #[serde(rename = "Type", skip_serializing_if = "omit::zero")]
        pub kind: String,
        #[serde(skip_serializing_if = "omit::zero")]
        pub source: String,
        #[serde(skip_serializing_if = "omit::zero")]
        pub target: String,
        #[serde(skip_serializing_if = "omit::zero")]
        pub read_only: bool,
        #[serde(skip_serializing_if = "omit::zero")]
        pub consistency: String,
        #[serde(skip_serializing_if = "Option::is_none")]
        pub bind_options: Option<BindOptions>,
        #[serde(skip_serializing_if = "Option::is_none")]
        pub volume_options: Option<VolumeOptions>,
        #[serde(skip_serializing_if = "Option::is_none")]
        pub image_options: Option<ImageOptions>,
        #[serde(skip_serializing_if = "Option::is_none")]
        pub tmpfs_options: Option<TmpfsOptions>,
    }

    /// Options of a bind.
    pub struct BindOptions {
        #[serde(skip_serializing_if = "omit::zero")]
        pub propagation: String,
        #[serde(skip_serializing_if = "omit::zero")]
        pub non_recursive: bool,
        #[serde(skip_serializing_if = "omit::zero")]
        pub create_mountpoint: bool,
        #[serde(skip_serializing_if = "omit::zero")]
        pub read_only_non_recursive: bool,
        #[serde(skip_serializing_if = "omit::zero")]
        pub read_only_force_recursive: bool,
    }

    /// Options of a volume.
    pub struct VolumeOptions {
        #[serde(skip_serializing_if = "omit::zero")]
        pub no_copy: bool,
        #[serde(skip_serializing_if = "omit::empty")]
        pub labels: Option<TextMap>,
        #[serde(skip_serializing_if = "omit::zero")]
        pub subpath: String,
        #[serde(skip_serializing_if = "Option::is_none")]
        pub driver_config: Option<MountDriver>,
    }

    /// The driver of a volume that a mount makes.
    pub struct MountDriver {
        #[serde(skip_serializing_if = "omit::zero")]
        pub name: String,
        #[serde(skip_serializing_if = "omit::empty")]
        pub options: Option<TextMap>,
    }

    /// Options of an image's files as a mount.
    pub struct ImageOptions {
        #[serde(skip_serializing_if = "omit::zero")]
        pub subpath: String,
    }

    /// Options of a file system in memory.
    pub struct TmpfsOptions {
        #[serde(skip_serializing_if = "omit::zero")]
        pub size_bytes: i64,
        #[serde(skip_serializing_if = "omit::zero")]
        pub mode: u32,
        #[serde(skip_serializing_if = "omit::empty")]
        pub options: Option<Vec<Vec<String>>>,
    }

    /// A mount as a container has it.
    pub struct MountPoint {
        #[serde(rename = "Type", skip_serializing_if = "omit::zero")]
        pub kind: String,
        #[serde(skip_serializing_if = "omit::zero")]
        pub name: String,
        pub source: String,
        pub destination: String,
        #[serde(skip_serializing_if = "omit::zero")]
        pub driver: String,
        pub mode: String,
        #[serde(rename = "RW")]
        pub rw: bool,
        pub propagation: String,
    }
}
