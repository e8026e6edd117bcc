//! `kill`: one signal.

use super::{Container, signal, task::Request};
use crate::{Error, Result};

impl Container {
    /// Sends a signal (`SIGKILL` if none is named). A refusal calls the container as the caller did.
    pub async fn kill(&self, called: &str, name: Option<&str>) -> Result<()> {
        let cannot_kill = |error: Error| {
            let text = format!("cannot kill container: {called}: {}", error.told());
            Error::new(error.kind(), text)
        };
        let number = match name.filter(|name| !name.is_empty()) {
            Some(name) => signal::parse(name).map_err(cannot_kill)?,
            None => signal::SIGKILL,
        };
        let stops = number == signal::SIGKILL || Some(number) == self.stop_signal().ok();
        self.ask(|answer| Request::Signal {
            signal: number,
            stops,
            answer,
        })
        .await
        .map_err(cannot_kill)?;
        self.tell("kill", &[("signal", number.to_string())]);
        Ok(())
    }

    /// The signal that asks it to stop.
    pub(super) fn stop_signal(&self) -> Result<i32> {
        match self.seen().definition.stop_signal() {
            "" => Ok(signal::SIGTERM),
            name => signal::parse(name),
        }
    }
}
