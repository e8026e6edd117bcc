//! `changes`: what of a container's root differs from its image.

use std::path::{Path, PathBuf};

use proa_protocol::FilesystemChange;

use super::Container;
use crate::{
    Result,
    error::Context,
    rootfs::{Layers, is_opaque, is_whiteout},
};

const MODIFIED: u8 = 0;
const ADDED: u8 = 1;
const DELETED: u8 = 2;

/// What the engine makes itself as places to mount at; not a change of the user's.
const OURS: &[&str] = &[
    "/.dockerenv",
    "/dev",
    "/dev/console",
    "/dev/mqueue",
    "/dev/pts",
    "/dev/shm",
    "/etc/hostname",
    "/etc/hosts",
    "/etc/mtab",
    "/etc/resolv.conf",
    "/proc",
    "/sys",
];

impl Container {
    /// What differs from its image.
    pub async fn changes(&self) -> Result<Vec<FilesystemChange>> {
        let engine = self.engine()?;
        let definition = self.seen().definition;
        let upper = engine.paths.container(&self.id).join("upper");
        let below = Layers::new(
            definition
                .lowers
                .iter()
                .cloned()
                .chain([engine.paths.ground()]),
        );
        let attempt = || format!("compare container {} with its image", self.id);
        let walk = move || -> std::io::Result<Vec<FilesystemChange>> {
            let mut changes = Vec::new();
            directory(&upper, Path::new("/"), &below, &mut changes)?;
            changes.sort_by(|a, b| a.path.cmp(&b.path));
            Ok(changes)
        };
        tokio::task::spawn_blocking(walk)
            .await
            .context(attempt)?
            .context(attempt)
    }
}

/// What one directory of the upper layer changes. Returns whether anything did.
fn directory(
    path: &Path,
    name: &Path,
    below: &Layers,
    changes: &mut Vec<FilesystemChange>,
) -> std::io::Result<bool> {
    let before = changes.len();
    if is_opaque(path) {
        deleted_by_replacement(path, name, below, changes)?;
    }
    for entry in std::fs::read_dir(path)? {
        let entry = entry?;
        let inner = name.join(entry.file_name());
        let metadata = entry.metadata()?;
        let ours = OURS.iter().any(|ours| inner == Path::new(ours));
        if is_whiteout(&metadata) {
            push(changes, DELETED, &inner);
            continue;
        }
        let was_there = below.find(&inner)?.is_some();
        if metadata.is_dir() {
            let place = changes.len();
            let changed = directory(&entry.path(), &inner, below, changes)?;
            if !ours && (changed || !was_there || is_changed(&metadata, &inner, below)?) {
                changes.insert(
                    place,
                    change(if was_there { MODIFIED } else { ADDED }, &inner),
                );
            }
        } else if !(ours && (metadata.len() == 0 || metadata.is_symlink())) {
            push(changes, if was_there { MODIFIED } else { ADDED }, &inner);
        }
    }
    Ok(changes.len() > before)
}

/// A directory that only holds a place to mount at is copied up, not changed.
fn is_changed(metadata: &std::fs::Metadata, name: &Path, below: &Layers) -> std::io::Result<bool> {
    use std::os::unix::fs::MetadataExt;
    let facts = |of: &std::fs::Metadata| (of.mode(), of.uid(), of.gid());
    Ok(below
        .find(name)?
        .is_some_and(|old| facts(&old.metadata) != facts(metadata)))
}

fn deleted_by_replacement(
    path: &Path,
    name: &Path,
    below: &Layers,
    changes: &mut Vec<FilesystemChange>,
) -> std::io::Result<()> {
    let Some(old) = below.find(name)? else {
        return Ok(());
    };
    if !old.metadata.is_dir() {
        return Ok(());
    }
    for child in old.children()?.keys() {
        if path.join(child).symlink_metadata().is_err() {
            push(changes, DELETED, &name.join(child));
        }
    }
    Ok(())
}

fn change(kind: u8, path: &Path) -> FilesystemChange {
    FilesystemChange {
        kind,
        path: path.display().to_string(),
    }
}

fn push(changes: &mut Vec<FilesystemChange>, kind: u8, path: &Path) {
    changes.push(change(kind, &PathBuf::from(path)));
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::*;

    #[test]
    fn changes_are_told_as_docker_does() {
        let dir = tempfile::tempdir().unwrap();
        let at = |name: &str| dir.path().join(name);
        for name in ["upper/etc", "upper/new", "upper/dev", "lower/etc"] {
            fs::create_dir_all(at(name)).unwrap();
        }
        for name in [
            "lower/etc/old",
            "lower/etc/gone",
            "upper/etc/old",
            "upper/new/file",
            "upper/etc/hosts",
        ] {
            fs::write(at(name), "").unwrap();
        }
        let device = rustix::fs::FileType::CharacterDevice;
        rustix::fs::mknodat(
            rustix::fs::CWD,
            at("upper/etc/gone"),
            device,
            rustix::fs::Mode::empty(),
            0,
        )
        .unwrap();
        let mut changes = Vec::new();
        directory(
            &at("upper"),
            Path::new("/"),
            &Layers::new([at("lower")]),
            &mut changes,
        )
        .unwrap();
        changes.sort_by(|a, b| a.path.cmp(&b.path));
        let told: Vec<_> = changes
            .iter()
            .map(|change| format!("{} {}", change.kind, change.path))
            .collect();
        assert_eq!(
            told,
            [
                "0 /etc",
                "2 /etc/gone",
                "0 /etc/old",
                "1 /new",
                "1 /new/file"
            ]
        );
    }
}
