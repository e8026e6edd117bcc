//! Volumes.
#![expect(missing_docs, reason = "Docker's API reference describes the fields")]

use super::TextMap;
use crate::document::omit;

documents! {
    /// `GET /volumes/{name}`
    pub struct Volume {
        #[serde(skip_serializing_if = "omit::zero")]
        pub created_at: String,
        pub driver: String,
        pub labels: Option<TextMap>,
        pub mountpoint: String,
        pub name: String,
        pub options: Option<TextMap>,
        pub scope: String,
        #[serde(skip_serializing_if = "Option::is_none")]
        pub usage_data: Option<VolumeUsage>,
    }

    /// Who uses a volume, and how large it is; -1 where nobody asked.
    pub struct VolumeUsage {
        pub ref_count: i64,
        pub size: i64,
    }

    /// The body of `POST /volumes/create`.
    pub struct VolumeCreateBody {
        pub name: String,
        pub driver: String,
        pub driver_opts: Option<TextMap>,
        pub labels: Option<TextMap>,
    }

    /// The answer of `GET /volumes`.
    pub struct VolumeList {
        pub volumes: Vec<Volume>,
        pub warnings: Option<Vec<String>>,
    }

    /// The answer of `POST /volumes/prune`.
    pub struct VolumePruneResponse {
        pub volumes_deleted: Option<Vec<String>>,
        pub space_reclaimed: u64,
    }
}
