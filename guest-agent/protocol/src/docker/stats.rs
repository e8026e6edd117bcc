//! What a container uses.
#![expect(missing_docs, reason = "Docker's API reference describes the fields")]

use std::collections::BTreeMap;

use crate::document::omit;
use serde::{Deserialize, Serialize};

/// `GET /containers/{id}/stats`
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct ContainerStats {
    #[serde(skip_serializing_if = "omit::zero")]
    pub name: String,
    #[serde(skip_serializing_if = "omit::zero")]
    pub id: String,
    pub read: String,
    pub preread: String,
    pub pids_stats: PidsStats,
    pub blkio_stats: BlkioStats,
    pub num_procs: u32,
    pub storage_stats: StorageStats,
    pub cpu_stats: CpuStats,
    pub precpu_stats: CpuStats,
    pub memory_stats: MemoryStats,
    pub os_type: String,
    #[serde(skip_serializing_if = "omit::empty")]
    pub networks: Option<BTreeMap<String, NetworkStats>>,
}

/// Processes and threads.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct PidsStats {
    #[serde(skip_serializing_if = "omit::zero")]
    pub current: u64,
    #[serde(skip_serializing_if = "omit::zero")]
    pub limit: u64,
}

/// Block I/O; a version 2 host fills the first list only and leaves the others null.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct BlkioStats {
    pub io_service_bytes_recursive: Option<Vec<BlkioEntry>>,
    pub io_serviced_recursive: Option<Vec<BlkioEntry>>,
    pub io_queue_recursive: Option<Vec<BlkioEntry>>,
    pub io_service_time_recursive: Option<Vec<BlkioEntry>>,
    pub io_wait_time_recursive: Option<Vec<BlkioEntry>>,
    pub io_merged_recursive: Option<Vec<BlkioEntry>>,
    pub io_time_recursive: Option<Vec<BlkioEntry>>,
    pub sectors_recursive: Option<Vec<BlkioEntry>>,
}

/// One counter of one block device.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct BlkioEntry {
    pub major: u64,
    pub minor: u64,
    pub op: String,
    pub value: u64,
}

/// Only Windows fills it.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct StorageStats {}

/// Processor time.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct CpuStats {
    pub cpu_usage: CpuUsage,
    #[serde(skip_serializing_if = "omit::zero")]
    pub system_cpu_usage: u64,
    #[serde(skip_serializing_if = "omit::zero")]
    pub online_cpus: u32,
    pub throttling_data: Throttling,
}

/// Processor time in nanoseconds.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct CpuUsage {
    pub total_usage: u64,
    #[serde(skip_serializing_if = "omit::empty")]
    pub percpu_usage: Option<Vec<u64>>,
    pub usage_in_kernelmode: u64,
    pub usage_in_usermode: u64,
}

/// How often the quota held the container back.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct Throttling {
    pub periods: u64,
    pub throttled_periods: u64,
    pub throttled_time: u64,
}

/// Memory in bytes; `stats` is the kernel's own list.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct MemoryStats {
    #[serde(skip_serializing_if = "omit::zero")]
    pub usage: u64,
    #[serde(skip_serializing_if = "omit::zero")]
    pub max_usage: u64,
    #[serde(skip_serializing_if = "omit::empty")]
    pub stats: Option<BTreeMap<String, u64>>,
    #[serde(skip_serializing_if = "omit::zero")]
    pub failcnt: u64,
    #[serde(skip_serializing_if = "omit::zero")]
    pub limit: u64,
}

/// Counters of one network interface.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct NetworkStats {
    pub rx_bytes: u64,
    pub rx_packets: u64,
    pub rx_errors: u64,
    pub rx_dropped: u64,
    pub tx_bytes: u64,
    pub tx_packets: u64,
    pub tx_errors: u64,
    pub tx_dropped: u64,
}
