//! From mounts asked for to mounts made: binds checked, volumes made or found, a new volume filled.

use std::path::{Path, PathBuf};

use proa_kernel::remove::remove_tree;
use proa_protocol::HostConfig;

use super::{
    Container,
    definition::{Definition, Mounted, Source},
};
use crate::{
    Engine, Error, Result,
    error::Context,
    rootfs::{Found, Layers},
    spec::{
        MountPoint, Origin,
        request::{Requested, What},
    },
    volumes::{self, NewVolume},
};

/// Decides every mount of a container to be. Volumes made on the way are noted in `made`, to be undone.
pub(super) async fn resolve(
    engine: &Engine,
    requested: Vec<Requested>,
    host: &HostConfig,
    root: &Layers,
    made: &mut Vec<String>,
) -> Result<Vec<Mounted>> {
    let mut mounts = from_others(engine, host)?;
    mounts.retain(|mount| {
        !requested
            .iter()
            .any(|own| same_place(&own.target, &mount.target) && !from_image(own))
    });
    for mount in requested {
        if from_image(&mount)
            && mounts
                .iter()
                .any(|other| same_place(&other.target, &mount.target))
        {
            continue;
        }
        let resolved = resolve_one(engine, mount, host, root, made).await?;
        mounts.push(resolved);
    }
    Ok(mounts)
}

fn from_image(mount: &Requested) -> bool {
    matches!(
        mount.what,
        What::Volume {
            from_image: true,
            ..
        }
    )
}

fn same_place(a: &str, b: &str) -> bool {
    Path::new(a).components().eq(Path::new(b).components())
}

/// `--volumes-from`: binds and volumes of other containers.
fn from_others(engine: &Engine, host: &HostConfig) -> Result<Vec<Mounted>> {
    let mut mounts: Vec<Mounted> = Vec::new();
    for text in host.volumes_from.iter().flatten() {
        let (name, mode) = text.split_once(':').unwrap_or((text, "rw"));
        if !mode
            .split(',')
            .all(|word| matches!(word, "ro" | "rw" | "z" | "Z"))
        {
            return Err(Error::bad(format!("invalid mode: {mode}")));
        }
        let other: Container = engine
            .container(name)
            .map_err(|error| Error::bad(error.told()))?;
        for mount in &other.seen().definition.mounts {
            if matches!(mount.what, Source::Tmpfs { .. } | Source::Image { .. }) {
                continue;
            }
            let read_only = mount.read_only || mode.split(',').any(|word| word == "ro");
            let mut copy = Mounted {
                read_only,
                ..mount.clone()
            };
            if let Source::Volume { anonymous, .. } = &mut copy.what {
                // It belongs to the other container and stays with it.
                *anonymous = false;
            }
            mounts.retain(|own| !same_place(&own.target, &copy.target));
            mounts.push(copy);
        }
    }
    Ok(mounts)
}

async fn resolve_one(
    engine: &Engine,
    mount: Requested,
    host: &HostConfig,
    root: &Layers,
    made: &mut Vec<String>,
) -> Result<Mounted> {
    let Requested {
        target,
        what,
        read_only,
    } = mount;
    let what = match what {
        What::Bind {
            source,
            propagation,
            recursive,
            writable_beneath,
            create,
            ..
        } => {
            if !create && !engine.socket_for(Path::new(&source)).exists() {
                return Err(Error::bad(format!(
                    "invalid mount config for type \"bind\": bind source path does not exist: {source}"
                )));
            }
            let mode = mode_of(host, &target);
            Source::Bind {
                path: source.into(),
                propagation,
                recursive,
                writable_beneath,
                create,
                mode,
            }
        }
        What::Volume {
            name,
            copy,
            driver,
            options,
            labels,
            subpath,
            ..
        } => {
            let driver = driver.unwrap_or_else(|| host.volume_driver.clone());
            let (options, labels) = (options.into_iter().collect(), labels.into_iter().collect());
            let new = NewVolume {
                name,
                driver,
                labels,
                options,
            };
            volume(engine, new, copy, subpath, &target, host, root, made).await?
        }
        What::Tmpfs { options } => Source::Tmpfs { options },
        What::Image { reference, subpath } => {
            let image = engine.images().find(&reference)?;
            Source::Image {
                reference,
                image: image.id().to_string(),
                subpath,
            }
        }
    };
    Ok(Mounted {
        target,
        // An image's files are those of every container made from it.
        read_only: read_only || matches!(what, Source::Image { .. }),
        what,
    })
}

#[expect(
    clippy::too_many_arguments,
    reason = "each is one fact about the volume, and there is one caller"
)]
async fn volume(
    engine: &Engine,
    new: NewVolume,
    copy: bool,
    subpath: Option<String>,
    target: &str,
    host: &HostConfig,
    root: &Layers,
    made: &mut Vec<String>,
) -> Result<Source> {
    let anonymous = new.name.is_none();
    let (record, is_new) = engine.volumes.create(new).await?;
    if is_new {
        made.push(record.name.clone());
        engine.tell_volume("create", &record.name);
    }
    let path = engine.volumes.make_ready(&record.name)?;
    if copy && subpath.is_none() {
        let (root, target, path) = (root.clone(), PathBuf::from(target), path.clone());
        let attempt = || format!("copy the image's files into volume {}", record.name);
        tokio::task::spawn_blocking(move || fill(&root, &target, &path))
            .await
            .context(attempt)?
            .context(attempt)?;
    }
    let mode = match mode_of(host, target) {
        mode if mode.is_empty() && from_binds(host, target) => "z".to_owned(),
        mode => mode,
    };
    Ok(Source::Volume {
        name: record.name,
        anonymous,
        subpath,
        path,
        mode,
    })
}

fn fill(root: &Layers, target: &Path, path: &Path) -> std::io::Result<()> {
    match root.find(target)? {
        Some(found) => volumes::fill(root, &found, path),
        None => Ok(()),
    }
}

/// What stood behind the second colon of a `-v`.
fn mode_of(host: &HostConfig, target: &str) -> String {
    let mut binds = host.binds.iter().flatten().filter_map(|bind| {
        let mut parts = bind.splitn(3, ':').skip(1);
        (parts.next() == Some(target)).then(|| parts.next().unwrap_or_default().to_owned())
    });
    binds.next().unwrap_or_default()
}

fn from_binds(host: &HostConfig, target: &str) -> bool {
    host.binds
        .iter()
        .flatten()
        .any(|bind| bind.split(':').nth(1) == Some(target))
}

/// The mounts of a container about to start, as its spec wants them; missing bind sources are made.
pub(super) fn ready(engine: &Engine, definition: &Definition) -> Result<Vec<MountPoint>> {
    definition
        .mounts
        .iter()
        .map(|mount| ready_one(engine, mount))
        .collect()
}

fn ready_one(engine: &Engine, mount: &Mounted) -> Result<MountPoint> {
    let path = |source: PathBuf, propagation: &str, recursive, writable_beneath| Origin::Path {
        source,
        beneath: None,
        propagation: propagation.to_owned(),
        recursive,
        writable_beneath,
    };
    let origin = match &mount.what {
        Source::Bind {
            path: source,
            propagation,
            recursive,
            writable_beneath,
            create,
            ..
        } => {
            let source = engine.socket_for(source);
            let attempt = || {
                format!(
                    "error while creating mount source path '{}': mkdir {0}",
                    source.display()
                )
            };
            if *create && !source.exists() {
                std::fs::create_dir_all(source).context(attempt)?;
            }
            path(
                source.to_owned(),
                propagation,
                *recursive,
                *writable_beneath,
            )
        }
        Source::Volume { name, subpath, .. } => {
            let data = engine.volumes.make_ready(name)?;
            let inner = subpath.as_deref();
            let inner = inner.map(|inner| inside_volume(&data, inner, name));
            Origin::Path {
                source: data,
                beneath: inner.transpose()?,
                propagation: "rprivate".to_owned(),
                recursive: true,
                writable_beneath: false,
            }
        }
        Source::Tmpfs { options } => Origin::Tmpfs {
            options: options.clone(),
        },
        Source::Image {
            reference,
            image,
            subpath,
        } => {
            let lowers = engine.images().find(image)?.lowers().to_vec();
            let wanted = subpath.as_deref().unwrap_or("/");
            let found = beneath(&lowers, wanted, reference)?;
            let below = found.name.strip_prefix("/").unwrap_or(&found.name);
            Origin::Layers(proa_runtime::plan::Layers {
                lowers,
                beneath: Some(below.to_owned()).filter(|below| *below != *""),
            })
        }
    };
    Ok(MountPoint {
        destination: mount.target.clone(),
        origin,
        read_only: mount.read_only || matches!(mount.what, Source::Image { .. }),
    })
}

/// The name of a folder of a volume, its links resolved. Another container may put a link there before it is mounted:
/// whoever mounts it follows none.
fn inside_volume(data: &Path, inner: &str, name: &str) -> Result<String> {
    let relative = Path::new(inner).components().all(|part| {
        matches!(
            part,
            std::path::Component::Normal(_) | std::path::Component::CurDir
        )
    });
    if !relative {
        return Err(Error::bad(
            "invalid mount config for type \"volume\": subpath must be a relative path within the volume",
        ));
    }
    let found = beneath(&[data.to_owned()], inner, name)?;
    let plain = found.name.to_str().map(str::to_owned);
    plain.ok_or_else(|| Error::bad(format!("cannot access path {inner}: its name is not UTF-8")))
}

/// A folder inside a volume or image, without a way out through a link.
fn beneath(directories: &[PathBuf], inner: &str, name: &str) -> Result<Found> {
    let layers = Layers::new(directories.iter().cloned());
    let found = layers
        .find(Path::new(inner))
        .context(|| format!("look for {inner} in {name}"))?;
    found.ok_or_else(|| {
        Error::bad(format!(
            "cannot access path {inner}: no such file or directory in {name}"
        ))
    })
}

impl Engine {
    /// Tells that a container's volumes are mounted in it.
    pub(super) fn tell_mounts(&self, definition: &Definition) {
        for mount in &definition.mounts {
            if let Source::Volume { name, .. } = &mount.what {
                let attributes = [
                    ("container", definition.id.to_string()),
                    ("destination", mount.target.clone()),
                    ("driver", "local".to_owned()),
                    ("propagation", String::new()),
                    ("read/write", (!mount.read_only).to_string()),
                ];
                let attributes = attributes.map(|(key, value)| (key.to_owned(), value));
                self.events.tell("volume", "mount", name, attributes.into());
            }
        }
    }

    /// Tells that they no longer are.
    pub(super) fn tell_unmounts(&self, definition: &Definition) {
        for (name, _) in definition.volumes() {
            let attributes = [
                ("container", definition.id.to_string()),
                ("driver", "local".to_owned()),
            ];
            let attributes = attributes.map(|(key, value)| (key.to_owned(), value));
            self.events
                .tell("volume", "unmount", name, attributes.into());
        }
    }
}

/// Undoes what [`resolve`] made.
pub(super) async fn undo(engine: &Engine, made: &[String]) {
    for name in made {
        if let Err(error) = engine.volumes.delete(name).await {
            tracing::warn!(
                volume = name,
                error = error.told(),
                "taking back a volume failed"
            );
        }
    }
}

impl Engine {
    pub(crate) fn tell_volume(&self, action: &str, name: &str) {
        let attributes = [("driver".to_owned(), "local".to_owned())].into();
        self.events.tell("volume", action, name, attributes);
    }
}

/// Removes what is left of a container's folder.
pub(super) fn remove_folder(path: &Path) -> Result<()> {
    remove_tree(path).context(|| format!("remove {}", path.display()))
}
