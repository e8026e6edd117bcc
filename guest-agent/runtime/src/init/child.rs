//! The child's side: the plan as straight-line system calls.

use std::convert::Infallible;
use std::ffi::CString;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::path::Path;

use proa_kernel::mount::{self, Change, attribute, propagation};
use proa_kernel::namespace::{self, Namespaces};
use proa_kernel::resolve;
use proa_kernel::{keyring, loopback, message, process, terminal, user};
use rustix::fs::{FileType, Mode, OFlags};
use rustix::io::Errno;

use super::hooks::{self, HookState};
use super::protocol::{Channel, During, FromInit, ToInit, broken};
use super::sources::Sources;
use super::{SpawnFds, credentials, devices, execute, mounts, reaper};
use crate::plan::{ExecPlan, Plan, ProcessPlan};
use crate::start_error::{StartError, Step};

/// Carries the plan out and becomes its command, or reports what failed and ends.
pub(super) fn run(
    plan: &Plan,
    sources: Sources,
    joins: &[(Namespaces, OwnedFd)],
    fds: &SpawnFds<'_>,
    channel: Channel,
) -> ! {
    let mut channel = Some(channel);
    let Err(error) = start(plan, sources, joins, fds, &mut channel);
    fail(channel.as_ref(), error)
}

/// Tells the parent and ends.
pub(super) fn fail(channel: Option<&Channel>, error: StartError) -> ! {
    let code = error.exit_code();
    if let Some(channel) = channel {
        let _ = channel.send(&FromInit::Failed(error), &[]);
    }
    process::exit_now(code)
}

fn start(
    plan: &Plan,
    sources: Sources,
    joins: &[(Namespaces, OwnedFd)],
    fds: &SpawnFds<'_>,
    channel: &mut Option<Channel>,
) -> Result<Infallible, StartError> {
    let talk = channel.as_ref().ok_or_else(|| broken(Errno::PIPE.into()))?;
    // Nobody inside may look into this process while it holds the host's descriptors.
    process::set_dumpable(false).during(Step::Clone, "")?;
    enter_cgroup(fds)?;
    fill_namespaces(plan, joins, talk)?;
    prepare_session(plan)?;
    let root = sources.root.as_fd();
    mount_all(plan, &sources, root)?;
    let console = match plan.process.terminal {
        Some(terminal) => Some(devices::open_console(root, terminal)?),
        None => None,
    };
    run_hooks_outside(plan, talk)?;
    protect(plan, root)?;
    enter_root(plan, root)?;
    if let Some(pair) = &console {
        talk.send(&FromInit::Console, &[pair.master.as_fd()])
            .map_err(broken)?;
    }
    connect_stdio(fds, console.as_ref().map(|pair| pair.slave.as_fd()))?;
    drop((sources, console));
    finish(plan, fds, channel)
}

/// What every process of a container does in the end, the first one and those that join later.
fn finish(
    plan: &Plan,
    fds: &SpawnFds<'_>,
    channel: &mut Option<Channel>,
) -> Result<Infallible, StartError> {
    if !plan.namespaces.new_kinds().contains(Namespaces::USER) {
        credentials::limit(&plan.process.rlimits)?;
    }
    if plan.process.make_cwd {
        make_working_directory(&plan.process)?;
    }
    if let Some(gate) = fds.gate {
        execute::check(&plan.process)?;
        wait_at_gate(gate, channel)?;
    }
    hooks::run(
        &plan.hooks.start_container,
        &HookState::new(plan, "created", 1),
    )?;
    become_command(&plan.process, plan.reaper, fds, channel)
}

/// From a privileged process in the right place to the command.
pub(super) fn become_command(
    plan: &ProcessPlan,
    forked: bool,
    fds: &SpawnFds<'_>,
    channel: &mut Option<Channel>,
) -> Result<Infallible, StartError> {
    credentials::schedule(plan)?;
    credentials::own_stdio(plan);
    let channel = &*keep_channel_only(fds, channel)?;
    // A directory that root may not enter may be open to the user (over NFS, in FUSE).
    let entered = execute::change_directory(plan);
    if matches!(&entered, Err(error) if error.errno != libc::EACCES) {
        entered?;
    }
    rustix::process::umask(Mode::from_bits_retain(plan.umask.unwrap_or(0o022)));
    credentials::drop_privileges(plan, channel)?;
    execute::change_directory(plan)?;
    execute::reset_signals()?;
    credentials::seal(plan, channel)?;
    if forked {
        // Confined as what it reaps, so only now.
        reaper::split()?;
        execute::reset_signals()?;
    }
    Err(execute::execute(plan))
}

/// Closes all descriptors but the standard ones, those to preserve and the channel: no path that the image gives
/// (`/proc/self/fd/7/../..`) leads to what this program has open.
fn keep_channel_only<'a>(
    fds: &SpawnFds<'_>,
    channel: &'a mut Option<Channel>,
) -> Result<&'a mut Channel, StartError> {
    let socket = channel
        .take()
        .ok_or_else(|| broken(Errno::PIPE.into()))?
        .into_socket();
    let socket = process::keep_only(socket, 3 + fds.preserve as i32).during(Step::Stdio, "")?;
    Ok(channel.insert(Channel::new(socket)))
}

/// Version 1: a single-threaded process enters by `tasks`, which takes no lock of the whole machine.
pub(super) fn enter_cgroup(fds: &SpawnFds<'_>) -> Result<(), StartError> {
    fds.cgroup1_tasks.iter().try_for_each(|tasks| {
        rustix::io::write(tasks, b"0")
            .map(drop)
            .during(Step::Cgroup, "tasks")
    })
}

/// Namespaces are joined, made and given their first contents.
fn fill_namespaces(
    plan: &Plan,
    joins: &[(Namespaces, OwnedFd)],
    channel: &Channel,
) -> Result<(), StartError> {
    let new = plan.namespaces.new_kinds();
    for (kind, fd) in joins {
        namespace::enter(fd, *kind).during(Step::JoinNamespace, "")?;
    }
    if plan.namespaces.maps.is_some() && new.contains(Namespaces::USER) {
        let Some((ToInit::Mapped, _)) = channel.receive().map_err(broken)? else {
            return Err(broken(Errno::PROTO.into()));
        };
    }
    if plan.namespaces.own_kinds().contains(Namespaces::USER) {
        user::become_user(0, 0, &[]).during(Step::User, "0:0")?;
    }
    if new.contains(Namespaces::CGROUP) {
        // Its root is where the caller is, so only now.
        namespace::unshare(Namespaces::CGROUP).during(Step::NewNamespace, "cgroup")?;
    }
    if new.contains(Namespaces::TIME) {
        enter_time_namespace(plan.namespaces.time_offsets.as_deref())?;
    }
    Ok(())
}

fn enter_time_namespace(offsets: Option<&str>) -> Result<(), StartError> {
    namespace::unshare(Namespaces::TIME).during(Step::NewNamespace, "time")?;
    if let Some(offsets) = offsets {
        mounts::write(Path::new("/proc/self/timens_offsets"), offsets)
            .during(Step::NewNamespace, "time offsets")?;
    }
    let path = "/proc/self/ns/time_for_children";
    let fd = rustix::fs::open(path, OFlags::RDONLY | OFlags::CLOEXEC, Mode::empty());
    let fd = fd.during(Step::NewNamespace, "time")?;
    namespace::enter(fd, Namespaces::TIME).during(Step::NewNamespace, "time")
}

/// Session, keyring, names and settings: what needs the host's `/proc` or no file system at all.
fn prepare_session(plan: &Plan) -> Result<(), StartError> {
    let new = plan.namespaces.new_kinds();
    // The child of a helper may lead its session already.
    let _ = rustix::process::setsid();
    join_keyring(plan)?;
    if new.contains(Namespaces::NET) {
        loopback::up().during(Step::Loopback, "lo")?;
    }
    if let Some(name) = &plan.hostname {
        rustix::system::sethostname(name.as_bytes()).during(Step::Hostname, name)?;
    }
    if let Some(name) = &plan.domainname {
        rustix::system::setdomainname(name.as_bytes()).during(Step::Hostname, name)?;
    }
    let foreign = plan.namespaces.network_is_foreign();
    for (path, value) in &plan.sysctls {
        if !(foreign && path.starts_with(super::NETWORK_SETTINGS)) {
            set(path, value)?;
        }
    }
    if !new.contains(Namespaces::USER) {
        credentials::score(None, &plan.process)?;
    }
    credentials::label(&plan.process)
}

/// Writes a kernel setting, named as below `/proc/sys`.
pub(super) fn set(path: &str, value: &str) -> Result<(), StartError> {
    let file = Path::new("/proc/sys").join(path);
    mounts::write(&file, value).during(Step::Sysctl, path.replace('/', "."))
}

fn join_keyring(plan: &Plan) -> Result<(), StartError> {
    if plan.keep_keyring {
        return Ok(());
    }
    let name = CString::new(format!("_ses.{}", plan.id)).unwrap_or_default();
    match keyring::join_session(&name) {
        // No keyrings in this kernel, or none left for this user: the container works without.
        Err(error)
            if matches!(
                error.raw_os_error(),
                Some(libc::ENOSYS | libc::EDQUOT | libc::EPERM)
            ) =>
        {
            Ok(())
        }
        other => other.during(Step::Keyring, ""),
    }
}

/// The root becomes visible in the child's mount namespace, everything else is placed beneath it.
fn mount_all(plan: &Plan, sources: &Sources, root: BorrowedFd<'_>) -> Result<(), StartError> {
    rustix::process::umask(Mode::empty());
    // Nothing done here is seen on the host; `pivot_root` asks for this too.
    mount::set_propagation(c"/", propagation::PRIVATE, true).during(Step::Root, "/")?;
    mount::place_at(root, c"/").during(Step::Root, "/")?;
    for (mount, opened) in plan.mounts.iter().zip(&sources.mounts) {
        mounts::place(root, mount, opened)?;
    }
    if plan.fill_dev {
        devices::make(root, &plan.devices, &sources.devices)?;
        devices::link(root)?;
    }
    Ok(())
}

/// Hooks that run before the root is changed: the parent's, then the child's.
fn run_hooks_outside(plan: &Plan, channel: &Channel) -> Result<(), StartError> {
    if !plan.hooks.create_runtime.is_empty() {
        channel.send(&FromInit::Mounted, &[]).map_err(broken)?;
        let Some((ToInit::HooksDone, _)) = channel.receive().map_err(broken)? else {
            return Err(broken(Errno::PROTO.into()));
        };
    }
    hooks::run(
        &plan.hooks.create_container,
        &HookState::new(plan, "creating", 1),
    )
}

/// Masked and read-only paths, then the root itself.
fn protect(plan: &Plan, root: BorrowedFd<'_>) -> Result<(), StartError> {
    for path in &plan.readonly_paths {
        mounts::make_readonly(root, path)?;
    }
    if !plan.masked_paths.is_empty() {
        let null = null_device(root).during(Step::Protect, "/dev/null")?;
        mounts::mask(root, &plan.masked_paths, &null)?;
    }
    if plan.root_readonly {
        let change = Change {
            set: attribute::RDONLY,
            ..Change::default()
        };
        mount::change(root, &change, false).during(Step::Root, "/")?;
    }
    Ok(())
}

/// The container's null device, made sure of: an image must not decide what hides a path.
fn null_device(root: BorrowedFd<'_>) -> std::io::Result<OwnedFd> {
    let inside = resolve::open_in(
        root,
        c"/dev/null",
        OFlags::PATH | OFlags::NOFOLLOW,
        Mode::empty(),
    )?;
    let stat = rustix::fs::fstat(&inside)?;
    let character = FileType::from_raw_mode(stat.st_mode) == FileType::CharacterDevice;
    if character && stat.st_rdev == rustix::fs::makedev(1, 3) {
        return Ok(inside);
    }
    Err(std::io::Error::from_raw_os_error(libc::ENODEV))
}

fn enter_root(plan: &Plan, root: BorrowedFd<'_>) -> Result<(), StartError> {
    if plan.no_pivot {
        // The root lies over "/" already; what is below it cannot be taken away.
        rustix::process::fchdir(root).during(Step::Pivot, "")?;
        rustix::process::chroot(c".").during(Step::Pivot, "")?;
    } else {
        mount::pivot_root(root).during(Step::Pivot, "")?;
    }
    if plan.root_propagation != propagation::PRIVATE && plan.root_propagation != propagation::SLAVE
    {
        mount::set_propagation(c"/", plan.root_propagation, false)
            .during(Step::Root, "propagation")?;
    }
    Ok(())
}

/// Standard streams: the terminal's slave, or what the caller gave.
pub(super) fn connect_stdio(
    fds: &SpawnFds<'_>,
    terminal: Option<BorrowedFd<'_>>,
) -> Result<(), StartError> {
    if let Some(slave) = terminal {
        terminal::control(slave).during(Step::Terminal, "")?;
        return (0..3)
            .try_for_each(|number| process::place_fd(slave, number).during(Step::Stdio, ""));
    }
    let given = [fds.stdin, fds.stdout, fds.stderr];
    for (number, fd) in given.into_iter().enumerate() {
        if let Some(fd) = fd {
            process::place_fd(fd, number as i32).during(Step::Stdio, "")?;
        }
    }
    Ok(())
}

fn make_working_directory(plan: &ProcessPlan) -> Result<(), StartError> {
    let root = rustix::fs::open(c"/", OFlags::PATH | OFlags::CLOEXEC, Mode::empty());
    let root = root.during_on(Step::WorkingDirectory, &plan.cwd)?;
    match resolve::make_directories(&root, &plan.cwd) {
        // A read-only root, or a file in the way: `chdir` tells it in its own words.
        Ok(_) | Err(_) => Ok(()),
    }
}

/// Tells the parent that only the command is left, and waits until somebody connects; that connection hears the rest.
fn wait_at_gate(gate: BorrowedFd<'_>, channel: &mut Option<Channel>) -> Result<(), StartError> {
    if let Some(parent) = channel.as_ref() {
        parent.send(&FromInit::Ready, &[]).map_err(broken)?;
    }
    let connection = message::accept(gate).map_err(broken)?;
    *channel = Some(Channel::new(connection));
    Ok(())
}

/// A further process, already in the container's namespaces.
pub(super) fn run_exec(plan: &ExecPlan, fds: &SpawnFds<'_>, channel: Channel) -> ! {
    let mut channel = Some(channel);
    let Err(error) = start_exec(plan, fds, &mut channel);
    fail(channel.as_ref(), error)
}

fn start_exec(
    plan: &ExecPlan,
    fds: &SpawnFds<'_>,
    channel: &mut Option<Channel>,
) -> Result<Infallible, StartError> {
    let process = &plan.process;
    enter_cgroup(fds)?;
    if Namespaces::from_bits(plan.namespaces).contains(Namespaces::USER) {
        user::become_user(0, 0, &[]).during(Step::User, "0:0")?;
    }
    let _ = rustix::process::setsid();
    credentials::limit(&process.rlimits)?;
    let console = match process.terminal {
        Some(terminal) => {
            let root = rustix::fs::open(c"/", OFlags::PATH | OFlags::CLOEXEC, Mode::empty());
            let root = root.during(Step::Terminal, "/")?;
            Some(
                devices::open_terminal(root.as_fd(), terminal)
                    .during(Step::Terminal, "/dev/pts/ptmx")?,
            )
        }
        None => None,
    };
    if let (Some(pair), Some(channel)) = (&console, channel.as_ref()) {
        channel
            .send(&FromInit::Console, &[pair.master.as_fd()])
            .map_err(broken)?;
    }
    connect_stdio(fds, console.as_ref().map(|pair| pair.slave.as_fd()))?;
    drop(console);
    become_command(process, false, fds, channel)
}
