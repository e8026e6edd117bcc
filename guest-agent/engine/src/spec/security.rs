//! `--security-opt`, and the paths of `/proc` and `/sys` that a container does not see or may not write.

use proa_protocol::models::HostConfig;

use super::SpecError;

/// Not visible in a container.
const MASKED: [&str; 11] = [
    "/proc/asound",
    "/proc/acpi",
    "/proc/kcore",
    "/proc/keys",
    "/proc/latency_stats",
    "/proc/timer_list",
    "/proc/timer_stats",
    "/proc/sched_debug",
    "/proc/scsi",
    "/sys/firmware",
    "/sys/devices/virtual/powercap",
];

/// Visible, not writable.
const READONLY: [&str; 5] = [
    "/proc/bus",
    "/proc/fs",
    "/proc/irq",
    "/proc/sys",
    "/proc/sysrq-trigger",
];

/// The system call filter asked for.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
pub enum Seccomp {
    /// The engine's own profile.
    #[default]
    Default,
    /// None.
    Unconfined,
    /// A profile, as the text the client sent.
    Profile(String),
}

/// `--security-opt`, read.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct SecurityOptions {
    /// `no-new-privileges`.
    pub no_new_privileges: bool,
    /// `seccomp=…`.
    pub seccomp: Seccomp,
    /// `apparmor=…`.
    pub apparmor: Option<String>,
    /// `label=…`, in order.
    pub labels: Vec<String>,
    /// `systempaths=unconfined`.
    pub paths_unconfined: bool,
    /// `writable-cgroups=true`.
    pub writable_cgroups: bool,
}

impl SecurityOptions {
    /// Reads the list; both `name=value` and the older `name:value` are known.
    pub fn parse(options: &[String]) -> Result<Self, SpecError> {
        let mut read = Self::default();
        for option in options {
            read.add(option)?;
        }
        Ok(read)
    }

    fn add(&mut self, option: &str) -> Result<(), SpecError> {
        let bad = || SpecError::SecurityOption(option.to_owned());
        if option == "no-new-privileges" {
            self.no_new_privileges = true;
            return Ok(());
        }
        let (name, value) = option
            .split_once('=')
            .or_else(|| option.split_once(':'))
            .ok_or_else(bad)?;
        match name {
            "no-new-privileges" => self.no_new_privileges = boolean(value).ok_or_else(bad)?,
            "seccomp" => {
                self.seccomp = match value {
                    "unconfined" => Seccomp::Unconfined,
                    "builtin" => Seccomp::Default,
                    profile => Seccomp::Profile(profile.to_owned()),
                };
            }
            "apparmor" => self.apparmor = Some(value.to_owned()),
            "label" => self.labels.push(value.to_owned()),
            "systempaths" if value == "unconfined" => self.paths_unconfined = true,
            "writable-cgroups" => self.writable_cgroups = boolean(value).ok_or_else(bad)?,
            _ => return Err(bad()),
        }
        Ok(())
    }

    /// The filter that applies: privileged containers have none.
    pub fn seccomp(&self, privileged: bool) -> Seccomp {
        if privileged {
            Seccomp::Unconfined
        } else {
            self.seccomp.clone()
        }
    }

    /// The label of the process, where labels were given whole (`label=user:…` and so on).
    pub(super) fn selinux_process_label(&self) -> Option<String> {
        self.label("svirt_lxc_net_t", true)
    }

    /// The label of the files.
    pub(super) fn selinux_mount_label(&self) -> Option<String> {
        self.label("svirt_sandbox_file_t", false)
    }

    fn label(&self, default_type: &str, process: bool) -> Option<String> {
        if self.labels.is_empty() || self.labels.iter().any(|label| label == "disable") {
            return None;
        }
        let part = |name: &str| {
            self.labels
                .iter()
                .rev()
                .find_map(|label| label.strip_prefix(name)?.strip_prefix(':'))
        };
        let typ = if process {
            part("type")
        } else {
            part("filetype")
        };
        Some(format!(
            "{}:{}:{}:{}",
            part("user").unwrap_or("system_u"),
            if process {
                part("role").unwrap_or("system_r")
            } else {
                "object_r"
            },
            typ.unwrap_or(default_type),
            part("level").unwrap_or("s0"),
        ))
    }
}

fn boolean(text: &str) -> Option<bool> {
    match text {
        "true" | "1" | "t" | "T" | "TRUE" | "True" => Some(true),
        "false" | "0" | "f" | "F" | "FALSE" | "False" => Some(false),
        _ => None,
    }
}

/// What a client sent, else the default; nothing for privileged containers and `systempaths=unconfined`.
pub(super) fn masked_paths(host: &HostConfig, security: &SecurityOptions) -> Vec<String> {
    paths(host, security, host.masked_paths.as_deref(), &MASKED)
}

/// The same for what may be read only.
pub(super) fn readonly_paths(host: &HostConfig, security: &SecurityOptions) -> Vec<String> {
    paths(host, security, host.readonly_paths.as_deref(), &READONLY)
}

fn paths(
    host: &HostConfig,
    security: &SecurityOptions,
    sent: Option<&[String]>,
    default: &[&str],
) -> Vec<String> {
    if host.privileged == Some(true) || security.paths_unconfined {
        return Vec::new();
    }
    sent.map_or_else(
        || default.iter().map(|path| (*path).to_owned()).collect(),
        <[String]>::to_vec,
    )
}

/// The lists as `inspect` shows them for a container that did not choose its own.
pub fn default_paths() -> (Vec<String>, Vec<String>) {
    let own = |list: &[&str]| list.iter().map(|path| (*path).to_owned()).collect();
    (own(&MASKED), own(&READONLY))
}
