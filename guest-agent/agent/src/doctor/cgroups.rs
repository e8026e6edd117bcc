//! Control groups: which version, which controllers, and whether they are ours to use.

use proa_kernel::cgroup::{CgroupPath, Controller, Hierarchy, Limits, Version};

use super::Finding;

/// What a controller is for, in a user's words.
const PURPOSES: [(Controller, &str); 7] = [
    (
        Controller::Memory,
        "--memory and the memory column of stats",
    ),
    (Controller::Pids, "--pids-limit"),
    (Controller::Cpu, "--cpus and --cpu-shares"),
    (Controller::Cpuset, "--cpuset-cpus and --cpuset-mems"),
    (
        Controller::Blkio,
        "--device-read-bps and the block I/O column of stats",
    ),
    (Controller::Devices, "guarding the host's devices"),
    (Controller::Freezer, "pause"),
];

/// The version, then each controller, then what only some kernels have.
pub(super) fn examine() -> Vec<Finding> {
    let hierarchy = match Hierarchy::detect() {
        Ok(hierarchy) => hierarchy,
        Err(error) => {
            let advice = "mount -t cgroup2 none /sys/fs/cgroup";
            return vec![Finding::missing("cgroups", error.to_string(), advice)];
        }
    };
    let mut findings = vec![version(&hierarchy), usable(&hierarchy)];
    findings.extend(PURPOSES.map(|(controller, purpose)| check(&hierarchy, controller, purpose)));
    findings.extend(extras(&hierarchy));
    findings
}

fn version(hierarchy: &Hierarchy) -> Finding {
    let (number, place) = match hierarchy.version() {
        Version::V2 => ("version 2", hierarchy.unified()),
        Version::Hybrid => (
            "version 1, with a version 2 tree beside it",
            hierarchy.base(Controller::Memory),
        ),
        Version::V1 => ("version 1", hierarchy.base(Controller::Memory)),
    };
    let place = place
        .map(|place| format!(", beneath {}", place.display()))
        .unwrap_or_default();
    Finding::good("cgroups", format!("{number}{place}"))
}

/// Whether a cgroup can be made: tried where that has no side effects.
///
/// On version 2 making one may have to move this process to a leaf first, so only the right to write is looked at.
fn usable(hierarchy: &Hierarchy) -> Finding {
    let advice = "run it as root; in a container mount /sys/fs/cgroup writable (--privileged, or \
                  --security-opt writable-cgroups=true); in a systemd unit set Delegate=yes";
    let tried = match hierarchy.version() {
        Version::V2 => hierarchy.unified().map_or(Ok(()), |base| {
            rustix::fs::access(base, rustix::fs::Access::WRITE_OK)
                .map_err(|error| error.to_string())
        }),
        Version::V1 | Version::Hybrid => try_one(hierarchy),
    };
    match tried {
        Ok(()) => Finding::good("cgroup delegation", "cgroups can be made"),
        Err(error) => Finding::missing("cgroup delegation", error, advice),
    }
}

fn try_one(hierarchy: &Hierarchy) -> Result<(), String> {
    let path: CgroupPath = format!("proa-doctor-{}", std::process::id())
        .parse()
        .map_err(|error| format!("{error}"))?;
    let group = hierarchy.create(&path, &Limits::default());
    let group = group.map_err(|error| chain(&error))?;
    group.delete().map_err(|error| chain(&error))
}

fn chain(error: &dyn std::error::Error) -> String {
    let source = error
        .source()
        .map(|source| format!(": {source}"))
        .unwrap_or_default();
    format!("{error}{source}")
}

fn check(hierarchy: &Hierarchy, controller: Controller, purpose: &str) -> Finding {
    let name = format!("cgroup {controller}");
    if hierarchy.has(controller) {
        return Finding::good(name, purpose);
    }
    let advice = match hierarchy.version() {
        Version::V2 => format!(
            "switch it on above (`echo +{0} > …/cgroup.subtree_control`), or boot without cgroup_disable={0}",
            if controller == Controller::Blkio {
                "io"
            } else {
                controller.name()
            }
        ),
        Version::V1 | Version::Hybrid => format!(
            "mount it (`mkdir /sys/fs/cgroup/{controller} && mount -t cgroup -o {controller} none \
             /sys/fs/cgroup/{controller}`), or boot with systemd.unified_cgroup_hierarchy=1"
        ),
    };
    Finding::less(name, format!("not there: {purpose} does not work"), advice)
}

/// Files that depend on how the kernel was built and booted.
fn extras(hierarchy: &Hierarchy) -> Vec<Finding> {
    let mut findings = Vec::new();
    let base = |controller| {
        hierarchy
            .base(controller)
            .filter(|_| hierarchy.version() != Version::V2)
    };
    if let Some(memory) = base(Controller::Memory)
        && !memory.join("memory.memsw.limit_in_bytes").exists()
    {
        let advice = "boot with swapaccount=1";
        findings.push(Finding::less(
            "swap limit",
            "swap is not counted: --memory-swap does not work",
            advice,
        ));
    }
    if let Some(blkio) = base(Controller::Blkio)
        && !["blkio.weight", "blkio.bfq.weight"]
            .iter()
            .any(|file| blkio.join(file).exists())
    {
        let advice = "use the bfq I/O scheduler (`echo bfq > /sys/block/DISK/queue/scheduler`) or cgroup version 2";
        findings.push(Finding::less(
            "block I/O weight",
            "--blkio-weight does not work",
            advice,
        ));
    }
    if hierarchy.unified().is_none() {
        let advice = "mount -t cgroup2 none /sys/fs/cgroup/unified makes kill and pause quicker";
        findings.push(Finding::less(
            "cgroup version 2 tree",
            "not mounted",
            advice,
        ));
    }
    findings
}
