//! What a container is: everything that was decided when it was made. Kept as one JSON text.

use std::{
    collections::BTreeMap,
    path::PathBuf,
    sync::{Arc, OnceLock},
};

use jiff::Timestamp;
use proa_protocol::{ContainerConfig, EndpointSettings, HostConfig, models};
use serde::{Deserialize, Serialize};

use crate::{Result, id::Id, user_ids::IdRange};

/// What a container is. Only its name, its limits and its restart policy ever change.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct Definition {
    pub(crate) id: Id,
    /// Without the slash.
    pub(crate) name: String,
    pub(crate) created: Timestamp,
    /// The image's id, `sha256:…`.
    pub(crate) image: String,
    /// The image's directories, top first; they stay while the container holds the image.
    pub(crate) lowers: Vec<PathBuf>,
    /// `linux`, with what the image says more.
    pub(crate) platform: String,
    /// The command line: entrypoint and command.
    pub(crate) command: Vec<String>,
    /// The configuration, the image's merged in.
    pub(crate) config: ContainerConfig,
    /// The part about the host, defaults filled in.
    pub(crate) host: HostConfig,
    /// What it asked of each network.
    pub(crate) endpoints: BTreeMap<String, EndpointSettings>,
    /// It was disconnected from the last of them.
    #[serde(default)]
    pub(crate) left_its_network: bool,
    pub(crate) mounts: Vec<Mounted>,
    /// The host's ids that it has, in a user namespace of its own.
    #[serde(default)]
    pub(crate) ids: Option<IdRange>,
    /// The configurations as the types that specs are written from, once they were needed.
    #[serde(skip)]
    pub(crate) models: OnceLock<Arc<Models>>,
}

/// Both configurations in the types that specs are written from.
pub(crate) type Models = (models::ContainerConfig, models::HostConfig);

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
    Bind {
        path: PathBuf,
        propagation: String,
        recursive: bool,
        writable_beneath: bool,
        create: bool,
        mode: String,
    },
    /// A volume.
    Volume {
        name: String,
        anonymous: bool,
        subpath: Option<String>,
        path: PathBuf,
        mode: String,
    },
    /// Memory.
    Tmpfs { options: Vec<String> },
    /// An image's files, at these directories.
    Image {
        reference: String,
        image: String,
        subpath: Option<String>,
    },
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
    /// Both configurations for a spec.
    pub(crate) fn models(&self) -> Result<Arc<Models>> {
        if let Some(models) = self.models.get() {
            return Ok(Arc::clone(models));
        }
        let models = Arc::new(super::create::as_models(&self.config, &self.host)?);
        Ok(Arc::clone(self.models.get_or_init(|| models)))
    }

    /// Whether it goes away with its end.
    pub(crate) fn auto_remove(&self) -> bool {
        self.host.auto_remove
    }

    pub(crate) fn tty(&self) -> bool {
        self.config.tty
    }

    pub(crate) fn restart_policy(&self) -> RestartPolicy {
        let policy = &self.host.restart_policy;
        match policy.name.as_str() {
            "always" => RestartPolicy::Always,
            "unless-stopped" => RestartPolicy::UnlessStopped,
            "on-failure" => {
                RestartPolicy::OnFailure(u32::try_from(policy.maximum_retry_count).unwrap_or(0))
            }
            // Names were checked when it was made: nothing else but "no" is left.
            _ => RestartPolicy::No,
        }
    }

    pub(crate) fn labels(&self) -> &BTreeMap<String, String> {
        static NONE: BTreeMap<String, String> = BTreeMap::new();
        self.config.labels.as_ref().unwrap_or(&NONE)
    }

    /// What it asked of each of its networks, that of its mode among them whatever was said about it.
    pub(crate) fn endpoints(&self) -> Vec<(String, EndpointSettings)> {
        let mode = &self.host.network_mode;
        let mut list: Vec<_> = self
            .endpoints
            .iter()
            .map(|(name, settings)| (name.clone(), settings.clone()))
            .collect();
        if list.is_empty() && !self.left_its_network {
            list.push((mode.clone(), EndpointSettings::default()));
        }
        list
    }

    /// The names of its volumes.
    pub(crate) fn volumes(&self) -> impl Iterator<Item = (&str, bool)> {
        self.mounts.iter().filter_map(|mount| match &mount.what {
            Source::Volume {
                name, anonymous, ..
            } => Some((name.as_str(), *anonymous)),
            Source::Bind { .. } | Source::Tmpfs { .. } | Source::Image { .. } => None,
        })
    }

    /// The signal that asks it to stop, by name or number; empty: SIGTERM.
    pub(crate) fn stop_signal(&self) -> &str {
        &self.config.stop_signal
    }
}

#[cfg(test)]
pub(crate) mod tests {
    use super::*;

    /// A container of nothing in particular.
    pub(crate) fn definition(host: HostConfig) -> Definition {
        Definition {
            id: "ab".repeat(32).parse().unwrap(),
            name: "calm_reef".to_owned(),
            created: Timestamp::UNIX_EPOCH,
            image: format!("sha256:{}", "0".repeat(64)),
            lowers: Vec::new(),
            platform: "linux".to_owned(),
            command: vec!["true".to_owned()],
            config: ContainerConfig::default(),
            host,
            endpoints: BTreeMap::new(),
            left_its_network: false,
            mounts: Vec::new(),
            ids: None,
            models: OnceLock::new(),
        }
    }

    #[test]
    fn a_definition_survives_as_json() {
        let mut before = definition(HostConfig {
            memory: 7,
            auto_remove: true,
            ..HostConfig::default()
        });
        before.mounts.push(Mounted {
            target: "/data".into(),
            read_only: true,
            what: Source::Volume {
                name: "v".into(),
                anonymous: true,
                subpath: None,
                path: "/x".into(),
                mode: "z".into(),
            },
        });
        let after: Definition =
            serde_json::from_str(&serde_json::to_string(&before).unwrap()).unwrap();
        assert_eq!(after.host, before.host);
        assert_eq!(after.mounts, before.mounts);
        assert_eq!(after.volumes().collect::<Vec<_>>(), [("v", true)]);
    }
}
