//! What Docker fills in where a client says nothing.

use proa_protocol::{ContainerConfig, HostConfig};

use crate::spec;

/// Where the engine's own defaults come from.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Facts {
    pub(crate) cgroup_v2: bool,
}

/// Fills the host's part.
pub(crate) fn host(host: &mut HostConfig, facts: Facts) {
    let fill = |text: &mut String, default: &str| {
        if text.is_empty() {
            default.clone_into(text);
        }
    };
    if matches!(host.network_mode.as_str(), "" | "default") {
        "bridge".clone_into(&mut host.network_mode);
    }
    fill(&mut host.restart_policy.name, "no");
    fill(&mut host.ipc_mode, "private");
    let v1_or_privileged = !facts.cgroup_v2 || host.privileged;
    fill(
        &mut host.cgroupns_mode,
        if v1_or_privileged { "host" } else { "private" },
    );
    fill(&mut host.runtime, "proa");
    if host.shm_size == 0 {
        host.shm_size = spec::mounts::SHM_SIZE;
    }
    // Twice the memory, as the kernel counts both together.
    if host.memory > 0 && host.memory_swap == 0 {
        host.memory_swap = host.memory.saturating_mul(2);
    }
    if host.memory_swappiness == Some(-1) {
        host.memory_swappiness = None;
    }
    if host.pids_limit.is_some_and(|limit| limit <= 0) {
        host.pids_limit = None;
    }
    // Version 2 has no such switch.
    host.oom_kill_disable = if facts.cgroup_v2 {
        None
    } else {
        Some(host.oom_kill_disable.unwrap_or(false))
    };
    paths(host);
}

/// The hidden and the read-only paths, unless the user said which.
fn paths(host: &mut HostConfig) {
    let unconfined = host
        .security_opt
        .iter()
        .flatten()
        .any(|option| option == "systempaths=unconfined");
    if host.privileged || unconfined {
        if host.privileged {
            host.masked_paths = None;
            host.readonly_paths = None;
        } else {
            host.masked_paths = Some(Vec::new());
            host.readonly_paths = Some(Vec::new());
        }
        return;
    }
    let (masked, readonly) = spec::default_paths();
    host.masked_paths.get_or_insert(masked);
    host.readonly_paths.get_or_insert(readonly);
}

/// Fills the container's part. `short` is its default host name, `host_name` the machine's.
pub(crate) fn container(
    config: &mut ContainerConfig,
    host: &HostConfig,
    short: &str,
    host_name: &str,
) {
    if config.hostname.is_empty() && !host.network_mode.starts_with("container:") {
        let shares = host.network_mode == "host" || host.uts_mode == "host";
        config.hostname = if shares {
            host_name.to_owned()
        } else {
            short.to_owned()
        };
    }
    // Docker takes a domain out of a host name only when none is given apart.
    config.env.get_or_insert_default();
}
