//! A spec's `linux.resources` as a cgroup's limits.
//!
//! The only place where the specification's words meet the kernel crate's, for the engine and for `proa-agent oci`.

use oci_spec::runtime::{
    LinuxBlockIo, LinuxCpu, LinuxDeviceCgroup, LinuxDeviceType, LinuxMemory, LinuxResources,
    LinuxThrottleDevice,
};
use proa_kernel::cgroup::{
    Access, BlockIo, Cpu, DeviceAmount, DeviceKind, DeviceRule, Limits, Memory, default_rules,
};

/// A device rule the kernel has no form for.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("device rule {rule:?}: {reason}")]
pub struct BadDeviceRule {
    /// The rule as the specification's `devices` writes it.
    pub rule: String,
    /// What is wrong.
    pub reason: &'static str,
}

/// The limits. Device rules are completed with what every container needs ([`default_rules`]) when there are any.
pub fn limits(resources: &LinuxResources) -> Result<Limits, BadDeviceRule> {
    let pages = resources.hugepage_limits().iter().flatten();
    Ok(Limits {
        memory: resources.memory().as_ref().map(memory).unwrap_or_default(),
        cpu: resources.cpu().as_ref().map(cpu).unwrap_or_default(),
        pids: resources
            .pids()
            .as_ref()
            .map(oci_spec::runtime::LinuxPids::limit),
        block_io: resources
            .block_io()
            .as_ref()
            .map(block_io)
            .unwrap_or_default(),
        huge_pages: pages
            .map(|page| (page.page_size().clone(), page.limit().max(0) as u64))
            .collect(),
        devices: devices(resources.devices().as_deref().unwrap_or_default())?,
        unified: resources
            .unified()
            .iter()
            .flatten()
            .map(|(file, value)| (file.clone(), value.clone()))
            .collect(),
    })
}

fn memory(memory: &LinuxMemory) -> Memory {
    Memory {
        limit: memory.limit(),
        reservation: memory.reservation(),
        swap: memory.swap(),
        kernel_tcp: memory.kernel_tcp(),
        swappiness: memory.swappiness(),
        disable_oom_killer: memory.disable_oom_killer().filter(|disabled| *disabled),
    }
}

fn cpu(cpu: &LinuxCpu) -> Cpu {
    Cpu {
        shares: cpu.shares(),
        quota: cpu.quota(),
        period: cpu.period(),
        burst: cpu.burst(),
        realtime_runtime: cpu.realtime_runtime(),
        realtime_period: cpu.realtime_period(),
        idle: cpu.idle(),
        cpus: cpu.cpus().clone(),
        mems: cpu.mems().clone(),
    }
}

fn block_io(block: &LinuxBlockIo) -> BlockIo {
    let weights = block.weight_device().iter().flatten();
    BlockIo {
        weight: block.weight(),
        device_weights: weights
            .map(|device| {
                amount(
                    device.major(),
                    device.minor(),
                    u64::from(device.weight().unwrap_or(0)),
                )
            })
            .collect(),
        read_bps: throttles(block.throttle_read_bps_device()),
        write_bps: throttles(block.throttle_write_bps_device()),
        read_iops: throttles(block.throttle_read_iops_device()),
        write_iops: throttles(block.throttle_write_iops_device()),
    }
}

fn throttles(list: &Option<Vec<LinuxThrottleDevice>>) -> Vec<DeviceAmount> {
    list.iter()
        .flatten()
        .map(|device| amount(device.major(), device.minor(), device.rate()))
        .collect()
}

const fn amount(major: i64, minor: i64, amount: u64) -> DeviceAmount {
    DeviceAmount {
        major: major as u32,
        minor: minor as u32,
        amount,
    }
}

fn devices(rules: &[LinuxDeviceCgroup]) -> Result<Vec<DeviceRule>, BadDeviceRule> {
    let mut list = rules.iter().map(device).collect::<Result<Vec<_>, _>>()?;
    // Everything is allowed already, or nothing was said: nothing to complete.
    if list
        .last()
        .is_none_or(|last| *last == DeviceRule::ALLOW_ALL)
    {
        return Ok(list);
    }
    for rule in default_rules().into_iter().filter(|rule| rule.allow) {
        if !list.contains(&rule) {
            list.push(rule);
        }
    }
    Ok(list)
}

fn device(rule: &LinuxDeviceCgroup) -> Result<DeviceRule, BadDeviceRule> {
    let bad = |reason| BadDeviceRule {
        rule: rule.to_string(),
        reason,
    };
    let number = |number: Option<i64>| match number {
        None | Some(-1) => Ok(None),
        Some(number) => u32::try_from(number)
            .map(Some)
            .map_err(|_| bad("a device number is out of range")),
    };
    let access = rule
        .access()
        .as_deref()
        .filter(|letters| !letters.is_empty())
        .unwrap_or("rwm");
    Ok(DeviceRule {
        allow: rule.allow(),
        kind: match rule.typ().unwrap_or(LinuxDeviceType::A) {
            LinuxDeviceType::A => DeviceKind::All,
            LinuxDeviceType::B => DeviceKind::Block,
            LinuxDeviceType::C | LinuxDeviceType::U => DeviceKind::Character,
            LinuxDeviceType::P => return Err(bad("a pipe is not a device")),
        },
        major: number(rule.major())?,
        minor: number(rule.minor())?,
        access: Access::parse(access).ok_or_else(|| bad("access may hold only r, w and m"))?,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(json: &str) -> Result<Limits, String> {
        let resources: LinuxResources = serde_json::from_str(json).unwrap();
        limits(&resources).map_err(|error| error.to_string())
    }

    #[test]
    fn numbers_keep_the_specifications_meaning() {
        let limits = parse(
            r#"{"memory":{"limit":1024,"swap":-1},"cpu":{"quota":-1,"shares":10},"pids":{"limit":5},
                "blockIO":{"throttleReadBpsDevice":[{"major":8,"minor":1,"rate":7}]},"unified":{"memory.high":"5"}}"#,
        )
        .unwrap();
        assert_eq!(
            (limits.memory.limit, limits.memory.swap),
            (Some(1024), Some(-1))
        );
        assert_eq!(
            (limits.cpu.quota, limits.cpu.shares, limits.pids),
            (Some(-1), Some(10), Some(5))
        );
        assert_eq!(
            limits.block_io.read_bps,
            [DeviceAmount {
                major: 8,
                minor: 1,
                amount: 7
            }]
        );
        assert_eq!(limits.unified["memory.high"], "5");
    }

    #[test]
    fn a_deny_is_completed_with_what_every_container_needs() {
        let rules = parse(r#"{"devices":[{"allow":false,"access":"rwm"}]}"#)
            .unwrap()
            .devices;
        assert_eq!(rules[0], DeviceRule::DENY_ALL);
        assert!(rules.contains(&DeviceRule::character(1, Some(3))));
        let free = parse(r#"{"devices":[{"allow":false},{"allow":true,"access":"rwm"}]}"#)
            .unwrap()
            .devices;
        assert_eq!(free.last(), Some(&DeviceRule::ALLOW_ALL));
        assert!(parse("{}").unwrap().devices.is_empty());
    }

    #[test]
    fn a_rule_without_meaning_is_named() {
        let error =
            parse(r#"{"devices":[{"allow":true,"type":"c","major":1,"minor":3,"access":"x"}]}"#)
                .unwrap_err();
        assert_eq!(
            error,
            "device rule \"c 1:3 x\": access may hold only r, w and m"
        );
    }
}
