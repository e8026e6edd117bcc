//! The mounts of a container: Docker's defaults, the engine's three files, and what the user asked for.
//!
//! Order matters to whoever mounts them: by depth of the destination, so that a volume at `/data/cache` lands on top
//! of one at `/data`.

use std::path::{Path, PathBuf};

use oci_spec::runtime::{Mount, MountBuilder};
use proa_runtime::plan::{BENEATH, Layers, OPTIONAL_IDS};

use super::{
    Input, SpecError,
    namespaces::{IdMaps, Shared},
};

/// The default size of `/dev/shm`, in bytes.
pub const SHM_SIZE: i64 = 64 << 20;

/// One mount a user asked for, resolved.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct MountPoint {
    /// Where it is in the container.
    pub destination: String,
    /// What is mounted.
    pub origin: Origin,
    /// Not writable in the container.
    pub read_only: bool,
}

/// What a mount shows.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Origin {
    /// A file or directory of the host: a bind or a volume.
    Path {
        /// Where it is on the host.
        source: PathBuf,
        /// What of the directory at `source` is shown, links resolved; all if none.
        beneath: Option<String>,
        /// `rprivate`, `rshared`, …
        propagation: String,
        /// What is mounted beneath comes along.
        recursive: bool,
        /// With `read_only`: what is mounted beneath stays writable.
        writable_beneath: bool,
    },
    /// The layers of an image, over one another.
    Layers(Layers),
    /// Memory, with mount options (`size=…`, `mode=…`).
    Tmpfs {
        /// As given to the file system.
        options: Vec<String>,
    },
}

/// The whole list, in mount order.
pub(super) fn list(input: &Input<'_>, privileged: bool) -> Result<Vec<Mount>, SpecError> {
    let taken = |destination: &str| {
        input
            .mounts
            .iter()
            .any(|mount| same(&mount.destination, destination))
    };
    let mut list: Vec<Mount> = Vec::new();
    for default in defaults(input, privileged) {
        if !taken(default.0) {
            list.push(default.build()?);
        }
    }
    let mut asked = input.mounts.iter().collect::<Vec<_>>();
    asked.sort_by_key(|mount| Path::new(&mount.destination).components().count());
    for mount in asked {
        list.push(user_mount(mount)?);
    }
    if let Some(maps) = input.id_maps {
        for mount in &mut list {
            map_ids(mount, maps);
        }
    }
    Ok(list)
}

/// What comes from the host shows its files as those of the same ids inside, where its file system can.
fn map_ids(mount: &mut Mount, maps: &IdMaps) {
    if mount.typ().as_deref() != Some("bind") {
        return;
    }
    mount.set_uid_mappings(Some(maps.uid.clone()));
    mount.set_gid_mappings(Some(maps.gid.clone()));
    if let Some(options) = mount.options_mut() {
        options.push(OPTIONAL_IDS.to_owned());
    }
}

fn same(a: &str, b: &str) -> bool {
    Path::new(a).components().eq(Path::new(b).components())
}

/// A default mount: destination, type, source, options.
struct Default<'a>(&'a str, &'a str, &'a str, Vec<String>);

impl Default<'_> {
    fn build(self) -> Result<Mount, SpecError> {
        Ok(MountBuilder::default()
            .destination(self.0)
            .typ(self.1)
            .source(self.2)
            .options(self.3)
            .build()?)
    }
}

fn words(text: &str) -> Vec<String> {
    text.split(',').map(str::to_owned).collect()
}

fn defaults<'a>(input: &'a Input<'_>, privileged: bool) -> Vec<Default<'a>> {
    let writable = |options: &str| words(if privileged { options } else { "" });
    let with_ro = |options: &str| {
        let mut list = writable(options);
        if !privileged {
            list = words(options);
            list.push("ro".to_owned());
        }
        list
    };
    let mut list = vec![
        Default("/proc", "proc", "proc", words("nosuid,noexec,nodev")),
        Default(
            "/dev",
            "tmpfs",
            "tmpfs",
            words("nosuid,strictatime,mode=755,size=65536k"),
        ),
        Default(
            "/dev/pts",
            "devpts",
            "devpts",
            words("nosuid,noexec,newinstance,ptmxmode=0666,mode=0620,gid=5"),
        ),
        Default("/sys", "sysfs", "sysfs", with_ro("nosuid,noexec,nodev")),
        Default(
            "/sys/fs/cgroup",
            "cgroup",
            "cgroup",
            with_ro("nosuid,noexec,nodev"),
        ),
    ];
    list.extend(ipc(input));
    // A read-only root makes the engine's files read-only too.
    let access = if input.host.readonly_rootfs == Some(true) {
        "rbind,ro,rprivate"
    } else {
        "rbind,rprivate"
    };
    let files = [
        ("/etc/resolv.conf", &input.files.resolv_conf),
        ("/etc/hostname", &input.files.hostname),
        ("/etc/hosts", &input.files.hosts),
    ];
    for (destination, source) in files {
        if let Some(source) = source.to_str().filter(|source| !source.is_empty()) {
            list.push(Default(destination, "bind", source, words(access)));
        }
    }
    list
}

/// `/dev/mqueue` and `/dev/shm`: the container's own, or those of whoever it shares the IPC namespace with.
fn ipc<'a>(input: &'a Input<'_>) -> Vec<Default<'a>> {
    let size = input
        .host
        .shm_size
        .filter(|size| *size > 0)
        .unwrap_or(SHM_SIZE);
    let mqueue = Default(
        "/dev/mqueue",
        "mqueue",
        "mqueue",
        words("nosuid,noexec,nodev"),
    );
    let joined_shm = match &input.joined.ipc {
        Shared::Own if input.host.ipc_mode.as_deref() == Some("none") => return vec![mqueue],
        // Its own, kept where others can join it.
        Shared::Own => input.joined.shm.as_deref().and_then(Path::to_str),
        Shared::Host => Some("/dev/shm"),
        Shared::Path(_) => input.joined.shm.as_deref().and_then(Path::to_str),
    };
    let shm = match joined_shm {
        Some(source) => Default("/dev/shm", "bind", source, words("rbind,rprivate")),
        None => Default("/dev/shm", "tmpfs", "shm", {
            let mut options = words("nosuid,noexec,nodev,mode=1777");
            options.push(format!("size={size}"));
            options
        }),
    };
    vec![mqueue, shm]
}

fn user_mount(mount: &MountPoint) -> Result<Mount, SpecError> {
    let builder = MountBuilder::default().destination(&mount.destination);
    let built = match &mount.origin {
        Origin::Path {
            source,
            beneath,
            propagation,
            recursive,
            writable_beneath,
        } => {
            let mut options = vec![if *recursive { "rbind" } else { "bind" }.to_owned()];
            if mount.read_only {
                options.push(
                    if *writable_beneath || !*recursive {
                        "ro"
                    } else {
                        "rro"
                    }
                    .to_owned(),
                );
            }
            options.push(propagation.clone());
            options.extend(beneath.iter().map(|inner| format!("{BENEATH}={inner}")));
            builder
                .typ("bind")
                .source(source)
                .options(options)
                .build()?
        }
        Origin::Layers(layers) => builder
            .typ("overlay")
            .source("overlay")
            .options(layers.options())
            .build()?,
        Origin::Tmpfs { options } => {
            let mut all = words("noexec,nosuid,nodev");
            // What the user says wins over the defaults it contradicts.
            for option in options {
                let opposite = option
                    .strip_prefix("no")
                    .map_or_else(|| format!("no{option}"), str::to_owned);
                all.retain(|kept| *kept != opposite && kept != option);
                all.push(option.clone());
            }
            if mount.read_only && !all.iter().any(|option| option == "ro") {
                all.push("ro".to_owned());
            }
            builder.typ("tmpfs").source("tmpfs").options(all).build()?
        }
    };
    Ok(built)
}

/// A mount that spreads needs a root that does: the strongest propagation among the binds.
pub(super) fn root_propagation(mounts: &[MountPoint]) -> Option<&'static str> {
    let spreads = |wanted: &str| {
        mounts.iter().any(|mount| match &mount.origin {
            Origin::Path { propagation, .. } => propagation.trim_start_matches('r') == wanted,
            Origin::Tmpfs { .. } | Origin::Layers(_) => false,
        })
    };
    if spreads("shared") {
        Some("shared")
    } else if spreads("slave") {
        Some("slave")
    } else {
        None
    }
}
