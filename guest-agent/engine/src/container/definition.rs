//! What a container is: everything that was decided when it was made. Kept as one JSON text.

use std::{collections::HashMap, path::PathBuf};

use jiff::Timestamp;
use proa_protocol::models::{ContainerConfig, EndpointSettings, HostConfig, RestartPolicyNameEnum};
use serde::{Deserialize, Serialize};

use crate::id::Id;

/// What a container is. Only its name, its limits and its restart policy ever change.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct Definition {
    pub(crate) id: Id,
    /// Without the slash.
    pub(crate) name: String,
    pub(crate) created: Timestamp,
    /// The image's id, `sha256:…`.
    pub(crate) image: String,
    /// `linux`, with what the image says more.
    pub(crate) platform: String,
    /// The command line: entrypoint and command.
    pub(crate) command: Vec<String>,
    /// The configuration, the image's merged in.
    pub(crate) config: ContainerConfig,
    /// The part about the host, defaults filled in.
    pub(crate) host: HostConfig,
    /// What it asked of each network.
    pub(crate) endpoints: HashMap<String, EndpointSettings>,
    pub(crate) mounts: Vec<Mounted>,
}

/// Something mounted in a container.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Mounted {
    /// Where.
    pub(crate) target: String,
    pub(crate) read_only: bool,
    pub(crate) what: Source,
}

/// What is mounted.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) enum Source {
    /// A path of the host.
    Bind { path: PathBuf, propagation: String, recursive: bool, writable_beneath: bool, create: bool, mode: String },
    /// A volume.
    Volume { name: String, anonymous: bool, subpath: Option<String>, path: PathBuf, mode: String },
    /// Memory.
    Tmpfs { options: Vec<String> },
    /// An image's files, at these directories.
    Image { reference: String, image: String, subpath: Option<String> },
}

/// When to start it again.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum RestartPolicy {
    No,
    /// At most so many times in a row; 0: always.
    OnFailure(u32),
    Always,
    UnlessStopped,
}

impl Definition {
    /// Whether it goes away with its end.
    pub(crate) fn auto_remove(&self) -> bool {
        self.host.auto_remove == Some(true)
    }

    pub(crate) fn tty(&self) -> bool {
        self.config.tty == Some(true)
    }

    pub(crate) fn restart_policy(&self) -> RestartPolicy {
        let Some(policy) = &self.host.restart_policy else { return RestartPolicy::No };
        match policy.name {
            None | Some(RestartPolicyNameEnum::EMPTY | RestartPolicyNameEnum::NO) => RestartPolicy::No,
            Some(RestartPolicyNameEnum::ALWAYS) => RestartPolicy::Always,
            Some(RestartPolicyNameEnum::UNLESS_STOPPED) => RestartPolicy::UnlessStopped,
            Some(RestartPolicyNameEnum::ON_FAILURE) => {
                let most = policy.maximum_retry_count.unwrap_or(0);
                RestartPolicy::OnFailure(u32::try_from(most).unwrap_or(0))
            }
        }
    }

    /// The image as the user named it.
    pub(crate) fn image_name(&self) -> &str {
        self.config.image.as_deref().unwrap_or_default()
    }

    pub(crate) fn label(&self, key: &str) -> Option<&str> {
        self.config.labels.as_ref()?.get(key).map(String::as_str)
    }

    /// The network it is in: `none`, `host`, `container:…`, `bridge`.
    pub(crate) fn network_mode(&self) -> &str {
        self.host.network_mode.as_deref().unwrap_or("bridge")
    }
}
