//! `exec`.

use std::fs;

use oci_spec::runtime::{Capability, LinuxCapabilities, Process, Spec, User};
use proa_kernel::namespace::Namespaces;
use proa_kernel::process;
use proa_runtime::init::{self, SpawnFds};
use proa_runtime::plan::ExecPlan;
use proa_runtime::seccomp;

use super::arguments::{ExecArguments, Globals};
use super::error::OciError;
use super::state::{self, PAUSED, RUNNING};
use super::store::{Folder, Record, write_whole};
use super::{console, group};

/// Runs a further process in a container.
pub(super) fn exec(globals: &Globals, arguments: &ExecArguments) -> Result<u8, OciError> {
    let folder = Folder::open(globals, &arguments.id)?;
    let record = folder.record(&arguments.id)?;
    match state::status(&record) {
        RUNNING => {}
        PAUSED if arguments.ignore_paused => {}
        status => {
            return Err(OciError::Status {
                verb: "exec in",
                status,
            });
        }
    }
    let spec = folder.spec()?;
    let plan = plan(&spec, &record, arguments)?;
    if plan.process.terminal.is_some() && arguments.console_socket.is_none() && arguments.detach {
        return Err(OciError::NoConsoleSocket);
    }
    if !arguments.detach {
        console::forwarded()
            .block_only()
            .map_err(OciError::io("block signals"))?;
    }
    let pidfd =
        process::open(record.pid).map_err(OciError::io("open the container's first process"))?;
    let entrance = group::open(&record)?.entrance()?;
    let fds = SpawnFds {
        cgroup: entrance.into_cgroup(),
        cgroup1_tasks: console::tasks(&entrance),
        preserve: arguments.preserve_fds,
        ..SpawnFds::default()
    };
    let mut spawned = init::spawn_exec(&plan, std::os::fd::AsFd::as_fd(&pidfd), &fds)?;
    if let Some(socket) = &arguments.console_socket
        && let Some(master) = spawned.console_master.take()
    {
        console::send(socket, &master)?;
    }
    if let Some(file) = &arguments.pid_file {
        write_whole(file, spawned.pid.to_string().as_bytes())?;
    }
    if arguments.detach {
        return Ok(0);
    }
    let ended = console::accompany(&spawned.pidfd, spawned.console_master)?;
    Ok(u8::try_from(ended.code()).unwrap_or(u8::MAX))
}

fn plan(spec: &Spec, record: &Record, arguments: &ExecArguments) -> Result<ExecPlan, OciError> {
    let process = match &arguments.process {
        Some(path) => {
            let bytes = fs::read(path).map_err(OciError::file("read", path))?;
            serde_json::from_slice(&bytes).map_err(|source| OciError::Json {
                path: path.clone(),
                source,
            })?
        }
        None => from_flags(spec, arguments)?,
    };
    let section = spec
        .linux()
        .as_ref()
        .and_then(|linux| linux.seccomp().as_ref());
    let filter = section.map(seccomp::compile).transpose()?;
    Ok(ExecPlan::in_namespaces(
        Namespaces::from_bits(record.namespaces),
        &process,
        filter,
    )?)
}

/// The container's process section, changed by the flags.
fn from_flags(spec: &Spec, arguments: &ExecArguments) -> Result<Process, OciError> {
    let mut process = spec.process().clone().unwrap_or_default();
    process.set_args(Some(arguments.command.clone()));
    process.set_terminal(Some(arguments.tty));
    if let Some(cwd) = &arguments.cwd {
        process.set_cwd(cwd.clone());
    }
    let mut env = process.env().clone().unwrap_or_default();
    env.extend(arguments.env.iter().cloned());
    process.set_env(Some(env));
    if let Some(user) = &arguments.user {
        process.set_user(parse_user(user)?);
    }
    if !arguments.additional_gids.is_empty() {
        let mut user = process.user().clone();
        user.set_additional_gids(Some(arguments.additional_gids.clone()));
        process.set_user(user);
    }
    if arguments.no_new_privs {
        process.set_no_new_privileges(Some(true));
    }
    if arguments.apparmor.is_some() {
        process.set_apparmor_profile(arguments.apparmor.clone());
    }
    if arguments.process_label.is_some() {
        process.set_selinux_label(arguments.process_label.clone());
    }
    if !arguments.cap.is_empty() {
        let sets = process.capabilities().clone().unwrap_or_default();
        process.set_capabilities(Some(with_capabilities(sets, &arguments.cap)?));
    }
    Ok(process)
}

fn parse_user(text: &str) -> Result<User, OciError> {
    let bad = || OciError::Value {
        what: "user",
        value: text.to_owned(),
    };
    let (uid, gid) = text.split_once(':').unwrap_or((text, "0"));
    let mut user = User::default();
    user.set_uid(uid.parse().map_err(|_| bad())?)
        .set_gid(gid.parse().map_err(|_| bad())?);
    Ok(user)
}

fn with_capabilities(
    mut sets: LinuxCapabilities,
    names: &[String],
) -> Result<LinuxCapabilities, OciError> {
    for name in names {
        let capability: Capability =
            serde_json::from_value(name.as_str().into()).map_err(|_| OciError::Value {
                what: "capability",
                value: name.clone(),
            })?;
        let add = |set: &Option<oci_spec::runtime::Capabilities>| {
            let mut set = set.clone().unwrap_or_default();
            set.insert(capability);
            Some(set)
        };
        let (bounding, effective, permitted) = (
            add(sets.bounding()),
            add(sets.effective()),
            add(sets.permitted()),
        );
        sets.set_bounding(bounding)
            .set_effective(effective)
            .set_permitted(permitted);
    }
    Ok(sets)
}
