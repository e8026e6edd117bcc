//! `restart`: stop and start.

use std::sync::Arc;

use super::{
    Container, StopOptions,
    state::State,
    task::{Request, Task},
};
use crate::{Engine, Result, error::Context};

impl Container {
    /// Stops it if it runs, and starts it. Goes on when the caller goes away, which must not leave it stopped.
    pub async fn restart(&self, options: StopOptions) -> Result<()> {
        let container = self.clone();
        let restart = tokio::spawn(async move {
            container.tell_task(Request::Keep);
            let restarted = async {
                container.stop(options).await?;
                container.start(None).await
            };
            let restarted = restarted.await;
            container.tell_task(Request::LetGo);
            restarted?;
            container.tell("restart", &[]);
            Ok(())
        });
        restart
            .await
            .context(|| format!("restart container {}", self.id))?
    }

    fn tell_task(&self, request: Request) {
        // Without its task the container is gone, which the stop or the start says.
        let _ = self.line.requests.send(request);
    }
}

impl Task {
    /// A restart is over: an end that it hid from `--rm` counts now.
    pub(super) async fn let_go(&mut self, engine: &Arc<Engine>) {
        self.kept = self.kept.saturating_sub(1);
        if matches!(self.state, State::Exited(_) | State::Created(Some(_))) {
            self.remove_if_asked_for(engine).await;
        }
    }
}
