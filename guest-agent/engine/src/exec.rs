//! Execs: further processes in a running container.
//!
//! ```text
//! Created ──start──▶ Running ──exit──▶ Ended
//!    └── start fails ─────────────────────▲
//! ```
//! What was asked for is written beside the container's running state, so that a new `serve` knows it.

mod start;

use std::{
    collections::HashMap,
    fs,
    path::{Path, PathBuf},
    sync::{Arc, Mutex},
    time::Duration,
};

use proa_protocol::{ExecCreateBody, ExecCreateResponse, ExecInspect, ProcessConfig, Words};
use proa_runtime::client::{self, Request, Size, Target};
use serde::{Deserialize, Serialize};
use tokio::sync::watch;

use crate::{
    Container, Engine, Error, Result,
    container::{definition::Definition, detach::DetachKeys, state::State},
    engine::lock,
    error::Context,
    id::Id,
};

/// How long an exec that ended is remembered, as Docker does.
const REMEMBERED: Duration = Duration::from_secs(300);

/// Exit code of an exec that went with its container.
const LOST: i32 = 137;

/// Every exec of the engine.
#[derive(Default)]
pub(crate) struct Execs(Mutex<HashMap<Id, Exec>>);

/// A handle to one exec.
#[derive(Clone)]
pub struct Exec(Arc<Shared>);

struct Shared {
    record: Record,
    container: Container,
    progress: watch::Sender<Progress>,
}

/// What was asked for.
#[derive(Clone, Debug, Serialize, Deserialize)]
struct Record {
    id: Id,
    body: ExecCreateBody,
}

/// How far it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Progress {
    Created,
    Starting,
    Running { pid: u32 },
    Ended { code: i32, pid: u32 },
}

impl Container {
    /// Prepares a further process in it.
    pub async fn exec(&self, body: ExecCreateBody) -> Result<ExecCreateResponse> {
        let engine = self.engine()?;
        let seen = self.seen();
        let id = self.id();
        if matches!(seen.state, State::Paused(_)) {
            return Err(Error::conflict(format!(
                "Container {id} is paused, unpause the container before exec"
            )));
        }
        seen.state.running(id.as_str())?;
        DetachKeys::parse(Some(&body.detach_keys))?;
        let exec = Id::random().context(|| "make an id".into())?;
        let record = Record {
            id: exec.clone(),
            body,
        };
        let folder = records(&engine.paths.run_container(id));
        write(&folder, &record).context(|| format!("write down exec {exec}"))?;
        let command = words(&record.body);
        engine.execs.insert(self.clone(), record, Progress::Created);
        self.tell(
            &format!("exec_create: {command}"),
            &[("execID", exec.to_string())],
        );
        Ok(ExecCreateResponse {
            id: exec.to_string(),
        })
    }
}

impl Engine {
    /// An exec by its id.
    pub fn exec(&self, id: &str) -> Result<Exec> {
        let missing = || Error::not_found(format!("No such exec instance: {id}"));
        let execs = lock(&self.execs.0);
        if let Some(exec) = execs.get(id) {
            return Ok(exec.clone());
        }
        let mut matching = execs
            .iter()
            .filter(|(known, _)| !id.is_empty() && known.as_str().starts_with(id));
        match (matching.next(), matching.next()) {
            (Some((_, exec)), None) => Ok(exec.clone()),
            (Some(_), Some(_)) | (None, _) => Err(missing()),
        }
    }

    /// The monitor tells that one ended.
    pub(crate) fn exec_ended(&self, definition: &Definition, id: &str, exit: client::Exit) {
        // Its exit record stays for as long as its end is remembered: this process may be killed once more.
        let exec = lock(&self.execs.0).get(id).cloned();
        if let Some(exec) = exec {
            exec.end(exit.code);
        } else {
            forget_exit(&self.paths.run_container(&definition.id), id);
        }
        let more = [
            ("execID", id.to_owned()),
            ("exitCode", exit.code.to_string()),
        ];
        self.tell_container(definition, "exec_die", &more);
    }
}

impl Execs {
    fn insert(&self, container: Container, record: Record, progress: Progress) -> Exec {
        let id = record.id.clone();
        let exec = Exec(Arc::new(Shared {
            record,
            container,
            progress: watch::channel(progress).0,
        }));
        lock(&self.0).insert(id, exec.clone());
        exec
    }

    /// Ids of a container's execs that have not ended; `None` if there are none.
    pub(crate) fn of(&self, container: &Id) -> Option<Vec<String>> {
        let execs = lock(&self.0);
        let mut ids: Vec<String> = execs
            .values()
            .filter(|exec| exec.0.container.id() == container)
            .filter(|exec| !matches!(*exec.0.progress.borrow(), Progress::Ended { .. }))
            .map(|exec| exec.id().to_string())
            .collect();
        ids.sort();
        (!ids.is_empty()).then_some(ids)
    }

    /// The container ended: what still ran in it is gone, and what was never started is forgotten.
    pub(crate) fn lost(&self, container: &Id) {
        let mut execs = lock(&self.0);
        let of_others = |exec: &Exec| exec.0.container.id() != container;
        execs.retain(|_, exec| of_others(exec) || *exec.0.progress.borrow() != Progress::Created);
        let own: Vec<Exec> = execs
            .values()
            .filter(|exec| !of_others(exec))
            .cloned()
            .collect();
        drop(execs);
        for exec in own {
            if matches!(
                *exec.0.progress.borrow(),
                Progress::Running { .. } | Progress::Starting
            ) {
                exec.end(LOST);
            }
        }
    }

    /// The container is gone.
    pub(crate) fn forget(&self, container: &Id) {
        lock(&self.0).retain(|_, exec| exec.0.container.id() != container);
    }

    /// Finds again the execs of a container that was found again.
    pub(crate) fn reopen(
        &self,
        container: &Container,
        folder: &Path,
        running: &[client::RunningExec],
    ) {
        let ended: HashMap<String, client::Exit> = client::exec_exits(folder)
            .unwrap_or_default()
            .into_iter()
            .collect();
        for entry in fs::read_dir(records(folder))
            .into_iter()
            .flatten()
            .flatten()
        {
            let text = fs::read(entry.path()).unwrap_or_default();
            let Ok(record) = serde_json::from_slice::<Record>(&text) else {
                continue;
            };
            let id = record.id.as_str();
            let progress = match (running.iter().find(|exec| exec.id == id), ended.get(id)) {
                (Some(exec), _) => Progress::Running { pid: exec.pid },
                (None, Some(exit)) => Progress::Ended {
                    code: exit.code,
                    pid: 0,
                },
                (None, None) => Progress::Created,
            };
            let exec = self.insert(container.clone(), record, progress);
            if let Progress::Ended { .. } = progress {
                exec.forget_later();
            }
        }
    }
}

impl Exec {
    /// The exec's id.
    pub fn id(&self) -> &Id {
        &self.0.record.id
    }

    /// Sets the size of its terminal.
    pub async fn resize(&self, height: u16, width: u16) -> Result<()> {
        let not_running =
            || Error::not_found(format!("process does not exist {}: not found", self.id()));
        // A client may ask while the start is under way.
        let mut progress = self.0.progress.subscribe();
        let started = progress.wait_for(|progress| *progress != Progress::Starting);
        let started = tokio::time::timeout(Duration::from_secs(10), started)
            .await
            .map_err(|_| not_running())?;
        let now = *started.map_err(|_| not_running())?;
        if !matches!(now, Progress::Running { .. }) {
            return Err(not_running());
        }
        let seen = self.0.container.seen();
        let running = seen.state.running(self.0.container.id().as_str())?;
        let target = Target::Exec(self.id().to_string());
        let size = Size {
            rows: height,
            columns: width,
        };
        running
            .link
            .ask(&Request::Resize { target, size }, &[])
            .await?;
        Ok(())
    }

    /// Its document.
    pub fn inspect(&self) -> Result<ExecInspect> {
        let body = &self.0.record.body;
        let progress = *self.0.progress.borrow();
        let (running, code, pid) = match progress {
            Progress::Created => (false, None, 0),
            Progress::Starting => (true, None, 0),
            Progress::Running { pid } => (true, None, pid),
            Progress::Ended { code, pid } => (false, Some(i64::from(code)), pid),
        };
        let mut command = body.cmd.as_deref().unwrap_or_default().iter().cloned();
        Ok(ExecInspect {
            id: self.id().to_string(),
            running,
            exit_code: code,
            process_config: ProcessConfig {
                tty: body.tty,
                entrypoint: command.next().unwrap_or_default(),
                arguments: command.collect(),
                privileged: Some(body.privileged),
                user: body.user.clone(),
            },
            open_stdin: body.attach_stdin,
            open_stderr: body.attach_stderr,
            open_stdout: body.attach_stdout,
            can_remove: code.is_some(),
            container_id: self.0.container.id().to_string(),
            detach_keys: body.detach_keys.clone(),
            pid: i64::from(pid),
        })
    }

    fn end(&self, code: i32) {
        self.0.progress.send_modify(|progress| {
            let pid = match *progress {
                Progress::Running { pid } | Progress::Ended { pid, .. } => pid,
                Progress::Created | Progress::Starting => 0,
            };
            *progress = Progress::Ended { code, pid };
        });
        self.forget_later();
    }

    fn forget_later(&self) {
        let (id, container) = (self.id().clone(), self.0.container.clone());
        tokio::spawn(async move {
            tokio::time::sleep(REMEMBERED).await;
            let Ok(engine) = container.engine() else {
                return;
            };
            lock(&engine.execs.0).remove(&id);
            // The container's folder may be gone.
            let folder = engine.paths.run_container(container.id());
            let _ = fs::remove_file(records(&folder).join(id.as_str()));
            forget_exit(&folder, id.as_str());
        });
    }
}

fn forget_exit(run_container: &Path, id: &str) {
    if let Err(error) = client::forget_exec(run_container, id) {
        tracing::debug!(id, %error, "forgetting an exec's exit record failed");
    }
}

/// Where the records of a container's execs are.
fn records(run_container: &Path) -> PathBuf {
    run_container.join("asked")
}

fn write(folder: &Path, record: &Record) -> std::io::Result<()> {
    fs::create_dir_all(folder)?;
    let text = serde_json::to_vec(record)?;
    fs::write(folder.join(record.id.as_str()), text)
}

/// The command as events show it.
fn words(body: &ExecCreateBody) -> String {
    body.cmd
        .as_ref()
        .and_then(|Words(words)| words.split_first())
        .map(|(program, arguments)| format!("{program} {}", arguments.join(" ")))
        .unwrap_or_default()
}
