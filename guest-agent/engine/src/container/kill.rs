//! `kill`: one signal.

use super::{Container, signal, task::Request};
use crate::{Error, Result};

impl Container {
    /// Sends a signal (`SIGKILL` if none is named).
    pub async fn kill(&self, name: Option<&str>) -> Result<()> {
        let number = match name.filter(|name| !name.is_empty()) {
            Some(name) => signal::parse(name).map_err(|error| self.cannot_kill(error))?,
            None => signal::SIGKILL,
        };
        let stops = number == signal::SIGKILL || Some(number) == self.stop_signal().ok();
        self.ask(|answer| Request::Signal {
            signal: number,
            stops,
            answer,
        })
        .await
        .map_err(|error| self.cannot_kill(error))?;
        self.tell("kill", &[("signal", number.to_string())]);
        Ok(())
    }

    fn cannot_kill(&self, error: Error) -> Error {
        let id = self.id();
        Error::new(
            error.kind(),
            format!("cannot kill container: {id}: {}", error.told()),
        )
    }

    /// The signal that asks it to stop.
    pub(super) fn stop_signal(&self) -> Result<i32> {
        match self.seen().definition.stop_signal() {
            "" => Ok(signal::SIGTERM),
            name => signal::parse(name),
        }
    }
}
