//! A container's cgroup, by the path of its spec.

use std::path::{Path, PathBuf};
use std::str::FromStr as _;

use oci_spec::runtime::Spec;
use proa_kernel::cgroup::{Cgroup, CgroupPath, Controller, Hierarchy, Limits, Version};
use proa_runtime::plan::{CgroupMount, CgroupView};
use proa_runtime::resources;

use super::error::OciError;
use super::store::Record;

/// The path below the hierarchies' base that a spec asks for.
pub(super) fn path(spec: &Spec, id: &str, systemd: bool) -> Result<CgroupPath, OciError> {
    let wanted = spec
        .linux()
        .as_ref()
        .and_then(|linux| linux.cgroups_path().clone());
    let wanted = wanted
        .map(|path| path.to_string_lossy().into_owned())
        .filter(|path| !path.is_empty());
    let path = match wanted {
        Some(path) if systemd => systemd_path(&path, id)?,
        Some(path) => path,
        None => id.to_owned(),
    };
    Ok(CgroupPath::from_str(&path)?)
}

/// `slice:prefix:name` as the directory that systemd would use: a slice `a-b.slice` lies in `a.slice`.
fn systemd_path(text: &str, id: &str) -> Result<String, OciError> {
    let bad = || OciError::Value {
        what: "systemd cgroup path",
        value: text.to_owned(),
    };
    let mut parts = text.split(':');
    let (Some(slice), Some(prefix), Some(name), None) =
        (parts.next(), parts.next(), parts.next(), parts.next())
    else {
        return Err(bad());
    };
    let slice = if slice.is_empty() {
        "system.slice"
    } else {
        slice
    };
    let stem = slice.strip_suffix(".slice").ok_or_else(bad)?;
    let mut path = String::new();
    if stem != "-" {
        for (at, _) in stem.match_indices('-').chain([(stem.len(), "")]) {
            path.push_str(&stem[..at]);
            path.push_str(".slice/");
        }
    }
    let name = if name.is_empty() { id } else { name };
    Ok(match (name.ends_with(".slice"), prefix) {
        (true, _) => format!("{path}{name}"),
        (false, "") => format!("{path}{name}.scope"),
        (false, prefix) => format!("{path}{prefix}-{name}.scope"),
    })
}

/// Makes the cgroup with the spec's limits.
pub(super) fn create(spec: &Spec, path: &CgroupPath) -> Result<Cgroup, OciError> {
    let resources = spec
        .linux()
        .as_ref()
        .and_then(|linux| linux.resources().as_ref());
    let limits = resources
        .map(resources::limits)
        .transpose()?
        .unwrap_or_else(Limits::default);
    Ok(Hierarchy::detect()?.create(path, &limits)?)
}

/// The cgroup of a container that was made.
pub(super) fn open(record: &Record) -> Result<Cgroup, OciError> {
    let path = CgroupPath::from_str(&record.cgroup)?;
    Ok(Hierarchy::detect()?.open(&path))
}

/// What the container sees at a mount of type `cgroup`.
pub(super) fn view(cgroup: &Cgroup) -> Result<CgroupView, OciError> {
    if cgroup.hierarchy().version() == Version::V2 {
        return Ok(CgroupView::Unified);
    }
    let mounts = "/proc/self/mountinfo";
    let mounts = std::fs::read_to_string(mounts).map_err(OciError::file("read", mounts))?;
    Ok(CgroupView::PerController(
        mounts
            .lines()
            .filter_map(|line| hierarchy(line, cgroup))
            .collect(),
    ))
}

/// One line of mountinfo as a hierarchy, if it is one below `/sys/fs/cgroup` and the container is in it.
fn hierarchy(line: &str, cgroup: &Cgroup) -> Option<CgroupMount> {
    let (mount, system) = line.split_once(" - ")?;
    let point = Path::new(mount.split(' ').nth(4)?);
    let name = point
        .strip_prefix("/sys/fs/cgroup")
        .ok()?
        .to_str()?
        .to_owned();
    let mut fields = system.split(' ');
    let (kind, options) = (fields.next()?, fields.nth(1)?);
    let own = |directory: PathBuf| {
        if directory.is_dir() {
            directory
        } else {
            point.to_owned()
        }
    };
    let (controllers, directory) = match kind {
        "cgroup2" => (String::new(), own(cgroup.unified_directory()?)),
        "cgroup" => {
            let words: Vec<&str> = options.split(',').filter(|word| is_name(word)).collect();
            let known = Controller::ALL
                .into_iter()
                .find(|controller| words.contains(&controller.name()));
            let directory = match known {
                Some(controller) => own(cgroup.v1_directory(controller)?),
                None => point.to_owned(),
            };
            let none = if known.is_none() { "none," } else { "" };
            (format!("{none}{}", words.join(",")), directory)
        }
        _ => return None,
    };
    Some(CgroupMount {
        name,
        controllers,
        directory,
    })
}

/// Whether an option names controllers or a hierarchy.
fn is_name(word: &str) -> bool {
    word.starts_with("name=")
        || Controller::ALL
            .into_iter()
            .any(|controller| controller.name() == word)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_slice_lies_in_the_slices_it_is_named_after() {
        let check = |text: &str, expected: &str| {
            assert_eq!(systemd_path(text, "id").ok().as_deref(), Some(expected));
        };
        check(
            "user-1000-app.slice:libpod:abc",
            "user.slice/user-1000.slice/user-1000-app.slice/libpod-abc.scope",
        );
        check(":proa:abc", "system.slice/proa-abc.scope");
        check("-.slice::abc", "abc.scope");
        assert!(systemd_path("machine.slice", "id").is_err());
    }
}
