//! Proa's own documents, under `/proa/v1`.

use serde::{Deserialize, Serialize};

/// `GET /proa/v1/health`: whether the engine can work.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Health {
    /// The program's version.
    pub version: String,
    /// When `serve` began, in seconds since 1970.
    pub since: i64,
    /// Its process.
    pub pid: u32,
    /// Containers that run.
    pub running: u64,
}
