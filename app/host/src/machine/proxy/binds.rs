//! The binds of a container that is to be created: folders of this host, which the machine must see.

use std::path::{Path, PathBuf};

use serde_json::Value;

use crate::machine::shares::{self, SharedFolder};

/// What the machine is asked about binds.
pub(super) struct Ground<'a> {
    /// The folders that it sees.
    pub(super) shares: &'a [SharedFolder],
    /// Where the engine's own socket is in it.
    pub(super) engine_socket: &'a Path,
    /// The names by which this host's programs know that socket.
    pub(super) sockets: &'a [&'a Path],
}

/// A folder that is not shared.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
#[error(
    "the machine does not see {bind}: share the folder with `proa machine share {folder}` and restart it with \
     `proa machine restart`",
    bind = .bind.display(),
    folder = quoted(.folder)
)]
pub(super) struct NotShared {
    /// What was to be bound.
    bind: PathBuf,
    /// What must be shared for it.
    folder: PathBuf,
}

/// The kernel's own, of which the machine has its own.
const KERNELS: &[&str] = &["/proc", "/sys", "/dev"];

/// Checks every bind of `config`, the body of `POST /containers/create`, and puts the engine's own socket in the place of
/// this host's. True where something was changed.
pub(super) fn check(config: &mut Value, ground: &Ground<'_>) -> Result<bool, NotShared> {
    let mut changed = false;
    let Some(host_config) = config.get_mut("HostConfig") else {
        return Ok(false);
    };
    for bind in array(host_config.get_mut("Binds")) {
        let Some(text) = bind.as_str() else { continue };
        let Some((source, rest)) = text.split_once(':') else {
            continue;
        };
        if let Some(source) = ground.source(source)? {
            *bind = Value::String(format!("{}:{rest}", source.display()));
            changed = true;
        }
    }
    for mount in array(host_config.get_mut("Mounts")) {
        if mount.get("Type").and_then(Value::as_str) != Some("bind") {
            continue;
        }
        let Some(source) = mount.get_mut("Source") else {
            continue;
        };
        if let Some(meant) = ground.source(source.as_str().unwrap_or_default())? {
            *source = Value::String(meant.display().to_string());
            changed = true;
        }
    }
    Ok(changed)
}

fn array(value: Option<&mut Value>) -> impl Iterator<Item = &mut Value> {
    value.and_then(Value::as_array_mut).into_iter().flatten()
}

impl Ground<'_> {
    /// What to bind instead, if something else is meant. Names of volumes and mistakes are the engine's to judge.
    fn source(&self, source: &str) -> Result<Option<PathBuf>, NotShared> {
        let path = Path::new(source);
        if !path.is_absolute() {
            return Ok(None);
        }
        let tidied = shares::tidied(path);
        if self.sockets.contains(&tidied.as_path()) {
            return Ok(Some(self.engine_socket.to_owned()));
        }
        if tidied == self.engine_socket || KERNELS.iter().any(|own| tidied.starts_with(own)) {
            return Ok(None);
        }
        match shares::missing_for(path, self.shares) {
            None => Ok(None),
            Some(missing) => Err(NotShared {
                bind: path.to_owned(),
                folder: folder_of(missing),
            }),
        }
    }
}

/// Folders are shared, not files; one that does not exist yet lies in one that does.
fn folder_of(path: PathBuf) -> PathBuf {
    let folder = path.ancestors().find(|path| path.is_dir());
    match folder {
        Some(folder) if folder != Path::new("/") => folder.to_owned(),
        _ => path,
    }
}

/// As a shell takes it.
fn quoted(path: &Path) -> String {
    let text = path.display().to_string();
    let plain = |c: char| c.is_alphanumeric() || "/._-+@".contains(c);
    if text.chars().all(plain) {
        return text;
    }
    format!("'{}'", text.replace('\'', r"'\''"))
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn checked(mut config: Value) -> Result<Value, String> {
        let shares = [SharedFolder {
            path: "/usr/share".into(),
            readonly: false,
        }];
        let ground = Ground {
            shares: &shares,
            engine_socket: Path::new("/run/engine.sock"),
            sockets: &[
                Path::new("/var/run/docker.sock"),
                Path::new("/u/docker.sock"),
            ],
        };
        match check(&mut config, &ground) {
            Ok(_) => Ok(config),
            Err(e) => Err(e.to_string()),
        }
    }

    fn binds(binds: &[&str]) -> Value {
        json!({"Image": "x", "HostConfig": {"Binds": binds}})
    }

    fn mount(kind: &str, source: &str) -> Value {
        let mount = json!({"Type": kind, "Source": source, "Target": "/t"});
        json!({"HostConfig": {"Mounts": [mount]}})
    }

    #[test]
    fn what_is_shared_and_what_is_no_folder_of_this_host_passes() {
        for config in [
            json!({"Image": "x"}),
            json!({"HostConfig": {"Binds": null}}),
            binds(&["/usr/share/doc:/d:ro", "volume:/v", "/anonymous"]),
            binds(&["/proc:/p", "/sys/fs/cgroup:/c"]),
            mount("bind", "/usr/share/none yet"),
            mount("volume", "/nowhere"),
        ] {
            assert_eq!(checked(config.clone()), Ok(config));
        }
    }

    #[test]
    fn what_is_not_shared_is_named_with_the_way_out() {
        let refused = checked(binds(&["/usr/lib/none:/x"])).expect_err("it is not shared");
        assert!(refused.starts_with("the machine does not see /usr/lib/none: "));
        assert!(
            refused.contains("`proa machine share /usr/lib`"),
            "{refused}"
        );
        let refused = checked(mount("bind", "/no such/it's")).expect_err("it is not shared");
        assert!(refused.contains(r"share '/no such/it'\''s'`"), "{refused}");
    }

    #[test]
    fn the_hosts_socket_means_the_engines() {
        let config = checked(binds(&["/var/run/docker.sock:/var/run/docker.sock:ro"]));
        let expected = binds(&["/run/engine.sock:/var/run/docker.sock:ro"]);
        assert_eq!(config, Ok(expected));
        let config = checked(mount("bind", "/u/./docker.sock"));
        assert_eq!(config, Ok(mount("bind", "/run/engine.sock")));
    }
}
