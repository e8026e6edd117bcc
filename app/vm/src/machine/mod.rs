//! A machine from its start to its end.
//!
//! ```text
//!             files, disk, devices, hypervisor      the guest's port answers
//!   start ──▶ Starting ─────────────────────────────────────────▶ Running
//!               │  │  what went wrong                               │   │
//!               │  └───────────────▶ Failed              stop, kill │   │ power-off, panic, reboot,
//!               │ stop, kill                                        ▼   │ a process of it lost
//!               └─────────────────────▶ Failed(CalledOff)     Stopping ─┴──▶ Ended(Exit)
//! ```
//!
//! `Failed` and `Ended` are final: whoever wants the machine again starts another one. One task owns the state and
//! the guest; a [`Machine`] is a way to send that task requests and to read what it publishes. When the last one is
//! dropped the guest ends with it.

mod state;
mod task;

use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use tokio::sync::{mpsc, oneshot, watch};

pub use state::{Event, Exit, Phase, Running, State};

use crate::error::StartError;
use crate::{Dialer, Hypervisor, Spec};

/// A machine that was started. Copies are the same machine.
#[derive(Clone, Debug)]
pub struct Machine {
    requests: mpsc::Sender<Request>,
    state: watch::Receiver<State>,
    diary: Diary,
}

/// What an owner asks of a running machine.
#[derive(Debug)]
enum Request {
    Stop { grace: Duration },
    Kill,
    Memory(oneshot::Sender<std::io::Result<u64>>),
    SetMemory(u64, oneshot::Sender<std::io::Result<()>>),
}

impl Machine {
    /// Starts a machine in a task of the current runtime and returns at once.
    pub fn start<H: Hypervisor>(hypervisor: H, spec: Spec) -> Machine {
        let (requests, inbox) = mpsc::channel(8);
        let (publish, state) = watch::channel(State::Starting(Phase::Checking));
        let diary = Diary::new();
        let progress = Progress {
            diary: diary.clone(),
            state: publish,
        };
        tokio::spawn(task::Task::new(spec, progress, inbox).run(hypervisor));
        Machine {
            requests,
            state,
            diary,
        }
    }

    /// What it is doing now.
    pub fn state(&self) -> State {
        self.state.borrow().clone()
    }

    /// Everything that happened to it from its start on, and then what happens.
    pub fn events(&self) -> Events {
        Events {
            diary: self.diary.clone(),
            changed: self.diary.changed.subscribe(),
            read: 0,
        }
    }

    /// Waits until streams can be opened into the guest.
    pub async fn ready(&self) -> Result<Dialer, Arc<StartError>> {
        match self
            .wait(|state| !matches!(state, State::Starting(_)))
            .await
        {
            State::Running(running) => Ok(running.dialer),
            State::Failed(error) => Err(error),
            State::Starting(_) | State::Stopping | State::Ended(_) => {
                Err(Arc::new(StartError::CalledOff))
            }
        }
    }

    /// Presses the power button, and after `grace` pulls the plug. A machine that is still starting is called off.
    pub async fn stop(&self, grace: Duration) -> Exit {
        // A task that is gone has published a final state.
        drop(self.requests.send(Request::Stop { grace }).await);
        self.ended().await
    }

    /// Pulls the plug.
    pub async fn kill(&self) -> Exit {
        drop(self.requests.send(Request::Kill).await);
        self.ended().await
    }

    /// Waits for its end.
    pub async fn ended(&self) -> Exit {
        match self.wait(State::is_final).await {
            State::Ended(exit) => exit,
            State::Failed(_) | State::Starting(_) | State::Running(_) | State::Stopping => {
                Exit::Killed
            }
        }
    }

    /// How many bytes of memory the guest has at the moment.
    pub async fn memory(&self) -> std::io::Result<u64> {
        self.ask(Request::Memory).await
    }

    /// Says with how many bytes of memory the guest should make do; it gives the rest back as it can.
    pub async fn set_memory(&self, bytes: u64) -> std::io::Result<()> {
        self.ask(|answer| Request::SetMemory(bytes, answer)).await
    }

    async fn ask<T>(
        &self,
        request: impl FnOnce(oneshot::Sender<std::io::Result<T>>) -> Request,
    ) -> std::io::Result<T> {
        let not_running = || std::io::Error::other("the machine is not running");
        let (answer, answered) = oneshot::channel();
        let sent = self.requests.send(request(answer)).await;
        sent.map_err(|_| not_running())?;
        answered.await.map_err(|_| not_running())?
    }

    async fn wait(&self, until: impl FnMut(&State) -> bool) -> State {
        let mut state = self.state.clone();
        let reached = state.wait_for(until).await.map(|state| state.clone());
        // The task publishes a final state before it goes, so this is one.
        reached.unwrap_or_else(|_| self.state())
    }
}

/// What happens to a machine, from its start on.
#[derive(Debug)]
pub struct Events {
    diary: Diary,
    changed: watch::Receiver<usize>,
    read: usize,
}

impl Events {
    /// The next event; none once the machine has ended and everything was told.
    pub async fn next(&mut self) -> Option<Event> {
        loop {
            if let Some(event) = self.diary.entry(self.read) {
                self.read += 1;
                return Some(event);
            }
            let read = self.read;
            let more = self.changed.wait_for(|written| *written > read).await;
            if more.is_err() && self.diary.entry(self.read).is_none() {
                return None;
            }
        }
    }
}

/// Where a start tells how far it got.
#[derive(Debug)]
pub struct Progress {
    diary: Diary,
    state: watch::Sender<State>,
}

impl Progress {
    /// A phase was reached.
    pub fn reached(&self, phase: Phase) {
        if matches!(*self.state.borrow(), State::Starting(_)) {
            self.state.send_replace(State::Starting(phase.clone()));
        }
        self.diary.write(phase);
    }

    fn enter(&self, state: State) {
        self.state.send_replace(state);
    }

    fn latest(&self) -> String {
        let count = *self.diary.changed.borrow();
        let last = count.checked_sub(1).and_then(|last| self.diary.entry(last));
        last.map_or_else(
            || Phase::Checking.to_string(),
            |event| event.phase.to_string(),
        )
    }
}

/// The events so far. Few happen to a machine, so all are kept.
#[derive(Clone, Debug)]
struct Diary {
    started: Instant,
    entries: Arc<Mutex<Vec<Event>>>,
    changed: Arc<watch::Sender<usize>>,
}

impl Diary {
    fn new() -> Diary {
        Diary {
            started: Instant::now(),
            entries: Arc::default(),
            changed: Arc::new(watch::Sender::new(0)),
        }
    }

    fn write(&self, phase: Phase) {
        let after = self.started.elapsed();
        let mut entries = self.entries.lock().unwrap_or_else(PoisonError::into_inner);
        entries.push(Event { after, phase });
        self.changed.send_replace(entries.len());
    }

    fn entry(&self, index: usize) -> Option<Event> {
        let entries = self.entries.lock().unwrap_or_else(PoisonError::into_inner);
        entries.get(index).cloned()
    }
}
