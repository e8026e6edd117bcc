//! `resize`: the size of a container's terminal.

use proa_runtime::client::{self, Size, Target};

use super::{
    Container,
    state::State,
    task::{Request, Task},
};
use crate::{Engine, Error, Result};

impl Container {
    /// Sets the size of its terminal; before its start, the size it starts with.
    pub async fn resize(&self, height: u16, width: u16) -> Result<()> {
        let size = Size {
            rows: height,
            columns: width,
        };
        self.ask(|answer| Request::Resize { size, answer }).await
    }
}

impl Task {
    pub(super) async fn resize(&mut self, engine: &Engine, size: Size) -> Result<()> {
        let running = match &self.state {
            State::Created(_) | State::Exited(_) | State::Restarting(_) | State::Removing(_) => {
                return Err(Error::conflict(format!(
                    "Container {} is not running",
                    self.id()
                )));
            }
            State::Running(running) | State::Paused(running) => running.clone(),
        };
        running
            .link
            .ask(
                &client::Request::Resize {
                    target: Target::Init,
                    size,
                },
                &[],
            )
            .await?;
        self.size = Some(size);
        let more = [
            ("height", size.rows.to_string()),
            ("width", size.columns.to_string()),
        ];
        self.tell(engine, "resize", &more);
        Ok(())
    }
}
