//! From a plan to a running process.
//!
//! ```text
//! parent  Sources: root, binds, namespaces opened ── clone3 ──▶ child  namespaces filled, mounts, /dev
//!         maps written                            ── Mapped ──▶
//!         createRuntime hooks                     ◀─ Mounted ─         createContainer hooks
//!                                                 ─ HooksDone ▶        masked paths, pivot_root
//!         terminal's master                       ◀─ Console ──        standard streams, limits
//!         reports `created`                       ◀── Ready ───        (with a gate) waits there
//!                                                 ◀── Failed ──        user, capabilities, filter
//!         the end of the conversation: it runs    ◀─── end ────        execve
//! ```
//! [`spawn`] and [`spawn_exec`] are called by a single-threaded process, which becomes the parent: the monitor, or the
//! runc-compatible command line. A step that fails travels back as a [`StartError`] and leaves nothing behind.

mod child;
mod credentials;
mod devices;
mod execute;
mod hooks;
mod join;
mod mounts;
mod overlay;
mod protocol;
mod reaper;
mod root;
mod sources;
#[cfg(test)]
mod tests;

use std::io;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, OwnedFd};
use std::path::Path;

use proa_kernel::namespace::Namespaces;
use proa_kernel::process::{self, CloneOptions, Cloned};
use proa_kernel::{message, user};

pub use hooks::{HookState, run as run_hooks};
pub use overlay::{show, show_layers, writable_root};

use self::join::{ClonedBeside, Target};
use self::protocol::{Channel, During, FromInit, ToInit, broken};
use self::sources::Sources;
use crate::plan::{ExecPlan, Plan, ProcessPlan, Root};
use crate::start_error::{StartError, Step};

/// Descriptors a new process is given. All are borrowed: the caller closes its own.
#[derive(Clone, Debug, Default)]
pub struct SpawnFds<'a> {
    /// Standard input; without one, and without a terminal, the caller's is inherited.
    pub stdin: Option<BorrowedFd<'a>>,
    /// Standard output.
    pub stdout: Option<BorrowedFd<'a>>,
    /// Standard error.
    pub stderr: Option<BorrowedFd<'a>>,
    /// The version 2 cgroup's directory, to be born in.
    pub cgroup: Option<BorrowedFd<'a>>,
    /// The `tasks` files (opened for writing) of the version 1 cgroups, to enter before anything else.
    pub cgroup1_tasks: Vec<BorrowedFd<'a>>,
    /// Namespaces to join beside those the plan names by path, as `CLONE_NEW*` bit and descriptor.
    pub namespaces: Vec<(u32, BorrowedFd<'a>)>,
    /// How many descriptors from 3 on the process keeps.
    pub preserve: u32,
    /// A listening `SOCK_SEQPACKET` socket. With one, the process stops before its command until somebody connects, and
    /// tells that connection what came of it ([`release`]).
    pub gate: Option<BorrowedFd<'a>>,
}

/// A process that is running, or is waiting at its gate.
#[derive(Debug)]
pub struct Spawned {
    /// Its id in the caller's PID namespace.
    pub pid: i32,
    /// Refers to it.
    pub pidfd: OwnedFd,
    /// The master side of its terminal.
    pub console_master: Option<OwnedFd>,
    /// The mount of the overlay root: while it is open the file system is not taken apart.
    pub root_mount: Option<OwnedFd>,
}

/// Starts the first process of a container. The caller has one thread and is the process's parent.
pub fn spawn(plan: &Plan, fds: &SpawnFds<'_>) -> Result<Spawned, StartError> {
    let joins = joins(plan, fds)?;
    let sources = Sources::open(plan)?;
    let root_mount = match plan.root {
        Root::Overlay(_) => Some(sources.root.try_clone().during(Step::Root, "")?),
        Root::Plain(_) => None,
    };
    own_outputs(plan, fds);
    let (ours, theirs) = Channel::pair()?;
    // Cgroup and time namespaces are made by the child once it is where they are to begin.
    let namespaces = plan
        .namespaces
        .new_kinds()
        .without(Namespaces::CGROUP | Namespaces::TIME);
    let options = CloneOptions {
        namespaces,
        cgroup: fds.cgroup,
        sibling: false,
    };
    let cloned = if needs_helper(plan, &joins) {
        let run = |channel| child::run(plan, sources, &[], fds, channel);
        let helper = join::clone_beside(
            &Target::Each(&joins),
            &options,
            theirs,
            || Ok(()),
            || set_network(plan),
            run,
        )?;
        join::cloned(&ours, &helper)?
    } else {
        match process::clone3(&options).during(Step::Clone, "")? {
            Cloned::Child => {
                drop(ours);
                child::run(plan, sources, &joins, fds, theirs)
            }
            Cloned::Parent { pid, pidfd } => {
                drop((sources, theirs));
                ClonedBeside {
                    pid,
                    pidfd,
                    early: Vec::new(),
                }
            }
        }
    };
    finish(cloned, root_mount, &ours, Some(plan), &plan.process)
}

/// Starts a further process in the container whose first process is behind `init`. The new process is the caller's
/// child. The caller has one thread.
pub fn spawn_exec(
    plan: &ExecPlan,
    init: BorrowedFd<'_>,
    fds: &SpawnFds<'_>,
) -> Result<Spawned, StartError> {
    let (ours, theirs) = Channel::pair()?;
    let kinds = Namespaces::from_bits(plan.namespaces);
    let options = CloneOptions {
        namespaces: Namespaces::NONE,
        cgroup: fds.cgroup,
        sibling: false,
    };
    let run = |channel: Channel| child::run_exec(plan, fds, channel);
    // The container's own `/proc` is not to be trusted with its confinement.
    let prepare = || {
        if kinds.contains(Namespaces::USER)
            && let Some(uid) = outside_of(init, plan.process.uid)
        {
            own_streams(fds, uid);
        }
        credentials::score(None, &plan.process)?;
        credentials::label(&plan.process)
    };
    let target = Target::Process(init, kinds);
    let helper = join::clone_beside(&target, &options, theirs, prepare, || Ok(()), run)?;
    let cloned = join::cloned(&ours, &helper)?;
    finish(cloned, None, &ours, None, &plan.process)
}

/// Lets a process go on that waits at the gate listening at `path`, and hears what came of it.
pub fn release(path: &Path) -> Result<(), StartError> {
    let gate = Channel::new(message::connect(path).during_on(Step::Handshake, path)?);
    loop {
        match gate.receive().map_err(broken)? {
            None => return Ok(()),
            Some((FromInit::Failed(error), _)) => return Err(error),
            Some(_) => {}
        }
    }
}

/// Settings of a network namespace that nobody in the new user namespace may write.
fn set_network(plan: &Plan) -> Result<(), StartError> {
    if !plan.namespaces.network_is_foreign() {
        return Ok(());
    }
    let settings = plan.sysctls.iter();
    settings
        .filter(|(path, _)| path.starts_with(NETWORK_SETTINGS))
        .try_for_each(|(path, value)| child::set(path, value))
}

/// Where the settings of a network namespace are, below `/proc/sys`.
const NETWORK_SETTINGS: &str = "net/";

/// What outputs belong to as long as nobody has said more: a user namespace's root may not take what is the host's.
fn own_outputs(plan: &Plan, fds: &SpawnFds<'_>) {
    let Some(maps) = &plan.namespaces.maps else {
        return;
    };
    own_streams(fds, maps.outside(plan.process.uid, plan.process.gid).0);
}

fn own_streams(fds: &SpawnFds<'_>, uid: u32) {
    for fd in [fds.stdin, fds.stdout, fds.stderr].into_iter().flatten() {
        // Nothing depends on it where it cannot be.
        let _ = credentials::own(fd, uid);
    }
}

/// A user of a running container's user namespace as the host knows it.
fn outside_of(process: BorrowedFd<'_>, uid: u32) -> Option<u32> {
    let number = process.as_raw_fd();
    let told = std::fs::read_to_string(format!("/proc/self/fdinfo/{number}")).ok()?;
    let pid = told.lines().find_map(|line| line.strip_prefix("Pid:"))?;
    let map = std::fs::read_to_string(format!("/proc/{}/uid_map", pid.trim())).ok()?;
    map.lines().find_map(|line| {
        let numbers = line.split_whitespace().map(str::parse::<u32>);
        let numbers: Vec<u32> = numbers.collect::<Result<_, _>>().ok()?;
        let [inside, outside, length] = numbers[..] else {
            return None;
        };
        let offset = uid.checked_sub(inside).filter(|at| *at < length)?;
        outside.checked_add(offset)
    })
}

/// Everything to join: what the plan names and what the caller has open.
fn joins(plan: &Plan, fds: &SpawnFds<'_>) -> Result<Vec<(Namespaces, OwnedFd)>, StartError> {
    let mut joins = sources::open_joins(&plan.namespaces)?;
    for (kind, fd) in &fds.namespaces {
        let fd = fd.try_clone_to_owned().during(Step::JoinNamespace, "")?;
        joins.push((Namespaces::from_bits(*kind), fd));
    }
    Ok(joins)
}

/// Most namespaces are joined by the process itself; these are not, and none is from inside a new user namespace.
fn needs_helper(plan: &Plan, joins: &[(Namespaces, OwnedFd)]) -> bool {
    let never_alone =
        |kind| kind == Namespaces::PID || kind == Namespaces::USER || kind == Namespaces::TIME;
    let in_user_namespace = plan.namespaces.new_kinds().contains(Namespaces::USER);
    joins.iter().any(|(kind, _)| never_alone(*kind)) || (in_user_namespace && !joins.is_empty())
}

/// The parent's side of the conversation; a process that fails is reaped.
fn finish(
    cloned: ClonedBeside,
    root_mount: Option<OwnedFd>,
    channel: &Channel,
    plan: Option<&Plan>,
    process: &ProcessPlan,
) -> Result<Spawned, StartError> {
    let ClonedBeside { pid, pidfd, early } = cloned;
    let mut spawned = Spawned {
        pid,
        pidfd,
        console_master: None,
        root_mount,
    };
    match converse(&mut spawned, early, channel, plan, process) {
        Ok(()) => Ok(spawned),
        Err(error) => {
            let _ = process::signal(&spawned.pidfd, libc::SIGKILL);
            let _ = process::wait(&spawned.pidfd);
            Err(error)
        }
    }
}

fn converse(
    spawned: &mut Spawned,
    early: Vec<(FromInit, Vec<OwnedFd>)>,
    channel: &Channel,
    plan: Option<&Plan>,
    process: &ProcessPlan,
) -> Result<(), StartError> {
    if let Some(plan) = plan {
        map_ids(plan, spawned.pid, channel)?;
    }
    let mut early = early.into_iter();
    loop {
        let next = match early.next() {
            Some(said) => Some(said),
            None => channel.receive().map_err(broken)?,
        };
        // The end means `execve`; a process that was killed on the way there is found by its parent's wait.
        let Some((said, fds)) = next else {
            return Ok(());
        };
        match said {
            FromInit::Cloned { .. } => {}
            FromInit::Mounted => {
                if let Some(plan) = plan {
                    run_hooks(
                        &plan.hooks.create_runtime,
                        &HookState::new(plan, "creating", spawned.pid),
                    )?;
                }
                channel.send(&ToInit::HooksDone, &[]).map_err(broken)?;
            }
            FromInit::Console => spawned.console_master = fds.into_iter().next(),
            FromInit::Ready => return Ok(()),
            FromInit::SeccompListener => pass_listener(process, spawned.pid, fds)?,
            FromInit::Failed(error) => return Err(error),
        }
    }
}

/// What a process in a new user namespace cannot do for itself.
fn map_ids(plan: &Plan, pid: i32, channel: &Channel) -> Result<(), StartError> {
    let Some(maps) = &plan.namespaces.maps else {
        return Ok(());
    };
    let (uids, gids) = maps.ranges();
    user::write_maps(pid, &uids, &gids).during(Step::MapIds, plan.id.as_str())?;
    for limit in &plan.process.rlimits {
        process::set_limit_of(pid, limit.resource, limit.soft, limit.hard)
            .during(Step::Limit, credentials::limit_name(limit.resource))?;
    }
    credentials::score(Some(pid), &plan.process)?;
    channel.send(&ToInit::Mapped, &[]).map_err(broken)
}

/// Hands the filter's listener to the supervisor that the spec names.
fn pass_listener(process: &ProcessPlan, pid: i32, fds: Vec<OwnedFd>) -> Result<(), StartError> {
    let (Some(seccomp), Some(listener)) = (&process.seccomp, fds.into_iter().next()) else {
        return Ok(());
    };
    let Some(path) = &seccomp.listener else {
        return Ok(());
    };
    let state = serde_json::json!({
        "ociVersion": crate::OCI_VERSION, "fds": ["seccompFd"], "pid": pid, "metadata": seccomp.listener_metadata,
        "state": {"ociVersion": crate::OCI_VERSION, "status": "creating", "pid": pid},
    });
    send_listener(path, &state.to_string(), &listener).during_on(Step::Seccomp, path)
}

fn send_listener(path: &Path, state: &str, listener: &OwnedFd) -> io::Result<()> {
    let socket = std::os::unix::net::UnixStream::connect(path)?;
    message::send(&socket, state.as_bytes(), &[listener.as_fd()])
}
