//! The phases before a start: the spec, the cgroup, the plan. What was made is taken back unless the start succeeds.

use std::{
    os::fd::{AsFd, BorrowedFd, OwnedFd},
    path::{Path, PathBuf},
    sync::{Arc, OnceLock},
};

use oci_spec::runtime::{Process, Spec};
use proa_kernel::cgroup::{Cgroup, CgroupPath, Controller, OomWatch, Version};
use proa_kernel::namespace::Namespaces;
use proa_runtime::{
    StartError, Step,
    client::{Keeper, Launch, Monitor, Size, Stdin, Streams},
    launch::LaunchFds,
    plan::{Overlay, Plan, PlanOptions, Root},
};

use super::{
    definition::{Definition, Source},
    files,
    links::{self, Linked},
    log_config, mounts, network,
    state::{Failure, Kit},
};
use crate::{
    Engine, Error, Kind, Result,
    error::Context,
    network::{Place, join::Joining},
    rootfs::Layers,
    spec::{self, Joined, Shared},
    users,
};

/// A start that failed: what the caller is told, and what is noted of the container.
pub(super) struct Refused {
    pub(super) failure: Failure,
    pub(super) error: Error,
}

/// Everything a monitor needs, before it exists. Dropped, it takes its cgroup away again.
pub(super) struct Prepared {
    launch: Launch,
    process: Option<Process>,
    group: Group,
    directory: Option<OwnedFd>,
    tasks: Vec<OwnedFd>,
    oom_watch: Option<OomWatch>,
    oom_counter: Option<OwnedFd>,
    networks: Option<Joining>,
}

impl Prepared {
    /// Runs on a blocking thread.
    pub(super) fn prepare(
        engine: &Engine,
        definition: &Arc<Definition>,
        size: Option<Size>,
    ) -> Result<Prepared, Refused> {
        let linked = links::of(engine, definition)?;
        let networks = networks(engine, definition, &linked)?;
        let root = overlay(engine, definition);
        let mut spec = write_spec(engine, definition, &root)?;
        links::tell(&mut spec, definition.tty(), &linked);
        if networks.is_some() {
            spec::leave_out_network_defaults(&mut spec);
        }
        let resources = spec
            .linux()
            .as_ref()
            .and_then(|linux| linux.resources().as_ref());
        let limits = match resources {
            Some(resources) => engine.limits(resources)?,
            None => proa_kernel::cgroup::Limits::default(),
        };
        let path = cgroup_path(definition)?;
        let cgroup = engine
            .cgroups
            .create(&path, &limits)
            .context(|| "make the container's cgroup".into())?;
        let group = Group::new(cgroup);
        let entrance = group.cgroup().entrance();
        let (directory, tasks) = entrance
            .context(|| "open the container's cgroup".into())?
            .into_parts();
        let oom_watch = match limits.memory.limit {
            Some(limit) if limit > 0 => group.cgroup().watch_oom().ok(),
            Some(_) | None => None,
        };
        let mut plan = plan(engine, definition, &spec, root, group.cgroup(), size)?;
        if networks.is_some() {
            plan.namespaces.give(Namespaces::NET);
        }
        let launch = Launch {
            id: definition.id.to_string(),
            run_dir: engine.paths.run_container(&definition.id),
            plan,
            stdin: stdin(definition),
            log: log_config::sink(engine, definition)?,
            cgroup: Some(path.as_str().to_owned()),
        };
        forget_last_run(&launch.run_dir);
        let oom_counter = oom_counter(group.cgroup());
        Ok(Prepared {
            launch,
            process: spec.process().clone(),
            group,
            directory,
            tasks,
            oom_watch,
            oom_counter,
            networks,
        })
    }

    /// Has it done.
    pub(super) fn hand_to(
        &self,
        keeper: &Keeper,
        attaches: &[(Streams, BorrowedFd<'_>)],
    ) -> std::io::Result<Monitor> {
        let tasks: Vec<_> = self.tasks.iter().map(AsFd::as_fd).collect();
        let network = self.networks.as_ref().map(Joining::namespace);
        let namespaces: Vec<_> = network
            .into_iter()
            .map(|fd| (Namespaces::NET.bits(), fd))
            .collect();
        let fds = LaunchFds {
            attaches,
            cgroup: self.directory.as_ref().map(AsFd::as_fd),
            cgroup1_tasks: &tasks,
            namespaces: &namespaces,
            oom_watch: self.oom_watch.as_ref().map(AsFd::as_fd),
            oom_counter: self.oom_counter.as_ref().map(AsFd::as_fd),
        };
        keeper.launch(&self.launch, &fds)
    }

    /// The start succeeded: the cgroup and the place in the networks belong to what runs.
    pub(super) fn into_running(self) -> (Arc<Cgroup>, Arc<OnceLock<Kit>>, Arc<Place>) {
        let kit = OnceLock::new();
        if let Some(process) = self.process {
            // It was empty.
            let _ = kit.set(Kit {
                plan: self.launch.plan,
                process,
            });
        }
        let place = self.networks.map(Joining::keep).unwrap_or_default();
        (self.group.keep(), Arc::new(kit), place)
    }
}

/// Joins the container's networks, if it has any, and writes down where it is.
fn networks(
    engine: &Engine,
    definition: &Arc<Definition>,
    linked: &[Linked],
) -> Result<Option<Joining>> {
    let Some(mut joining) = Joining::begin(engine, definition)? else {
        return Ok(None);
    };
    let place = joining.place();
    if place.joints.is_empty() {
        return Ok(Some(joining));
    }
    network::write(&engine.paths.run_container(&definition.id), place)?;
    let folder = engine.paths.container(&definition.id);
    let around = engine.config().host_gateway;
    files::join(&folder, definition, place, linked, around)
        .context(|| format!("write the files of container {}", definition.id))?;
    joining.hold()?;
    Ok(Some(joining))
}

/// A cgroup that goes away again unless it is kept.
struct Group {
    cgroup: Arc<Cgroup>,
    kept: bool,
}

impl Group {
    fn new(cgroup: Cgroup) -> Self {
        Group {
            cgroup: Arc::new(cgroup),
            kept: false,
        }
    }

    fn cgroup(&self) -> &Cgroup {
        &self.cgroup
    }

    fn keep(mut self) -> Arc<Cgroup> {
        self.kept = true;
        Arc::clone(&self.cgroup)
    }
}

impl Drop for Group {
    fn drop(&mut self) {
        if self.kept {
            return;
        }
        if let Err(error) = self
            .cgroup
            .kill_and_wait()
            .and_then(|()| self.cgroup.delete())
        {
            tracing::warn!(path = self.cgroup.path().as_str(), %error, "taking back a cgroup failed");
        }
    }
}

/// The file that counts kills for want of memory.
fn oom_counter(cgroup: &Cgroup) -> Option<OwnedFd> {
    let file = match cgroup.hierarchy().version() {
        Version::V2 => cgroup.unified_directory()?.join("memory.events"),
        Version::V1 | Version::Hybrid => cgroup
            .v1_directory(Controller::Memory)?
            .join("memory.oom_control"),
    };
    std::fs::File::open(file).ok().map(OwnedFd::from)
}

impl Refused {
    /// The words of Docker's start, with the exit code they mean.
    pub(super) fn from_start(error: &StartError, definition: &Definition) -> Self {
        let code = error.exit_code();
        let command = definition.command.first().map_or("", String::as_str);
        let reason = match (error.step, code) {
            (Step::Execute, 127) if !command.contains('/') => {
                format!("exec: {command:?}: executable file not found in $PATH")
            }
            (Step::Execute, 127) => {
                format!("exec: {command:?}: stat {command}: no such file or directory")
            }
            (Step::Execute, _) => format!("exec: {command:?}: {}", reason_of(error)),
            _ => error.to_string(),
        };
        // A directory on a file, or the other way round.
        let mounting = matches!(error.step, Step::Mount | Step::MountSource)
            && binds(definition, &error.object);
        let (code, hint) = if mounting && matches!(error.errno, NOTDIR | INVAL) {
            (
                127,
                ": Are you trying to mount a directory onto a file (or vice-versa)? Check if the specified host path exists and is the expected type",
            )
        } else {
            (code, "")
        };
        let message = format!(
            "failed to create task for container: unable to start container process: {reason}{hint}"
        );
        let kind = if code == 128 && !is_users_fault(error) {
            Kind::Internal
        } else {
            Kind::BadParameter
        };
        Refused {
            failure: Failure {
                code,
                error: message.clone(),
            },
            error: Error::new(kind, message),
        }
    }
}

/// `ENOTDIR` and `EINVAL`, the same on every architecture.
const NOTDIR: i32 = 20;
const INVAL: i32 = 22;

/// Whether this is where a path of the host is mounted.
fn binds(definition: &Definition, place: &str) -> bool {
    definition.mounts.iter().any(|mount| match &mount.what {
        Source::Bind { .. } | Source::Volume { .. } | Source::Image { .. } => mount.target == place,
        Source::Tmpfs { .. } => false,
    })
}

/// A mount that cannot be made is what was asked for, not what failed here.
fn is_users_fault(error: &StartError) -> bool {
    matches!(
        error.step,
        Step::Mount
            | Step::MountSource
            | Step::Sysctl
            | Step::WorkingDirectory
            | Step::Limit
            | Step::Device
    )
}

fn reason_of(error: &StartError) -> String {
    let text = error.to_string();
    text.rsplit(": ").next().unwrap_or(&text).to_owned()
}

/// An exit record of the last run would be taken for this one's.
fn forget_last_run(run_dir: &Path) {
    for name in ["exit", "monitor.sock"] {
        // Usually there is none.
        let _ = std::fs::remove_file(run_dir.join(name));
    }
}

fn stdin(definition: &Definition) -> Stdin {
    match (definition.config.open_stdin, definition.config.stdin_once) {
        (false, _) => Stdin::Null,
        (true, false) => Stdin::Open,
        (true, true) => Stdin::Once,
    }
}

/// Where the container's root comes from.
pub(crate) fn overlay(engine: &Engine, definition: &Definition) -> Overlay {
    let folder = engine.paths.container(&definition.id);
    Overlay {
        lowers: definition
            .lowers
            .iter()
            .cloned()
            .chain([engine.paths.ground()])
            .collect(),
        upper: folder.join("upper"),
        work: folder.join("work"),
        volatile: definition.auto_remove(),
    }
}

/// Its cgroup, below the engine's base.
pub(crate) fn cgroup_path(definition: &Definition) -> Result<CgroupPath> {
    let parent = definition.host.cgroup_parent.trim_start_matches('/');
    let parent = if parent.is_empty() { "proa" } else { parent };
    format!("{parent}/{}", definition.id)
        .parse()
        .map_err(|error| Error::bad(format!("{error}")))
}

/// The runtime spec, from the definition and what the host and the root say today.
pub(crate) fn write_spec(engine: &Engine, definition: &Definition, root: &Overlay) -> Result<Spec> {
    let layers =
        Layers::new(std::iter::once(root.upper.clone()).chain(root.lowers.iter().cloned()));
    let models = definition.models()?;
    let (config, host) = &*models;
    let groups = definition.host.group_add.as_deref().unwrap_or_default();
    let folder = engine.paths.container(&definition.id);
    let cgroup = cgroup_path(definition)?;
    let refused = |error: spec::SpecError| Error::bad(error.to_string());
    let id_maps = definition.ids.map(spec::IdMaps::of).transpose();
    let id_maps = id_maps.map_err(refused)?;
    let input = spec::Input {
        id: definition.id.as_str(),
        config,
        host,
        args: &definition.command,
        user: users::find(&layers, &definition.config.user, groups)?,
        mounts: &mounts::ready(engine, definition)?,
        files: &files::paths(&folder),
        joined: &joined(engine, definition)?,
        cgroup: Path::new(cgroup.as_str()),
        devices: &engine.devices(host)?,
        // Compiled apart, see [`Engine::filter`].
        seccomp: None,
        id_maps: id_maps.as_ref(),
        machine: &engine.host.machine,
        root: &PathBuf::from("rootfs"),
    };
    spec::build(&input).map_err(refused)
}

pub(crate) fn plan(
    engine: &Engine,
    definition: &Definition,
    spec: &Spec,
    root: Overlay,
    cgroup: &Cgroup,
    size: Option<Size>,
) -> Result<Plan> {
    let options = PlanOptions {
        id: definition.id.to_string(),
        root: Some(Root::Overlay(root)),
        seccomp: engine.filter(definition)?,
        cgroup: engine.cgroup_view(cgroup),
        reaper: definition.host.init == Some(true),
        console_size: size.map(|size| (size.rows, size.columns)),
        ..PlanOptions::default()
    };
    Plan::new(spec, options).map_err(|error| Error::bad(error.to_string()))
}

/// Namespaces of the host or of another container.
fn joined(engine: &Engine, definition: &Definition) -> Result<Joined> {
    let host = &definition.host;
    let of = |mode: &str, kind: &str, words: &str| -> Result<Shared> {
        match mode.strip_prefix("container:") {
            Some(other) => Ok(Shared::Path(namespace_of(engine, other, kind, words)?)),
            None if mode == "host" => Ok(Shared::Host),
            None => Ok(Shared::Own),
        }
    };
    let network = of(&host.network_mode, "net", "network")?;
    // A host name of one's own in the host's network is allowed; the UTS namespace stays apart unless asked for.
    Ok(Joined {
        ipc: of(&host.ipc_mode, "ipc", "IPC")?,
        shm: shm_of(engine, definition)?,
        pid: of(&host.pid_mode, "pid", "PID")?,
        uts: of(&host.uts_mode, "uts", "UTS")?,
        network,
    })
}

/// Another container's namespace, by its first process.
fn namespace_of(engine: &Engine, other: &str, kind: &str, words: &str) -> Result<PathBuf> {
    let container = engine.container(other)?;
    let seen = container.seen();
    let running = seen.state.live().ok_or_else(|| {
        let id = container.id();
        Error::conflict(format!(
            "cannot join {words} of a non running container: {id}"
        ))
    })?;
    Ok(PathBuf::from(format!("/proc/{}/ns/{kind}", running.pid)))
}

/// The memory shared through `/dev/shm`: another container's, or one's own that others may join.
fn shm_of(engine: &Engine, definition: &Definition) -> Result<Option<PathBuf>> {
    let mode = definition.host.ipc_mode.as_str();
    if mode == "shareable" {
        return super::shm::make(engine, definition).map(Some);
    }
    match mode.strip_prefix("container:") {
        Some(other) => super::shm::of(engine, &engine.container(other)?).map(Some),
        None => Ok(None),
    }
}
