//! What specs and documents need to know of the host, looked up once.

use std::{
    collections::HashMap,
    sync::{Arc, Mutex},
};

use oci_spec::runtime::LinuxSeccomp;
use proa_kernel::cgroup::{Hierarchy, Version};

use crate::{engine::lock, spec};

/// Facts about the host.
pub(crate) struct Host {
    /// For specs.
    pub(crate) machine: spec::Machine,
    pub(crate) cpus: usize,
}

impl Host {
    pub(crate) fn look(cgroups: &Hierarchy) -> Self {
        Host {
            machine: spec::Machine {
                cgroup_v2: cgroups.version() == Version::V2,
                apparmor: std::path::Path::new("/sys/kernel/security/apparmor").is_dir(),
                ..spec::Machine::default()
            },
            cpus: std::thread::available_parallelism().map_or(1, usize::from),
        }
    }
}
