//! The `HostConfig`.

use std::collections::BTreeMap;

use serde_json::{Value, json};

use super::{Surroundings, files, network, security};
use crate::container::flags::{CreateFlags, IsolationFlags, LifeFlags, ResourceFlags};
use crate::failure::Failure;
use crate::flags::document::Document;
use crate::flags::network::Attachment;
use crate::flags::{device, pairs, ulimit};

/// Builds it.
pub(super) fn config(
    flags: &CreateFlags,
    networks: &[Attachment],
    bindings: BTreeMap<String, Vec<Value>>,
    around: &Surroundings<'_>,
) -> Result<Document, Failure> {
    let mut host = Document::default();
    files::fill(&mut host, &flags.files, around)?;
    network::fill(&mut host, &flags.network, networks)?;
    host.put("PortBindings", bindings)
        .put("AutoRemove", flags.rm)
        .put("ContainerIDFile", flags.cidfile.as_deref())
        .put("Init", flags.process.init)
        .put("GroupAdd", &flags.process.group_add)
        .put("Ulimits", ulimits(&flags.process.ulimit)?);
    if let Some((rows, columns)) = around.terminal {
        host.always("ConsoleSize", [rows, columns]);
    }
    resources(&mut host, &flags.resources)?;
    isolation(&mut host, &flags.isolation, around)?;
    life(&mut host, &flags.life)?;
    annotations(&mut host, flags);
    Ok(host)
}

/// Limits by name; the last word on each counts.
fn ulimits(given: &[String]) -> Result<Vec<Value>, Failure> {
    let mut limits = BTreeMap::new();
    for text in given {
        let limit = ulimit::parse(text)?;
        limits.insert(limit["Name"].to_string(), limit);
    }
    Ok(limits.into_values().collect())
}

/// What a container may use; `update` says the same.
pub(crate) fn resources(host: &mut Document, flags: &ResourceFlags) -> Result<(), Failure> {
    if flags
        .memory_swappiness
        .is_some_and(|swappiness| !(-1..=100).contains(&swappiness))
    {
        return Err(Failure::usage(
            "invalid --memory-swappiness: expected 0 to 100",
        ));
    }
    let throttles = |list: &[String], in_bytes| {
        list.iter()
            .map(|text| device::throttle(text, in_bytes))
            .collect::<Result<Vec<_>, _>>()
    };
    host.put("Memory", flags.memory)
        .put("MemorySwap", flags.memory_swap)
        .put("MemoryReservation", flags.memory_reservation)
        .put("KernelMemory", flags.kernel_memory)
        .put("OomKillDisable", flags.oom_kill_disable)
        .put("OomScoreAdj", flags.oom_score_adj)
        .put("NanoCpus", flags.cpus)
        .put("CpuShares", flags.cpu_shares)
        .put("CpuQuota", flags.cpu_quota)
        .put("CpuPeriod", flags.cpu_period)
        .put("CpuRealtimePeriod", flags.cpu_rt_period)
        .put("CpuRealtimeRuntime", flags.cpu_rt_runtime)
        .put("CpusetCpus", &flags.cpuset_cpus)
        .put("CpusetMems", &flags.cpuset_mems)
        .put("PidsLimit", flags.pids_limit)
        .put("BlkioWeight", flags.blkio_weight)
        .put(
            "BlkioWeightDevice",
            flags
                .blkio_weight_device
                .iter()
                .map(|text| device::weight(text))
                .collect::<Result<Vec<_>, _>>()?,
        )
        .put(
            "BlkioDeviceReadBps",
            throttles(&flags.device_read_bps, true)?,
        )
        .put(
            "BlkioDeviceWriteBps",
            throttles(&flags.device_write_bps, true)?,
        )
        .put(
            "BlkioDeviceReadIOps",
            throttles(&flags.device_read_iops, false)?,
        )
        .put(
            "BlkioDeviceWriteIOps",
            throttles(&flags.device_write_iops, false)?,
        )
        .put("ShmSize", flags.shm_size);
    // Zero is a value of its own here; -1 is Docker's word for "as the host has it".
    if let Some(swappiness) = flags
        .memory_swappiness
        .filter(|swappiness| *swappiness >= 0)
    {
        host.always("MemorySwappiness", swappiness);
    }
    Ok(())
}

fn isolation(
    host: &mut Document,
    flags: &IsolationFlags,
    around: &Surroundings<'_>,
) -> Result<(), Failure> {
    let (add, drop) = security::capabilities(&flags.cap_add, &flags.cap_drop);
    let security = security::options(&flags.security_opt, around)?;
    let one_of = |flag: &str, value: &str, allowed: &[&str]| {
        if value.is_empty() || allowed.contains(&value) {
            Ok(())
        } else {
            Err(Failure::usage(format!(
                "invalid --{flag} {value:?}: expected {}",
                allowed.join(" or ")
            )))
        }
    };
    one_of("uts", &flags.uts, &["host"])?;
    one_of("cgroupns", &flags.cgroupns, &["host", "private"])?;
    if !(matches!(flags.pid.as_str(), "" | "host") || flags.pid.starts_with("container:")) {
        return Err(Failure::usage(format!(
            "invalid --pid {:?}: expected host or container:NAME",
            flags.pid
        )));
    }
    host.put("Privileged", flags.privileged)
        .put("CapAdd", add)
        .put("CapDrop", drop)
        .put("SecurityOpt", security.list)
        .put("PidMode", &flags.pid)
        .put("IpcMode", &flags.ipc)
        .put("UTSMode", &flags.uts)
        .put("UsernsMode", &flags.userns)
        .put("CgroupnsMode", &flags.cgroupns)
        .put("CgroupParent", &flags.cgroup_parent)
        .put("Sysctls", pairs::map(&flags.sysctl))
        .put("Runtime", &flags.runtime)
        .put("Isolation", &flags.isolation);
    if security.bare_system_paths {
        host.always("MaskedPaths", json!([]))
            .always("ReadonlyPaths", json!([]));
    }
    Ok(())
}

/// Docker's documents have no field for a limit of bandwidth: it travels as an annotation.
fn annotations(host: &mut Document, flags: &CreateFlags) {
    let mut annotations = pairs::map(&flags.life.annotation);
    if !flags.network.net_rate.is_empty() {
        annotations.insert("proa.net-rate".to_owned(), flags.network.net_rate.clone());
    }
    host.put("Annotations", annotations);
}

fn life(host: &mut Document, flags: &LifeFlags) -> Result<(), Failure> {
    if flags.log_driver == "none" && !flags.log_opt.is_empty() {
        return Err(Failure::usage("invalid logging opts for driver none"));
    }
    let mut log = Document::default();
    log.put("Type", &flags.log_driver)
        .put("Config", pairs::map(&flags.log_opt));
    host.put("LogConfig", log);
    host.always("RestartPolicy", restart_policy(&flags.restart)?);
    Ok(())
}

/// `no`, `always`, `unless-stopped`, `on-failure[:times]`.
pub(crate) fn restart_policy(text: &str) -> Result<Value, Failure> {
    let bad = |what: &str| Failure::usage(format!("invalid --restart {text:?}: {what}"));
    let (name, times) = text
        .split_once(':')
        .map_or((text, None), |(name, times)| (name, Some(times)));
    let times = match times {
        None => 0,
        Some(times) => times
            .parse::<u32>()
            .map_err(|_| bad("the number of times is no number"))?,
    };
    match name {
        "" => Ok(json!({"Name": "no", "MaximumRetryCount": 0})),
        "no" | "always" | "unless-stopped" if times != 0 => {
            Err(bad("only on-failure takes a number of times"))
        }
        "no" | "always" | "unless-stopped" | "on-failure" => {
            Ok(json!({"Name": name, "MaximumRetryCount": times}))
        }
        _ => Err(bad(
            "expected no, always, unless-stopped or on-failure[:times]",
        )),
    }
}
