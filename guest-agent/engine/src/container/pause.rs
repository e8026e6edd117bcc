//! `pause` and `unpause`: the freezer.

use super::{
    Container,
    state::State,
    task::{Request, Task},
};
use crate::{Engine, Error, Result, error::Context};

impl Container {
    /// Freezes its processes.
    pub async fn pause(&self) -> Result<()> {
        self.ask(Request::Freeze).await
    }

    /// Thaws them.
    pub async fn unpause(&self) -> Result<()> {
        self.ask(Request::Thaw).await
    }
}

impl Task {
    pub(super) async fn freeze(&mut self, engine: &Engine) -> Result<()> {
        let id = self.id().to_owned();
        let running = match &self.state {
            State::Running(running) => running.clone(),
            State::Paused(_) => {
                return Err(Error::conflict(format!("Container {id} is already paused")));
            }
            State::Restarting(_) => {
                return Err(Error::conflict(format!(
                    "Container {id} is restarting, wait until the container is running"
                )));
            }
            State::Created(_) | State::Exited(_) | State::Removing(_) => {
                return Err(Error::conflict(format!("container {id} is not running")));
            }
        };
        let cgroup = std::sync::Arc::clone(&running.cgroup);
        let freeze = tokio::task::spawn_blocking(move || cgroup.freeze());
        let attempt = || format!("cannot pause container {id}");
        freeze.await.context(attempt)?.context(attempt)?;
        self.enter(State::Paused(running));
        self.tell(engine, "pause", &[]);
        Ok(())
    }

    pub(super) async fn thaw(&mut self, engine: &Engine) -> Result<()> {
        let id = self.id().to_owned();
        let State::Paused(running) = &self.state else {
            return Err(Error::internal(format!("Container {id} is not paused")));
        };
        let running = running.clone();
        let cgroup = std::sync::Arc::clone(&running.cgroup);
        let thaw = tokio::task::spawn_blocking(move || cgroup.thaw());
        let attempt = || format!("cannot unpause container {id}");
        thaw.await.context(attempt)?.context(attempt)?;
        self.enter(State::Running(running));
        self.tell(engine, "unpause", &[]);
        Ok(())
    }
}
