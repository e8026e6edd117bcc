//! Starting an exec: its process section from the container's, its plan, its streams.

use std::{os::fd::AsFd, sync::Arc, time::Duration};

use bytes::{Bytes, BytesMut};
use futures_util::stream::{self, StreamExt};
use oci_spec::runtime::{Process, UserBuilder};
use proa_protocol::{ExecStartBody, stream as frames};
use proa_runtime::{
    StartError, Step,
    client::{ExecLaunch, Refusal, Reply, Streams},
    plan::ExecPlan,
};
use tokio::sync::Notify;

use super::{Exec, Progress, words};
use crate::{
    Container, Engine, Error, Kind, Result,
    container::{
        attach::{Attached, Input, read_until, socket_pair},
        detach::DetachKeys,
        launch, links,
        state::{Kit, Running, State},
    },
    error::Context,
    rootfs::Layers,
    spec, users,
};

/// How long after the end of its output an exec's exit may still be on its way.
const SETTLING: Duration = Duration::from_secs(5);

impl Exec {
    /// Starts it with its output to be read and its input to be written by the caller.
    pub async fn start_attached(&self, config: ExecStartBody) -> Result<Attached> {
        let record = &self.0.record.body;
        let keys = DetachKeys::parse(Some(&record.detach_keys))?;
        let streams = Streams {
            stdout: record.attach_stdout,
            stderr: record.attach_stderr,
        };
        let running = self.claim()?;
        let started = self
            .start(running, config, streams, record.attach_stdin)
            .await;
        let tty = record.tty;
        match started {
            Ok((output, stdin)) => {
                let detached = Arc::new(Notify::new());
                let keys = tty.then_some(keys);
                let input = stdin
                    .map(|fd| Input::of_exec(fd, keys, Arc::clone(&detached)))
                    .transpose();
                let input = input.context(|| "attach to the exec's standard input".into())?;
                let output = read_until(output, detached);
                let exec = self.clone();
                let settled = stream::once(async move { exec.settle().await })
                    .filter_map(|()| async { None });
                Ok(Attached {
                    tty,
                    output: output.chain(settled).boxed(),
                    input,
                })
            }
            // The connection is the client's by now: it reads the reason there, as from Docker.
            Err(failed) if failed.kind() == Kind::BadParameter => {
                let text = format!("{}\r\n", failed.told());
                Ok(Attached {
                    tty,
                    output: stream::iter([Ok(framed(&text, tty))]).boxed(),
                    input: None,
                })
            }
            Err(failed) => Err(failed),
        }
    }

    /// Starts it and leaves it alone.
    pub async fn start_detached(&self, config: ExecStartBody) -> Result<()> {
        let running = self.claim()?;
        let none = Streams {
            stdout: false,
            stderr: false,
        };
        self.start(running, config, none, false).await.map(|_| ())
    }

    /// It is started once.
    fn claim(&self) -> Result<Running> {
        let id = self.id();
        let container = &self.0.container;
        let seen = container.seen();
        if matches!(seen.state, State::Paused(_)) {
            let id = container.id();
            return Err(Error::conflict(format!(
                "Container {id} is paused, unpause the container before exec"
            )));
        }
        let running = seen.state.running(container.id().as_str())?.clone();
        let mut refused = None;
        self.0.progress.send_if_modified(|progress| {
            refused = match progress {
                Progress::Created => None,
                Progress::Starting | Progress::Running { .. } => {
                    Some(format!("exec {id} is already running"))
                }
                Progress::Ended { .. } => Some(format!("exec {id} has already run")),
            };
            if refused.is_none() {
                *progress = Progress::Starting;
            }
            refused.is_none()
        });
        refused.map_or(Ok(running), |words| Err(Error::conflict(words)))
    }

    /// Goes on when the caller goes away: what was claimed is started, or has failed.
    async fn start(
        &self,
        running: Running,
        config: ExecStartBody,
        streams: Streams,
        stdin: bool,
    ) -> Result<(tokio::net::UnixStream, Option<std::os::fd::OwnedFd>)> {
        let exec = self.clone();
        let start = tokio::spawn(async move {
            let outcome = exec.start_phases(&running, config, streams, stdin).await;
            exec.settle_start(outcome.is_err());
            outcome
        });
        let outcome = start.await.context(|| format!("start exec {}", self.id()));
        self.settle_start(outcome.is_err());
        outcome?
    }

    /// A start that failed must not look as if it were under way.
    fn settle_start(&self, failed: bool) {
        if failed && *self.0.progress.borrow() == Progress::Starting {
            self.end(126);
        }
    }

    async fn start_phases(
        &self,
        running: &Running,
        config: ExecStartBody,
        streams: Streams,
        stdin: bool,
    ) -> Result<(tokio::net::UnixStream, Option<std::os::fd::OwnedFd>)> {
        let container = &self.0.container;
        let engine = container.engine()?;
        // Told first, as Docker does: the exec may have ended before its start is known here.
        let command = words(&self.0.record.body);
        let exec = ("execID", self.id().to_string());
        container.tell(&format!("exec_start: {command}"), &[exec]);
        let plan = self.plan(&engine, running, &config)?;
        let (ours, theirs) = socket_pair()?;
        let launch = ExecLaunch {
            id: self.id().to_string(),
            plan,
            stdin,
            streams,
        };
        let wants_output = streams.stdout || streams.stderr;
        let attach = wants_output.then(|| theirs.as_fd());
        match running.link.exec(&launch, attach).await? {
            Ok((Reply::ExecStarted { pid }, fd)) => {
                self.0.progress.send_modify(|progress| {
                    // Its end may have been told already.
                    if *progress == Progress::Starting {
                        *progress = Progress::Running { pid };
                    }
                });
                Ok((ours, fd))
            }
            Ok((_, _)) => Err(Error::internal(
                "start an exec: the monitor's answer is not understood",
            )),
            Err(Refusal::Start(error)) => {
                // What fails before the command is tried counts as "cannot be run".
                self.end(if error.exit_code() == 127 { 127 } else { 126 });
                Err(failed(
                    &error,
                    &self
                        .0
                        .record
                        .body
                        .cmd
                        .as_deref()
                        .unwrap_or_default()
                        .first()
                        .cloned(),
                ))
            }
            Err(Refusal::NotRunning) => {
                let id = container.id();
                Err(Error::conflict(format!("container {id} is not running")))
            }
            Err(refusal) => Err(Error::internal("start an exec").with(refusal)),
        }
    }

    fn plan(&self, engine: &Engine, running: &Running, config: &ExecStartBody) -> Result<ExecPlan> {
        let kit = kit(engine, &self.0.container, running)?;
        let process = self.process(engine, kit, config)?;
        ExecPlan::new(&kit.plan, &process, None).map_err(|error| Error::bad(error.to_string()))
    }

    /// The container's own process section with what the exec says instead.
    fn process(&self, engine: &Engine, kit: &Kit, config: &ExecStartBody) -> Result<Process> {
        let body = &self.0.record.body;
        let definition = self.0.container.seen().definition;
        let mut process = kit.process.clone();
        process.set_args(Some(body.cmd.as_deref().unwrap_or_default().to_vec()));
        process.set_terminal(Some(body.tty));
        let size = config
            .console_size
            .or(body.console_size)
            .filter(|_| body.tty);
        process.set_console_size(match size {
            Some([height, width]) => {
                let size = oci_spec::runtime::BoxBuilder::default()
                    .height(height)
                    .width(width)
                    .build();
                Some(size.map_err(|error| Error::bad(error.to_string()))?)
            }
            None => None,
        });
        if !body.working_dir.is_empty() {
            process.set_cwd(body.working_dir.clone().into());
        }
        let mut home = None;
        if !body.user.is_empty() {
            let user = self.user(engine)?;
            home.clone_from(&user.home);
            let built = UserBuilder::default()
                .uid(user.uid)
                .gid(user.gid)
                .additional_gids(user.additional_gids)
                .build()
                .map_err(|error| Error::bad(error.to_string()))?;
            process.set_user(built);
        }
        let wanted: Vec<String> = [&definition.config.env, &body.env]
            .into_iter()
            .flatten()
            .flatten()
            .cloned()
            .collect();
        let mut env = spec::environment(&definition.config.hostname, body.tty, &wanted);
        // One that has ended since has no address to tell.
        let linked = links::of(engine, &definition).unwrap_or_default();
        links::insert(&mut env, body.tty, &linked);
        if !env.iter().any(|entry| entry.starts_with("HOME=")) {
            let old = kit
                .process
                .env()
                .iter()
                .flatten()
                .find(|entry| entry.starts_with("HOME="))
                .cloned();
            env.extend(home.map(|home| format!("HOME={home}")).or(old));
        }
        process.set_env(Some(env));
        if body.privileged {
            let all =
                spec::effective_capabilities(&[], &[], true, &engine.host.machine.capabilities)
                    .and_then(|held| spec::capability_sets(&held))
                    .map_err(|error| Error::bad(error.to_string()))?;
            process.set_capabilities(Some(all));
        }
        Ok(process)
    }

    fn user(&self, engine: &Engine) -> Result<spec::User> {
        let definition = self.0.container.seen().definition;
        let root = launch::overlay(engine, &definition);
        let layers = Layers::new(std::iter::once(root.upper).chain(root.lowers));
        users::find(
            &layers,
            &self.0.record.body.user,
            definition.host.group_add.as_deref().unwrap_or_default(),
        )
    }

    /// Waits until the exit is known, so that a client that asks after the end of the output is told.
    async fn settle(&self) {
        let mut progress = self.0.progress.subscribe();
        let ended = progress.wait_for(|progress| matches!(progress, Progress::Ended { .. }));
        // A process may close its output and go on.
        let _ = tokio::time::timeout(SETTLING, ended).await;
    }
}

/// What execs are made from; written anew where this process did not start the container.
fn kit<'a>(engine: &Engine, container: &Container, running: &'a Running) -> Result<&'a Kit> {
    if running.kit.get().is_none() {
        let definition = container.seen().definition;
        let root = launch::overlay(engine, &definition);
        let spec = launch::write_spec(engine, &definition, &root)?;
        let plan = launch::plan(engine, &definition, &spec, root, &running.cgroup, None)?;
        let process = spec
            .process()
            .clone()
            .ok_or_else(|| Error::internal("the spec has no process"))?;
        // Somebody may have been faster.
        let _ = running.kit.set(Kit { plan, process });
    }
    running
        .kit
        .get()
        .ok_or_else(|| Error::internal("the container's plan is gone"))
}

/// Docker's words of an exec that could not be started.
fn failed(error: &StartError, command: &Option<String>) -> Error {
    let command = command.as_deref().unwrap_or_default();
    let reason = match (error.step, error.exit_code()) {
        (Step::Execute, 127) if !command.contains('/') => {
            format!("exec: {command:?}: executable file not found in $PATH")
        }
        (Step::Execute, 127) => {
            format!("exec: {command:?}: stat {command}: no such file or directory")
        }
        (Step::Execute, _) => {
            let text = error.to_string();
            format!(
                "exec: {command:?}: {}",
                text.rsplit(": ").next().unwrap_or(&text)
            )
        }
        _ => error.to_string(),
    };
    Error::bad(format!(
        "OCI runtime exec failed: exec failed: unable to start container process: {reason}"
    ))
}

fn framed(text: &str, tty: bool) -> Bytes {
    if tty {
        return Bytes::copy_from_slice(text.as_bytes());
    }
    let mut bytes = Vec::new();
    frames::encode(frames::Stream::Stdout, text.as_bytes(), &mut bytes);
    BytesMut::from(&bytes[..]).freeze()
}
