//! The child's mounts: each placed on a descriptor found beneath the container's root.

use std::fs::File;
use std::io;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::path::Path;

use proa_kernel::mount::{self, Change, Configuring, attribute};
use proa_kernel::resolve::{self, Kind};
use proa_kernel::tree;
use rustix::fs::{FileType, Mode, OFlags};

use super::protocol::During;
use super::sources;
use crate::plan::{CgroupMount, FileSystem, MountPlan, MountSource};
use crate::start_error::{StartError, Step};

/// Places one mount; `opened` is what the parent opened for it.
pub(super) fn place(
    root: BorrowedFd<'_>,
    plan: &MountPlan,
    opened: &[OwnedFd],
) -> Result<(), StartError> {
    match &plan.source {
        MountSource::Bind(_) | MountSource::Layers(_) => opened
            .iter()
            .try_for_each(|tree| place_bind(root, &plan.target, tree)),
        MountSource::New(system) => place_new(root, plan, system),
        MountSource::Remount => resolve::locate(root, &plan.target)
            .and_then(|target| sources::change(target.as_fd(), plan)),
        MountSource::Cgroup1 { hierarchies, .. } => place_cgroup1(root, plan, hierarchies, opened),
    }
    .during_on(Step::Mount, &plan.target)
}

/// A bind is placed on a file or a directory, as its source is; what is missing is made.
fn place_bind(root: BorrowedFd<'_>, target: &Path, tree: &OwnedFd) -> io::Result<()> {
    let stat = rustix::fs::fstat(tree)?;
    let directory = FileType::from_raw_mode(stat.st_mode) == FileType::Directory;
    let target = resolve::locate_or_make(
        root,
        target,
        if directory {
            Kind::Directory
        } else {
            Kind::File
        },
    )?;
    mount::place(tree, target)
}

fn place_new(root: BorrowedFd<'_>, plan: &MountPlan, system: &FileSystem) -> io::Result<()> {
    let covers = system.fstype == "tmpfs" && resolve::locate(root, plan.target.as_path()).is_ok();
    let target = match system.fstype.as_str() {
        // A link in the image must not decide where the kernel's own files appear.
        "proc" | "sysfs" => plain_directory(root, &plan.target)?,
        _ => resolve::locate_or_make(root, &plan.target, Kind::Directory)?,
    };
    let mounted = match make(system, plan.set, covers.then(|| target.as_fd())) {
        Err(error) if system.fstype == "sysfs" && error.raw_os_error() == Some(libc::EPERM) => {
            hosts_sysfs(plan.set)?
        }
        other => other?,
    };
    if system.copy_up {
        tree::copy_tree(&target, &mounted, &|uid, gid| (uid, gid))?;
    }
    mount::place(&mounted, &target)?;
    for &(propagation, recursive) in &plan.propagation {
        mount::change(
            &mounted,
            &Change {
                propagation,
                ..Change::default()
            },
            recursive,
        )?;
    }
    Ok(())
}

/// The host's, read-only: a new one is for those whose user namespace owns the network namespace that it shows.
fn hosts_sysfs(attributes: u64) -> io::Result<OwnedFd> {
    let tree = mount::clone_path(c"/sys", true)?;
    let change = Change {
        set: attributes | attribute::RDONLY,
        ..Change::default()
    };
    mount::change(&tree, &change, true)?;
    Ok(tree)
}

fn plain_directory(root: BorrowedFd<'_>, path: &Path) -> io::Result<OwnedFd> {
    match resolve::open_plain(root, path, OFlags::PATH | OFlags::DIRECTORY) {
        Err(error) if error.raw_os_error() == Some(libc::ENOENT) => {
            resolve::locate_or_make(root, path, Kind::Directory)
        }
        other => other,
    }
}

/// A new tmpfs without a mode of its own takes that of the directory it covers, if there was one.
fn make(
    system: &FileSystem,
    attributes: u64,
    covered: Option<BorrowedFd<'_>>,
) -> io::Result<OwnedFd> {
    let config = Configuring::new(&system.fstype)?;
    if !system.source.is_empty() {
        config.set("source", system.source.as_str())?;
    }
    for (key, value) in &system.options {
        match value {
            Some(value) => config.set(key, value.as_str())?,
            None => config.set_flag(key)?,
        }
    }
    if let Some(covered) = covered
        && system.options.iter().all(|(key, _)| key != "mode")
    {
        let mode = rustix::fs::fstat(covered)?.st_mode & 0o7777;
        config.set("mode", format!("{mode:o}").as_str())?;
    }
    config.mount(attributes)
}

/// A tmpfs with one directory per hierarchy, and links for controllers that share one.
fn place_cgroup1(
    root: BorrowedFd<'_>,
    plan: &MountPlan,
    hierarchies: &[CgroupMount],
    opened: &[OwnedFd],
) -> io::Result<()> {
    let target = resolve::locate_or_make(root, &plan.target, Kind::Directory)?;
    let config = Configuring::new("tmpfs")?;
    config.set("source", "tmpfs")?;
    config.set("mode", "755")?;
    let tmpfs = config.mount(plan.set & !attribute::RDONLY)?;
    mount::place(&tmpfs, &target)?;
    for (index, hierarchy) in hierarchies.iter().enumerate() {
        rustix::fs::mkdirat(&tmpfs, &hierarchy.name, Mode::from_bits_retain(0o755))?;
        let below = resolve::open_plain(&tmpfs, hierarchy.name.as_str(), OFlags::PATH)?;
        match opened.get(index) {
            Some(tree) => mount::place(tree, &below)?,
            None => mount::place(new_hierarchy(hierarchy, plan.set)?, &below)?,
        }
        link_controllers(&tmpfs, &hierarchy.name)?;
    }
    let set = plan.set & attribute::RDONLY;
    if set == 0 {
        Ok(())
    } else {
        mount::change(
            &tmpfs,
            &Change {
                set,
                ..Change::default()
            },
            false,
        )
    }
}

/// The hierarchy as the cgroup namespace shows it.
fn new_hierarchy(hierarchy: &CgroupMount, attributes: u64) -> io::Result<OwnedFd> {
    if hierarchy.controllers.is_empty() {
        return Configuring::new("cgroup2")?.mount(attributes);
    }
    let config = Configuring::new("cgroup")?;
    config.set("source", "cgroup")?;
    for option in hierarchy.controllers.split(',') {
        match option.split_once('=') {
            Some((key, value)) => config.set(key, value)?,
            None => config.set_flag(option)?,
        }
    }
    config.mount(attributes)
}

/// `cpu` and `cpuacct` beside `cpu,cpuacct`.
fn link_controllers(tmpfs: &OwnedFd, name: &str) -> io::Result<()> {
    if !name.contains(',') {
        return Ok(());
    }
    for controller in name.split(',') {
        match rustix::fs::symlinkat(name, tmpfs, controller) {
            Err(rustix::io::Errno::EXIST) => {}
            other => other?,
        }
    }
    Ok(())
}

/// Hides a path: files behind the null device, directories behind one empty read-only directory. What is not there
/// needs no hiding.
pub(super) fn mask(
    root: BorrowedFd<'_>,
    paths: &[std::path::PathBuf],
    null: &OwnedFd,
) -> Result<(), StartError> {
    let mut empty = None;
    for path in paths {
        mask_one(root, path, null, &mut empty).during_on(Step::Protect, path)?;
    }
    Ok(())
}

fn mask_one(
    root: BorrowedFd<'_>,
    path: &Path,
    null: &OwnedFd,
    empty: &mut Option<OwnedFd>,
) -> io::Result<()> {
    let Some(target) = if_present(resolve::locate(root, path))? else {
        return Ok(());
    };
    if FileType::from_raw_mode(rustix::fs::fstat(&target)?.st_mode) != FileType::Directory {
        return mount::place(mount::clone_tree(null, c"", false)?, &target);
    }
    // One superblock serves all directories.
    if let Some(first) = empty {
        return mount::place(mount::clone_tree(&*first, c"", false)?, &target);
    }
    let config = Configuring::new("tmpfs")?;
    config.set("source", "tmpfs")?;
    config.set_flag("ro")?;
    let first = config.mount(attribute::RDONLY)?;
    mount::place(&first, &target)?;
    *empty = Some(first);
    Ok(())
}

/// Makes a path read-only by a mount of itself.
pub(super) fn make_readonly(root: BorrowedFd<'_>, path: &Path) -> Result<(), StartError> {
    readonly(root, path).during_on(Step::Protect, path)
}

fn readonly(root: BorrowedFd<'_>, path: &Path) -> io::Result<()> {
    let Some(target) = if_present(resolve::locate(root, path))? else {
        return Ok(());
    };
    let tree = mount::clone_tree(&target, c"", true)?;
    mount::change(
        &tree,
        &Change {
            set: attribute::RDONLY,
            ..Change::default()
        },
        false,
    )?;
    mount::place(&tree, &target)
}

fn if_present(found: io::Result<OwnedFd>) -> io::Result<Option<OwnedFd>> {
    match found {
        Err(error) if matches!(error.raw_os_error(), Some(libc::ENOENT | libc::ENOTDIR)) => {
            Ok(None)
        }
        other => other.map(Some),
    }
}

/// Writes a file of the kernel's in one go.
pub(super) fn write(path: &Path, text: &str) -> io::Result<()> {
    use std::io::Write as _;
    File::options()
        .write(true)
        .open(path)?
        .write_all(text.as_bytes())
}
