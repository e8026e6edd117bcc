//! Control groups: what a set of processes may use, what they used, and their end.
//!
//! One set of types over version 2, version 1, and the hybrid of both (version 1 controllers beside a version 2 tree that
//! has none). A [`Hierarchy`] is what this host mounts and where beneath it this process may work; a [`Cgroup`] is one
//! group at a [`CgroupPath`] of that place; [`Limits`] and [`Stats`] are plain values with the meaning of the OCI runtime
//! specification and of Docker's statistics, whatever the version.
//!
//! Always true
//! * `create` returns a cgroup with every limit in force or leaves none behind.
//! * A cgroup can be opened again by its path after its maker is gone; nothing about it is kept in memory.
//! * On version 1 only those controllers are used that count or limit something; others join when a limit asks.
//!
//! Does not know: containers, Docker's documents, async.
//!
//! Start at [`Hierarchy::create`]; the fast way in for a new process is [`Cgroup::entrance`].

mod detect;
mod device_program;
mod devices;
mod entrance;
mod error;
mod events;
mod files;
mod freeze;
mod group;
mod host;
mod limits;
mod path;
mod remove;
mod stats;
mod v1;
mod v2;

pub use detect::{Controller, Hierarchy, Version};
pub use devices::{Access, DeviceKind, DeviceRule, default_rules};
pub use entrance::Entrance;
pub use error::CgroupError;
pub use events::OomWatch;
pub use group::Cgroup;
pub use host::{HostCpu, host_cpu, host_memory};
pub use limits::{
    BadLimit, BlockIo, Cpu, DeviceAmount, Limits, MINIMUM_MEMORY, Memory, io_weight, parse_list,
    swap_alone, weight_of_shares,
};
pub use path::{BadCgroupPath, CgroupPath};
pub use stats::{
    BlockIoEntry, BlockIoStats, CpuStats, MemoryStats, PidsStats, Pressure, PressureLine,
    Pressures, Stats, Throttling,
};
