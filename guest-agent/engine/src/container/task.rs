//! The one task that changes a container's state.
//!
//! Requests arrive in order; each is carried out to its end before the next one is looked at, whatever becomes of
//! whoever asked. What there is to see is published after every change.

use std::{
    os::fd::OwnedFd,
    sync::{Arc, Weak},
    time::Duration,
};

use jiff::Timestamp;
use proa_images::Hold;
use proa_protocol::{ContainerUpdateBody, ContainerUpdateResponse};
use proa_runtime::client::{Event, RunningExec, Size, Streams};
use tokio::{
    sync::{mpsc, oneshot, watch},
    task::JoinHandle,
};

use super::{
    Started,
    definition::Definition,
    link::Link,
    state::{Failure, History, State},
    view::{Opened, Purpose, Views},
};
use crate::{Engine, Error, Result, db::Change, error::Context, network::Target};

/// What everybody may see of a container.
#[derive(Clone)]
pub(crate) struct Published {
    pub(crate) definition: Arc<Definition>,
    pub(crate) state: State,
    pub(crate) restarts: u32,
    /// How often it has ended since the engine was opened.
    pub(crate) exits: u64,
    /// The exit code of its last run that has ended.
    pub(crate) last_code: i32,
    /// When the run before this one ended.
    pub(crate) finished_before: Option<Timestamp>,
    /// It is gone; the last thing that is published.
    pub(crate) removed: bool,
}

pub(crate) type Answer<T> = oneshot::Sender<Result<T>>;

/// What can be asked of a container's task.
pub(crate) enum Request {
    Start(Answer<Started>),
    /// Sends a signal; `stops` if a user wants it to end by it.
    Signal {
        signal: i32,
        stops: bool,
        answer: Answer<()>,
    },
    Freeze(Answer<()>),
    Thaw(Answer<()>),
    /// A client that waits for the start; answered with its standard input when that exists.
    Attach {
        streams: Streams,
        stdin: bool,
        socket: Option<OwnedFd>,
        answer: Answer<Attachment>,
    },
    /// The client that had standard input for itself has closed it.
    CloseStdin,
    Resize {
        size: Size,
        answer: Answer<()>,
    },
    Rename {
        name: String,
        answer: Answer<()>,
    },
    /// Other limits, another restart policy.
    Update {
        body: Box<ContainerUpdateBody>,
        answer: Answer<ContainerUpdateResponse>,
    },
    /// To one more network.
    Connect {
        target: Box<Target>,
        answer: Answer<()>,
    },
    /// From one of its networks.
    Disconnect {
        target: Box<Target>,
        answer: Answer<()>,
    },
    Remove {
        volumes: bool,
        answer: Answer<()>,
    },
    /// Its files, for somebody to look at or to write to.
    Open {
        purpose: Purpose,
        answer: Answer<Arc<Opened>>,
    },
    /// A restart begins: the end it brings removes nothing.
    Keep,
    /// It is over.
    LetGo,
    /// The monitor tells.
    Event(Arc<Link>, Event),
    /// The monitor's connection ended.
    MonitorGone(Arc<Link>),
    /// The back-off is over.
    Restart {
        attempt: u64,
    },
    /// The engine was opened: the restart policy decides whether it starts.
    Resume,
}

/// Where an attached client's input goes.
pub(crate) enum Attachment {
    /// To this descriptor, now; `None`: it has no standard input.
    Now(Option<OwnedFd>),
    /// To the descriptor that comes with the start.
    AtStart(oneshot::Receiver<Option<OwnedFd>>),
}

/// A client that attached before the start.
pub(super) struct EarlyAttach {
    pub(super) streams: Streams,
    pub(super) socket: Option<OwnedFd>,
    pub(super) stdin: Option<oneshot::Sender<Option<OwnedFd>>>,
}

/// The task's own.
pub(crate) struct Task {
    pub(super) engine: Weak<Engine>,
    pub(super) definition: Arc<Definition>,
    pub(super) state: State,
    pub(super) history: History,
    pub(super) inbox: mpsc::UnboundedSender<Request>,
    published: watch::Sender<Published>,
    pub(super) exits: u64,
    pub(super) early: Vec<EarlyAttach>,
    /// The size of its terminal, asked for before the start.
    pub(super) size: Option<Size>,
    /// The monitor of the last run, while it still takes the root down.
    pub(super) leaving: Option<Arc<Link>>,
    /// The end of the last run's cgroup, which the next run's has the name of.
    pub(super) clearing: Option<JoinHandle<()>>,
    /// Tells one back-off from the next.
    pub(super) attempt: u64,
    pub(super) back_off: Duration,
    /// Why its monitor, which may live, cannot be talked to.
    pub(super) out_of_reach: Option<String>,
    /// How many restarts are under way.
    pub(super) kept: u32,
    /// What is open of its files.
    pub(super) views: Arc<Views>,
    /// Its root, if it is open to be written to while it does not run.
    pub(super) writable: Weak<Opened>,
    /// Keeps its layers.
    pub(super) _hold: Option<Hold>,
}

/// What the rest of the engine keeps of a container.
pub(crate) struct Line {
    pub(crate) requests: mpsc::UnboundedSender<Request>,
    pub(crate) published: watch::Receiver<Published>,
}

/// The first wait before a container is started again; doubled each time.
pub(super) const FIRST_BACK_OFF: Duration = Duration::from_millis(100);

/// What a task starts from.
pub(crate) struct Beginning {
    pub(crate) definition: Definition,
    pub(crate) state: State,
    pub(crate) history: History,
    pub(crate) hold: Option<Hold>,
    /// Execs that were found running.
    pub(crate) execs: Vec<RunningExec>,
    /// Why its monitor cannot be talked to, if one may be there.
    pub(crate) out_of_reach: Option<String>,
}

/// Starts a container's task. A live state's link begins to be listened to.
pub(crate) fn begin(engine: &Arc<Engine>, beginning: Beginning) -> Line {
    let (requests, inbox) = mpsc::unbounded_channel();
    let definition = Arc::new(beginning.definition);
    if let Some(running) = beginning.state.live() {
        running.link.listen(requests.clone());
    }
    let first = Published {
        definition: Arc::clone(&definition),
        state: beginning.state.clone(),
        restarts: beginning.history.restarts,
        exits: 0,
        last_code: beginning.history.ended.code(),
        finished_before: beginning.history.finished(),
        removed: false,
    };
    let (published, seen) = watch::channel(first);
    let task = Task {
        engine: Arc::downgrade(engine),
        definition,
        state: beginning.state,
        history: beginning.history,
        inbox: requests.clone(),
        published,
        exits: 0,
        early: Vec::new(),
        size: None,
        leaving: None,
        clearing: None,
        attempt: 0,
        back_off: FIRST_BACK_OFF,
        out_of_reach: beginning.out_of_reach,
        kept: 0,
        views: Views::new(),
        writable: Weak::new(),
        _hold: beginning.hold,
    };
    tokio::spawn(task.run(inbox));
    Line {
        requests,
        published: seen,
    }
}

impl Task {
    async fn run(mut self, mut inbox: mpsc::UnboundedReceiver<Request>) {
        while let Some(request) = inbox.recv().await {
            // The engine is gone only when the process ends.
            let Some(engine) = self.engine.upgrade() else {
                return;
            };
            self.carry_out(&engine, request).await;
            if self.published.borrow().removed {
                return;
            }
        }
    }

    /// Whoever asked may have gone: answers are sent to nobody then.
    async fn carry_out(&mut self, engine: &Arc<Engine>, request: Request) {
        match request {
            Request::Start(answer) => {
                let outcome = self.start(engine).await;
                let failed = outcome.is_err();
                let _ = answer.send(outcome);
                if failed {
                    self.remove_if_asked_for(engine).await;
                }
            }
            Request::Signal {
                signal,
                stops,
                answer,
            } => drop(answer.send(self.signal(engine, signal, stops).await)),
            Request::Freeze(answer) => drop(answer.send(self.freeze(engine).await)),
            Request::Thaw(answer) => drop(answer.send(self.thaw(engine).await)),
            Request::Attach {
                streams,
                stdin,
                socket,
                answer,
            } => {
                drop(answer.send(self.attach(streams, stdin, socket).await));
            }
            Request::CloseStdin => self.close_stdin().await,
            Request::Resize { size, answer } => drop(answer.send(self.resize(engine, size).await)),
            Request::Rename { name, answer } => drop(answer.send(self.rename(engine, name).await)),
            Request::Update { body, answer } => {
                drop(answer.send(self.update(engine, *body).await));
            }
            Request::Connect { target, answer } => {
                drop(answer.send(self.connect(engine, *target).await));
            }
            Request::Disconnect { target, answer } => {
                drop(answer.send(self.disconnect(engine, *target).await));
            }
            Request::Remove { volumes, answer } => {
                drop(answer.send(self.remove(engine, volumes).await));
            }
            Request::Open { purpose, answer } => {
                drop(answer.send(self.open(engine, purpose).await));
            }
            Request::Keep => self.kept += 1,
            Request::LetGo => self.let_go(engine).await,
            Request::Event(link, event) => self.hear(engine, &link, event).await,
            Request::MonitorGone(link) => self.monitor_gone(engine, &link).await,
            Request::Restart { attempt } => self.restart_now(engine, attempt).await,
            Request::Resume => self.resume(engine).await,
        }
    }

    pub(super) fn id(&self) -> &str {
        self.definition.id.as_str()
    }

    /// Goes over to another state and shows it.
    pub(super) fn enter(&mut self, state: State) {
        self.state = state;
        self.publish();
    }

    pub(super) fn publish(&mut self) {
        self.published.send_replace(Published {
            definition: Arc::clone(&self.definition),
            state: self.state.clone(),
            restarts: self.history.restarts,
            exits: self.exits,
            last_code: self.history.ended.code(),
            finished_before: self.history.finished(),
            removed: false,
        });
    }

    /// The last thing anybody sees.
    pub(super) fn publish_removed(&mut self) {
        self.published
            .send_modify(|published| published.removed = true);
    }

    /// Keeps what became of it, soon.
    pub(super) fn note(&self, engine: &Engine) {
        if let Some(change) = self.history_change(engine) {
            engine.db.write_soon(change);
        }
    }

    /// Keeps what became of it before anybody is told.
    pub(super) async fn commit_history(&self, engine: &Engine) -> Result<()> {
        match self.history_change(engine) {
            Some(change) => engine.db.commit(change).await,
            None => Ok(()),
        }
    }

    fn history_change(&self, engine: &Engine) -> Option<Change> {
        let history = match serde_json::to_string(&self.history) {
            Ok(history) => history,
            Err(error) => {
                tracing::error!(id = self.id(), %error, "writing a container's history failed");
                return None;
            }
        };
        if self.definition.auto_remove() {
            let path = engine
                .paths
                .run_container(&self.definition.id)
                .join(HISTORY_FILE);
            if let Err(error) = std::fs::write(&path, history) {
                tracing::error!(path = %path.display(), %error, "writing a container's history failed");
            }
            return None;
        }
        Some(Change::History {
            id: self.id().to_owned(),
            history,
        })
    }

    /// Keeps another definition, then goes on with it.
    pub(super) async fn redefine(&mut self, engine: &Engine, definition: Definition) -> Result<()> {
        keep(engine, &definition, &self.history).await?;
        self.definition = Arc::new(definition);
        self.publish();
        Ok(())
    }

    pub(super) fn tell(&self, engine: &Engine, action: &str, more: &[(&str, String)]) {
        engine.tell_container(&self.definition, action, more);
    }

    /// Notes that a start failed.
    pub(super) fn failed(&mut self, engine: &Engine, failure: Failure) {
        let ended = match self.history.ended.clone() {
            super::state::Ended::Never(_) => super::state::Ended::Never(Some(failure)),
            super::state::Ended::Exited(exit) => super::state::Ended::Exited(super::state::Exit {
                code: failure.code,
                error: failure.error,
                ..exit
            }),
        };
        self.history.ended = ended.clone();
        self.history.running = None;
        self.enter(ended.into());
        self.note(engine);
    }
}

/// The file in a container's folder of running state that stands for the database for what dies with a boot.
pub(crate) const HISTORY_FILE: &str = "history.json";
/// The same for its definition.
pub(crate) const DEFINITION_FILE: &str = "definition.json";

/// Keeps a container: in the database, or beside its running state if it goes away with its end.
pub(crate) async fn keep(
    engine: &Engine,
    definition: &Definition,
    history: &History,
) -> Result<()> {
    let attempt = || format!("write down container {}", definition.id);
    let text = serde_json::to_string(definition).context(attempt)?;
    let past = serde_json::to_string(history).context(attempt)?;
    if definition.auto_remove() {
        let folder = engine.paths.run_container(&definition.id);
        let write = || -> std::io::Result<()> {
            std::fs::create_dir_all(&folder)?;
            std::fs::write(folder.join(HISTORY_FILE), past)?;
            // Whoever finds the definition finds it whole.
            let new = folder.join("definition.new");
            std::fs::write(&new, text)?;
            std::fs::rename(new, folder.join(DEFINITION_FILE))
        };
        return write().context(attempt);
    }
    let id = definition.id.as_str().to_owned();
    engine
        .db
        .commit(Change::Container {
            id,
            definition: text,
            history: past,
        })
        .await
}

/// Asks a container's task and waits for its answer.
pub(crate) async fn ask<T>(
    line: &Line,
    request: impl FnOnce(Answer<T>) -> Request,
    id: &str,
) -> Result<T> {
    let (answer, reply) = oneshot::channel();
    let gone = || Error::not_found(format!("No such container: {id}"));
    line.requests.send(request(answer)).map_err(|_| gone())?;
    reply.await.map_err(|_| gone())?
}

/// An answer nobody waits for.
pub(crate) fn nobody<T>() -> Answer<T> {
    oneshot::channel().0
}
