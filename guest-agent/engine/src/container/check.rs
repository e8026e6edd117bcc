//! What Docker refuses when a container is made, in its words.

use proa_protocol::{ContainerConfig, HostConfig, RestartPolicy};

use super::signal;
use crate::{Error, Result, user_ids};

/// The least memory a container can start with.
const MINIMUM_MEMORY: i64 = 6 << 20;

/// What checks need to know of the host.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Facts {
    pub(crate) cpus: usize,
}

/// Checks the whole configuration; answers with what is doubtful but allowed.
pub(crate) fn all(
    config: &ContainerConfig,
    host: &HostConfig,
    facts: Facts,
) -> Result<Vec<String>> {
    process(config)?;
    modes(config, host)?;
    restart_policy(&host.restart_policy)?;
    if host.auto_remove && !matches!(host.restart_policy.name.as_str(), "" | "no") {
        return Err(Error::bad(
            "can't create 'AutoRemove' container with restart policy",
        ));
    }
    if !(-1000..=1000).contains(&host.oom_score_adj) {
        let score = host.oom_score_adj;
        return Err(Error::bad(format!(
            "Invalid value {score}, range for oom score adj is [-1000, 1000]"
        )));
    }
    if host.shm_size < 0 {
        return Err(Error::bad("SHM size can not be less than 0"));
    }
    extra_hosts(host)?;
    capabilities(host)?;
    mount_types(host)?;
    if !matches!(host.isolation.as_str(), "" | "default") {
        return Err(Error::bad(format!(
            "Invalid isolation: \"{}\" - linux only supports 'default'",
            host.isolation
        )));
    }
    if !matches!(
        host.runtime.as_str(),
        "" | "runc" | "proa" | "io.containerd.runc.v2"
    ) {
        return Err(Error::bad(format!(
            "unknown or invalid runtime name: {}",
            host.runtime
        )));
    }
    if host
        .annotations
        .iter()
        .flatten()
        .any(|(key, _)| key.is_empty())
    {
        return Err(Error::bad(
            "invalid Annotations: the empty string is not permitted as an annotation key",
        ));
    }
    limits(host, facts)
}

fn process(config: &ContainerConfig) -> Result<()> {
    if !config.working_dir.is_empty() && !config.working_dir.starts_with('/') {
        let dir = &config.working_dir;
        return Err(Error::bad(format!(
            "the working directory '{dir}' is invalid, it needs to be an absolute path"
        )));
    }
    if !config.stop_signal.is_empty() {
        signal::parse(&config.stop_signal)?;
    }
    if let Some(entry) = config
        .env
        .iter()
        .flatten()
        .find(|entry| entry.is_empty() || entry.starts_with('='))
    {
        return Err(Error::bad(format!("invalid environment variable: {entry}")));
    }
    if let Some(label) = config
        .labels
        .iter()
        .flatten()
        .find(|(key, _)| key.is_empty())
    {
        return Err(Error::bad(format!("invalid label: '={}'", label.1)));
    }
    let Some(health) = &config.healthcheck else {
        return Ok(());
    };
    let names = [
        ("Interval", health.interval),
        ("Timeout", health.timeout),
        ("StartPeriod", health.start_period),
    ];
    for (name, nanoseconds) in names {
        if nanoseconds != 0 && nanoseconds < 1_000_000 {
            return Err(Error::bad(format!(
                "{name} in Healthcheck cannot be less than 1ms"
            )));
        }
    }
    if health.retries < 0 {
        return Err(Error::bad("Retries in Healthcheck cannot be negative"));
    }
    Ok(())
}

/// What a user namespace of one's own has no rights in.
fn own_user_namespace(host: &HostConfig) -> Result<()> {
    if host.privileged {
        return Err(Error::bad(
            "privileged mode is incompatible with user namespaces.  You must run the container in the host namespace \
             when running privileged mode",
        ));
    }
    let foreign = |mode: &str| mode == "host" || mode.starts_with("container:");
    let shared = [
        (host.network_mode == "host", "the host's network"),
        (foreign(&host.pid_mode), "a PID"),
        (foreign(&host.ipc_mode), "an IPC"),
    ];
    match shared.iter().find(|(shared, _)| *shared) {
        Some((_, what)) => Err(Error::bad(format!(
            "cannot share {what} namespace when user namespaces are enabled"
        ))),
        None => Ok(()),
    }
}

/// Namespaces shared with the host or another container, and what does not go with them.
fn modes(config: &ContainerConfig, host: &HostConfig) -> Result<()> {
    let shared =
        |mode: &str| matches!(mode, "" | "host" | "private") || mode.starts_with("container:");
    let invalid = |what: &str, mode: &str| Err(Error::bad(format!("invalid {what} mode: {mode}")));
    if !matches!(host.ipc_mode.as_str(), "none" | "shareable") && !shared(&host.ipc_mode) {
        return invalid("IPC", &host.ipc_mode);
    }
    if !shared(&host.pid_mode) || host.pid_mode == "private" {
        return invalid("PID", &host.pid_mode);
    }
    if !matches!(host.uts_mode.as_str(), "" | "host") {
        return invalid("UTS", &host.uts_mode);
    }
    if !matches!(host.cgroupns_mode.as_str(), "" | "host" | "private") {
        return invalid("cgroup namespace", &host.cgroupns_mode);
    }
    if user_ids::wanted(&host.userns_mode)?.is_some() {
        own_user_namespace(host)?;
    }
    if host.uts_mode == "host" && !config.hostname.is_empty() {
        return Err(Error::bad("conflicting options: hostname and the UTS mode"));
    }
    let has = |list: &Option<Vec<String>>| list.as_ref().is_some_and(|list| !list.is_empty());
    if host.network_mode == "host" && has(&host.links) {
        return Err(Error::bad(
            "conflicting options: host type networking can't be used with links. This would result in undefined behavior",
        ));
    }
    if !host.network_mode.starts_with("container:") {
        return Ok(());
    }
    let ports = host
        .port_bindings
        .as_ref()
        .is_some_and(|ports| !ports.is_empty());
    let exposed = config
        .exposed_ports
        .as_ref()
        .is_some_and(|ports| !ports.is_empty());
    let conflicts = [
        (!config.hostname.is_empty(), "hostname and the network mode"),
        (
            has(&host.links),
            "container type network can't be used with links. This would result in undefined behavior",
        ),
        (has(&host.dns), "dns and the network mode"),
        (
            has(&host.extra_hosts),
            "custom host-to-IP mapping and the network mode",
        ),
        (
            !config.mac_address.is_empty(),
            "mac-address and the network mode",
        ),
        (
            ports || host.publish_all_ports,
            "port publishing and the container type network mode",
        ),
        (exposed, "port exposing and the container type network mode"),
    ];
    match conflicts.iter().find(|(conflict, _)| *conflict) {
        Some((_, words)) => Err(Error::bad(format!("conflicting options: {words}"))),
        None => Ok(()),
    }
}

/// A restart policy's name and count.
pub(crate) fn restart_policy(policy: &RestartPolicy) -> Result<()> {
    let count = policy.maximum_retry_count;
    match policy.name.as_str() {
        "on-failure" if count < 0 => Err(Error::bad(
            "invalid restart policy: maximum retry count cannot be negative",
        )),
        "always" | "unless-stopped" | "no" if count != 0 => {
            let more = if count < 0 {
                " and cannot be negative"
            } else {
                ""
            };
            Err(Error::bad(format!(
                "invalid restart policy: maximum retry count can only be used with 'on-failure'{more}"
            )))
        }
        "" | "no" | "always" | "unless-stopped" | "on-failure" => Ok(()),
        name => Err(Error::bad(format!(
            "invalid restart policy: unknown policy '{name}'; use one of 'no', 'always', 'on-failure', or \
             'unless-stopped'"
        ))),
    }
}

/// Names of capabilities, with or without `CAP_`.
fn capabilities(host: &HostConfig) -> Result<()> {
    for (what, list) in [("CapAdd", &host.cap_add), ("CapDrop", &host.cap_drop)] {
        for name in list.as_deref().unwrap_or_default() {
            let upper = name.to_ascii_uppercase();
            let bare = upper.strip_prefix("CAP_").unwrap_or(&upper);
            if bare != "ALL" && proa_kernel::capability::number(&format!("CAP_{bare}")).is_none() {
                return Err(Error::bad(format!(
                    "invalid {what}: unknown capability: \"CAP_{bare}\""
                )));
            }
        }
    }
    Ok(())
}

fn mount_types(host: &HostConfig) -> Result<()> {
    const KNOWN: &[&str] = &["bind", "volume", "tmpfs", "image", "npipe", "cluster"];
    match host
        .mounts
        .iter()
        .flatten()
        .find(|mount| !KNOWN.contains(&mount.kind.as_str()))
    {
        Some(mount) => Err(Error::bad(format!(
            "invalid mount config for type \"{}\": mount type unknown",
            mount.kind
        ))),
        None => Ok(()),
    }
}

fn extra_hosts(host: &HostConfig) -> Result<()> {
    for entry in host.extra_hosts.iter().flatten() {
        let wrong = || Error::bad(format!("bad format for add-host: \"{entry}\""));
        let (name, address) = entry.split_once([':', '=']).ok_or_else(wrong)?;
        let bare = address.trim_start_matches('[').trim_end_matches(']');
        if name.is_empty() {
            return Err(wrong());
        }
        if address != "host-gateway" && bare.parse::<std::net::IpAddr>().is_err() {
            return Err(Error::bad(format!(
                "invalid IP address in add-host: \"{address}\""
            )));
        }
    }
    Ok(())
}

/// Limits, alone and against one another. Also used by `update`.
pub(crate) fn limits(host: &HostConfig, facts: Facts) -> Result<Vec<String>> {
    let mut warnings = Vec::new();
    memory(host, &mut warnings)?;
    cpu(host, facts)?;
    if host.blkio_weight > 0 && !(10..=1000).contains(&host.blkio_weight) {
        return Err(Error::bad("Range of blkio weight is from 10 to 1000"));
    }
    for device in host.blkio_weight_device.iter().flatten() {
        if device.weight > 0 && !(10..=1000).contains(&device.weight) {
            return Err(Error::bad("Range of blkio weight is from 10 to 1000"));
        }
    }
    if host.io_maximum_bandwidth > 0 {
        return Err(Error::bad(
            "Invalid QoS settings: linux does not support Maximum IO Bandwidth",
        ));
    }
    if host.io_maximum_iops > 0 {
        return Err(Error::bad(
            "Invalid QoS settings: linux does not support Maximum IO IOps",
        ));
    }
    if host.cpu_percent > 0 {
        warnings.push("linux does not support CPU percent. Percent discarded.".to_owned());
    }
    Ok(warnings)
}

fn memory(host: &HostConfig, warnings: &mut Vec<String>) -> Result<()> {
    let (memory, swap, reservation) = (host.memory, host.memory_swap, host.memory_reservation);
    if memory != 0 && memory < MINIMUM_MEMORY {
        return Err(Error::bad("Minimum memory limit allowed is 6MB"));
    }
    if memory > 0 && swap > 0 && swap < memory {
        return Err(Error::bad(
            "Minimum memoryswap limit should be larger than memory limit, see usage",
        ));
    }
    if memory == 0 && swap > 0 {
        return Err(Error::bad(
            "You should always set the Memory limit when using Memoryswap limit, see usage",
        ));
    }
    if let Some(swappiness) = host.memory_swappiness
        && !(-1..=100).contains(&swappiness)
    {
        return Err(Error::bad(format!(
            "Invalid value: {swappiness}, valid memory swappiness range is 0-100"
        )));
    }
    if reservation > 0 && reservation < MINIMUM_MEMORY {
        return Err(Error::bad("Minimum memory reservation allowed is 6MB"));
    }
    if memory > 0 && reservation > 0 && memory < reservation {
        return Err(Error::bad(
            "Minimum memory limit can not be less than memory reservation limit, see usage",
        ));
    }
    if host.oom_kill_disable == Some(true) && memory == 0 {
        warnings.push(
            "OOM killer is disabled for the container, but no memory limit is set, this can result in the system \
             running out of resources."
                .to_owned(),
        );
    }
    Ok(())
}

fn cpu(host: &HostConfig, facts: Facts) -> Result<()> {
    let (nano, period, quota) = (host.nano_cpus, host.cpu_period, host.cpu_quota);
    if nano > 0 && period > 0 {
        return Err(Error::bad(
            "Conflicting options: Nano CPUs and CPU Period cannot both be set",
        ));
    }
    if nano > 0 && quota > 0 {
        return Err(Error::bad(
            "Conflicting options: Nano CPUs and CPU Quota cannot both be set",
        ));
    }
    let cpus = facts.cpus;
    if nano < 0
        || nano
            > i64::try_from(cpus)
                .unwrap_or(i64::MAX)
                .saturating_mul(1_000_000_000)
    {
        return Err(Error::bad(format!(
            "Range of CPUs is from 0.01 to {cpus}.00, as there are only {cpus} CPUs available"
        )));
    }
    if period != 0 && !(1_000..=1_000_000).contains(&period) {
        return Err(Error::bad(
            "CPU cfs period can not be less than 1ms (i.e. 1000) or larger than 1s (i.e. 1000000)",
        ));
    }
    if quota > 0 && quota < 1_000 {
        return Err(Error::bad(
            "CPU cfs quota can not be less than 1ms (i.e. 1000)",
        ));
    }
    if host.cpu_shares < 0 {
        return Err(Error::bad(format!(
            "invalid CPU shares ({}): value must be a positive integer",
            host.cpu_shares
        )));
    }
    cpuset(
        &host.cpuset_cpus,
        "cpus",
        "CPUs",
        &format!("0-{}", cpus.saturating_sub(1)),
        cpus,
    )?;
    cpuset(&host.cpuset_mems, "mems", "memory nodes", "0", usize::MAX)
}

fn cpuset(list: &str, kind: &str, words: &str, available: &str, count: usize) -> Result<()> {
    if list.is_empty() {
        return Ok(());
    }
    let invalid = |_| Error::bad(format!("Invalid value {list} for cpuset {kind}"));
    let asked = proa_kernel::cgroup::parse_list(list).map_err(invalid)?;
    if asked.iter().any(|number| *number as usize >= count) {
        return Err(Error::bad(format!(
            "Requested {words} are not available - requested {list}, available: {available}"
        )));
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn told(config: &ContainerConfig, host: &HostConfig) -> String {
        match all(config, host, Facts { cpus: 2 }) {
            Ok(warnings) => warnings.join("; "),
            Err(error) => format!("error: {}", error.told()),
        }
    }

    fn check(change: impl Fn(&mut ContainerConfig, &mut HostConfig), expected: &str) {
        let (mut config, mut host) = (ContainerConfig::default(), HostConfig::default());
        change(&mut config, &mut host);
        assert_eq!(told(&config, &host), expected);
    }

    #[test]
    fn limits_out_of_range_are_refused_in_dockers_words() {
        check(
            |_, host| host.memory = 4096,
            "error: Minimum memory limit allowed is 6MB",
        );
        check(|_, host| host.memory = 6 << 20, "");
        check(
            |_, host| host.memory_swap = 1 << 30,
            "error: You should always set the Memory limit when using Memoryswap limit, see usage",
        );
        check(
            |_, host| host.nano_cpus = 3_000_000_000,
            "error: Range of CPUs is from 0.01 to 2.00, as there are only 2 CPUs available",
        );
        check(
            |_, host| (host.nano_cpus, host.cpu_quota) = (1, 50_000),
            "error: Conflicting options: Nano CPUs and CPU Quota cannot both be set",
        );
        check(
            |_, host| host.blkio_weight = 5,
            "error: Range of blkio weight is from 10 to 1000",
        );
        check(
            |_, host| host.cpuset_cpus = "0,7".into(),
            "error: Requested CPUs are not available - requested 0,7, available: 0-1",
        );
        check(
            |_, host| host.cpuset_cpus = "x".into(),
            "error: Invalid value x for cpuset cpus",
        );
    }

    #[test]
    fn options_that_contradict_each_other_are_refused() {
        check(
            |_, host| {
                host.auto_remove = true;
                host.restart_policy.name = "always".into();
            },
            "error: can't create 'AutoRemove' container with restart policy",
        );
        check(
            |config, host| {
                config.hostname = "h".into();
                host.network_mode = "container:x".into();
            },
            "error: conflicting options: hostname and the network mode",
        );
        check(
            |_, host| host.pid_mode = "x".into(),
            "error: invalid PID mode: x",
        );
        check(
            |config, _| config.env = Some(vec!["=x".into()]),
            "error: invalid environment variable: =x",
        );
        check(
            |config, _| config.working_dir = "x".into(),
            "error: the working directory 'x' is invalid, it needs to be an absolute path",
        );
        check(
            |config, _| config.stop_signal = "NOPE".into(),
            "error: invalid signal: NOPE",
        );
    }
}
