//! `create` and `run`.

use std::fs;
use std::os::fd::AsFd as _;
use std::path::{Path, PathBuf};

use oci_spec::runtime::Spec;
use proa_kernel::cgroup::Cgroup;
use proa_kernel::message;
use proa_runtime::init::{self, SpawnFds, Spawned};
use proa_runtime::plan::{Plan, PlanOptions, Root};
use proa_runtime::seccomp;

use super::arguments::{CreateArguments, DeleteArguments, Globals, RunArguments};
use super::error::OciError;
use super::store::{Folder, Record, read_spec, write_whole};
use super::{console, delete, group, start, state};

/// Makes a container whose command waits for `start`.
pub(super) fn create(globals: &Globals, arguments: &CreateArguments) -> Result<(), OciError> {
    make(globals, arguments, false).map(drop)
}

/// Makes a container, starts it and, unless detached, stays with it and takes it away in the end.
pub(super) fn run(globals: &Globals, arguments: &RunArguments) -> Result<u8, OciError> {
    let signals = console::forwarded();
    if !arguments.detach {
        signals
            .block_only()
            .map_err(OciError::io("block signals"))?;
    }
    let spawned = make(globals, &arguments.create, !arguments.detach)?;
    let id = &arguments.create.id;
    let forget = || {
        delete::delete(
            globals,
            &DeleteArguments {
                force: true,
                id: id.clone(),
            },
        )
    };
    if let Err(error) = start::start(globals, id) {
        forget()?;
        return Err(error);
    }
    if arguments.detach {
        return Ok(0);
    }
    let ended = console::accompany(&spawned.pidfd, spawned.console_master)?;
    if !arguments.keep {
        forget()?;
    }
    Ok(u8::try_from(ended.code()).unwrap_or(u8::MAX))
}

/// Everything of a container that is being made; what is not kept in the end is taken away again.
struct Making<'a> {
    folder: Folder,
    cgroup: Option<Cgroup>,
    arguments: &'a CreateArguments,
    kept: bool,
}

impl Drop for Making<'_> {
    fn drop(&mut self) {
        if self.kept {
            return;
        }
        if let Some(cgroup) = &self.cgroup {
            let _ = cgroup.kill_and_wait();
            let _ = cgroup.delete();
        }
        let _ = self.folder.remove();
    }
}

fn make(
    globals: &Globals,
    arguments: &CreateArguments,
    attended: bool,
) -> Result<Spawned, OciError> {
    let bundle = fs::canonicalize(&arguments.bundle)
        .map_err(OciError::file("open bundle", &arguments.bundle))?;
    let spec = read_spec(&bundle.join("config.json"))?;
    let folder = Folder::make(globals, &arguments.id)?;
    let mut making = Making {
        folder,
        cgroup: None,
        arguments,
        kept: false,
    };
    making.folder.keep_spec(&bundle)?;
    let path = group::path(&spec, &arguments.id, globals.systemd_cgroup)?;
    let cgroup = group::create(&spec, &path)?;
    making.cgroup = Some(cgroup.clone());
    let plan = plan(&spec, arguments, &bundle, &cgroup)?;
    if plan.process.terminal.is_some() && arguments.console_socket.is_none() && !attended {
        return Err(OciError::NoConsoleSocket);
    }
    let mut spawned = making.spawn(&plan, &cgroup)?;
    making.record(&spec, &plan, &bundle, &cgroup, spawned.pid)?;
    if let (Some(socket), Some(master)) = (&arguments.console_socket, spawned.console_master.take())
    {
        console::send(socket, &master)?;
    }
    if let Some(file) = &arguments.pid_file {
        write_whole(file, spawned.pid.to_string().as_bytes())?;
    }
    making.kept = true;
    Ok(spawned)
}

impl Making<'_> {
    fn spawn(&self, plan: &Plan, cgroup: &Cgroup) -> Result<Spawned, OciError> {
        let (_folder, path) = self.folder.gate()?;
        let gate = message::listen(&path).map_err(OciError::file("listen at", &path))?;
        let entrance = cgroup.entrance()?;
        let fds = SpawnFds {
            cgroup: entrance.into_cgroup(),
            cgroup1_tasks: console::tasks(&entrance),
            preserve: self.arguments.preserve_fds + listen_fds(),
            gate: Some(gate.as_fd()),
            ..SpawnFds::default()
        };
        Ok(init::spawn(plan, &fds)?)
    }

    fn record(
        &self,
        spec: &Spec,
        plan: &Plan,
        bundle: &Path,
        cgroup: &Cgroup,
        pid: i32,
    ) -> Result<(), OciError> {
        let rootfs = match &plan.root {
            Root::Plain(path) => path.clone(),
            Root::Overlay(_) => PathBuf::new(),
        };
        self.folder.write_record(&Record {
            id: self.arguments.id.clone(),
            bundle: bundle.to_owned(),
            rootfs,
            created: jiff::Timestamp::now().to_string(),
            pid,
            start_time: state::start_time(pid).unwrap_or(0),
            started: false,
            cgroup: cgroup.path().as_str().to_owned(),
            namespaces: plan.namespaces.own_kinds().bits(),
            annotations: spec
                .annotations()
                .clone()
                .unwrap_or_default()
                .into_iter()
                .collect(),
        })
    }
}

fn plan(
    spec: &Spec,
    arguments: &CreateArguments,
    bundle: &Path,
    cgroup: &Cgroup,
) -> Result<Plan, OciError> {
    let section = spec
        .linux()
        .as_ref()
        .and_then(|linux| linux.seccomp().as_ref());
    let options = PlanOptions {
        id: arguments.id.clone(),
        bundle: bundle.to_owned(),
        seccomp: section.map(seccomp::compile).transpose()?,
        cgroup: group::view(cgroup)?,
        keep_keyring: arguments.no_new_keyring,
        no_pivot: arguments.no_pivot,
        ..PlanOptions::default()
    };
    Ok(Plan::new(spec, options)?)
}

/// Descriptors that a service manager hands down with `LISTEN_FDS`.
fn listen_fds() -> u32 {
    std::env::var("LISTEN_FDS")
        .ok()
        .and_then(|count| count.parse().ok())
        .unwrap_or(0)
}
