//! `start`: from a definition to a running process. What is slow about it was done by `create`.

use std::{os::fd::AsFd, sync::Arc, time::Duration};

use tokio::time::timeout;

use super::{
    Container,
    definition::RestartPolicy,
    launch::{Prepared, Refused},
    link::{Launched, Link},
    state::{Failure, Running, State},
    task::{Request, Task},
};
use crate::{Engine, Error, Result, clock, error::Context};

/// What a start found.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Started {
    /// It runs now.
    Now,
    /// It ran already (304).
    Already,
}

/// How long a former run may take to let go of the root.
pub(super) const LEAVING: Duration = Duration::from_secs(10);

impl Container {
    /// Starts it. `detach_keys` are for clients that attach with the start; each attachment brings its own here.
    pub async fn start(&self, detach_keys: Option<&str>) -> Result<Started> {
        super::detach::DetachKeys::parse(detach_keys)?;
        self.ask(Request::Start).await
    }
}

impl Task {
    /// A user asks for it.
    pub(super) async fn start(&mut self, engine: &Arc<Engine>) -> Result<Started> {
        match &self.state {
            State::Running(_) => return Ok(Started::Already),
            State::Paused(_) => {
                return Err(Error::conflict(
                    "cannot start a paused container, try unpause instead",
                ));
            }
            State::Removing(_) => {
                return Err(Error::conflict(
                    "container is marked for removal and cannot be started",
                ));
            }
            State::Created(_) | State::Exited(_) | State::Restarting(_) => {}
        }
        self.attempt += 1;
        self.back_off = super::task::FIRST_BACK_OFF;
        self.history.manually_stopped = false;
        self.history.restarts = 0;
        self.launch(engine).await?;
        Ok(Started::Now)
    }

    /// Makes it run, whoever asks.
    pub(super) async fn launch(&mut self, engine: &Arc<Engine>) -> Result<()> {
        self.must_be_in_reach(engine)?;
        self.wait_for_the_last_run().await;
        self.close_views(LEAVING).await;
        if let Some(clearing) = self.clearing.take() {
            // Its failure was told there.
            let _ = clearing.await;
        }
        match self.launch_phases(engine).await {
            Ok(running) => self.launched(engine, running).await,
            Err(refused) => {
                self.early.clear();
                let Refused { failure, error } = refused;
                self.failed(engine, failure);
                Err(error)
            }
        }
    }

    async fn launch_phases(&mut self, engine: &Arc<Engine>) -> Result<Running, Refused> {
        let prepared = self.prepare(engine)?;
        self.forget_hung_up();
        let link = self.hand_over(engine, &prepared)?;
        let Ok(heard) = timeout(engine.config().start_limit, link.launched()).await else {
            return Err(self.hung(engine).await.into());
        };
        match heard.context(|| "hear from the container's monitor".into())? {
            Launched::Started(started, stdin) => {
                self.connect_early(stdin);
                link.listen(self.inbox.clone());
                let (cgroup, kit, place) = prepared.into_running();
                Ok(Running {
                    pid: started.pid,
                    started: clock::from_nanoseconds(started.time),
                    link,
                    cgroup,
                    place,
                    kit,
                })
            }
            Launched::Failed(error) => Err(Refused::from_start(&error, &self.definition)),
            Launched::Lost => Err(Error::internal("start the container: its monitor died").into()),
        }
    }

    /// A mount whose server is gone does not return; a monitor that waits for it is ended, what it began with it.
    async fn hung(&self, engine: &Engine) -> Error {
        let mut ended = engine.monitors_ended.subscribe();
        if let Err(error) = engine.keeper.get_ref().end(self.id()) {
            tracing::warn!(id = self.id(), %error, "ending a monitor that hangs failed");
        }
        // The keeper clears the cgroup after it, which the next start's has the name of.
        let gone = async { while ended.recv().await.is_ok_and(|id| id != self.id()) {} };
        if timeout(LEAVING, gone).await.is_err() {
            tracing::warn!(id = self.id(), "a monitor that hangs does not end");
        }
        let seconds = engine.config().start_limit.as_secs();
        Error::internal(format!(
            "start the container: it did not begin within {seconds} seconds; is a mount of it served by something that \
             does not answer?"
        ))
    }

    /// On this thread, which tokio replaces meanwhile: two changes of thread less on the way to a start.
    fn prepare(&self, engine: &Engine) -> Result<Prepared, Refused> {
        tokio::task::block_in_place(|| Prepared::prepare(engine, &self.definition, self.size))
    }

    fn hand_over(&self, engine: &Engine, prepared: &Prepared) -> Result<Arc<Link>> {
        let attempt = || "ask the keeper for a monitor".to_owned();
        let attaches: Vec<_> = self
            .early
            .iter()
            .filter_map(|early| Some((early.streams, early.socket.as_ref()?.as_fd())))
            .collect();
        let monitor = prepared
            .hand_to(engine.keeper.get_ref(), &attaches)
            .context(attempt)?;
        Link::new(monitor).context(attempt)
    }

    async fn launched(&mut self, engine: &Arc<Engine>, running: Running) -> Result<()> {
        self.watch_health(engine, &running);
        if let Ok(container) = engine.container(self.id()) {
            super::readiness::watch(&container, &self.definition, &running);
        }
        self.history.running = Some(running.started);
        engine.tell_mounts(&self.definition);
        self.tell_networks(engine, "connect", &running.place);
        self.enter(State::Running(running));
        self.tell(engine, "start", &[]);
        if self.definition.restart_policy() == RestartPolicy::No {
            self.note(engine);
            return Ok(());
        }
        // Whether it is started again after a boot must not be forgotten.
        self.commit_history(engine).await
    }

    /// Begins with the health checks of a run.
    pub(super) fn watch_health(&self, engine: &Engine, running: &Running) {
        if self.definition.config.healthcheck.is_some()
            && let Ok(container) = engine.container(self.id())
        {
            super::health::watch(&container, &self.definition, running);
        }
    }

    /// Two runs must not have one upper directory mounted at once.
    pub(super) async fn wait_for_the_last_run(&mut self) {
        let Some(link) = self.leaving.take() else {
            return;
        };
        if timeout(LEAVING, link.gone()).await.is_err() {
            tracing::warn!(id = self.id(), "the monitor of the last run does not end");
        }
    }
}

impl From<Error> for Refused {
    fn from(error: Error) -> Self {
        Refused {
            failure: Failure {
                code: 128,
                error: error.told(),
            },
            error,
        }
    }
}
