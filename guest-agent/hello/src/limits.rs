//! What the container may use, from its cgroup as it sees it; either version.

use std::fs;
use std::path::{Path, PathBuf};

/// Version 1 says "no limit" with the largest multiple of a page.
const UNLIMITED: u64 = 1 << 62;

/// How much of something is used, and how much there may be.
#[derive(Debug, Default, PartialEq)]
pub(crate) struct Limit {
    pub(crate) used: Option<u64>,
    pub(crate) most: Option<u64>,
}

/// The cgroup tree below one mount point.
pub(crate) struct Limits {
    folder: PathBuf,
    unified: bool,
}

impl Limits {
    pub(crate) fn at(folder: &Path) -> Self {
        Self {
            folder: folder.to_owned(),
            unified: folder.join("cgroup.controllers").exists(),
        }
    }

    pub(crate) fn version(&self) -> u8 {
        if self.unified { 2 } else { 1 }
    }

    pub(crate) fn memory(&self) -> Limit {
        if self.unified {
            self.limit("memory.current", "memory.max")
        } else {
            self.limit(
                "memory/memory.usage_in_bytes",
                "memory/memory.limit_in_bytes",
            )
        }
    }

    pub(crate) fn pids(&self) -> Limit {
        if self.unified {
            self.limit("pids.current", "pids.max")
        } else {
            self.limit("pids/pids.current", "pids/pids.max")
        }
    }

    /// How many processors' worth of time; none without a quota.
    pub(crate) fn cpus(&self) -> Option<f64> {
        let (quota, period) = if self.unified {
            let text = self.text("cpu.max")?;
            let (quota, period) = text.split_once(' ')?;
            (
                quota.parse::<f64>().ok()?,
                period.trim().parse::<f64>().ok()?,
            )
        } else {
            (
                self.cpu_v1("cpu.cfs_quota_us")?,
                self.cpu_v1("cpu.cfs_period_us")?,
            )
        };
        (quota > 0.0 && period > 0.0).then(|| quota / period)
    }

    fn cpu_v1(&self, name: &str) -> Option<f64> {
        let text = self
            .text(&format!("cpu/{name}"))
            .or_else(|| self.text(&format!("cpu,cpuacct/{name}")))?;
        text.trim().parse().ok()
    }

    fn limit(&self, used: &str, most: &str) -> Limit {
        let number = |name| {
            self.text(name)
                .and_then(|text| text.trim().parse::<u64>().ok())
        };
        Limit {
            used: number(used),
            most: number(most).filter(|most| *most < UNLIMITED),
        }
    }

    fn text(&self, name: &str) -> Option<String> {
        fs::read_to_string(self.folder.join(name)).ok()
    }
}

/// `268435456` → `256 MiB`.
pub(crate) fn bytes(count: u64) -> String {
    let units = ["B", "KiB", "MiB", "GiB", "TiB"];
    let (mut value, mut unit) = (count as f64, 0);
    while value >= 1024.0 && unit + 1 < units.len() {
        value /= 1024.0;
        unit += 1;
    }
    if value.fract() < 0.05 || value >= 100.0 {
        format!("{value:.0} {}", units[unit])
    } else {
        format!("{value:.1} {}", units[unit])
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn tree(name: &str, files: &[(&str, &str)]) -> Limits {
        let folder = std::env::temp_dir().join(format!("hello-{}-{name}", std::process::id()));
        for (path, text) in files {
            let path = folder.join(path);
            fs::create_dir_all(path.parent().unwrap()).unwrap();
            fs::write(path, text).unwrap();
        }
        Limits::at(&folder)
    }

    #[test]
    fn version_2_is_one_folder() {
        let limits = tree(
            "v2",
            &[
                ("cgroup.controllers", "cpu"),
                ("memory.current", "1024\n"),
                ("memory.max", "max\n"),
                ("cpu.max", "50000 100000\n"),
                ("pids.max", "7\n"),
            ],
        );
        assert_eq!(limits.version(), 2);
        assert_eq!(
            limits.memory(),
            Limit {
                used: Some(1024),
                most: None
            }
        );
        assert_eq!(
            limits.pids(),
            Limit {
                used: None,
                most: Some(7)
            }
        );
        assert_eq!(limits.cpus(), Some(0.5));
        fs::remove_dir_all(limits.folder).unwrap();
    }

    #[test]
    fn version_1_is_a_folder_for_each_controller() {
        let limits = tree(
            "v1",
            &[
                ("memory/memory.limit_in_bytes", "9223372036854771712\n"),
                ("cpu/cpu.cfs_quota_us", "-1\n"),
                ("cpu/cpu.cfs_period_us", "100000\n"),
            ],
        );
        assert_eq!(limits.version(), 1);
        assert_eq!(
            limits.memory(),
            Limit {
                used: None,
                most: None
            }
        );
        assert_eq!(limits.cpus(), None);
        fs::remove_dir_all(limits.folder).unwrap();
    }

    #[test]
    fn sizes_are_short() {
        assert_eq!(bytes(268_435_456), "256 MiB");
        assert_eq!(bytes(1_610_612_736), "1.5 GiB");
        assert_eq!(bytes(12), "12 B");
    }
}
