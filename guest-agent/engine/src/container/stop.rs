//! `stop`: a signal, some patience, then SIGKILL.

use std::time::Duration;

use tokio::time::timeout;

use super::{Container, signal, state::State, task::Request};
use crate::{Error, Kind, Result, error::Context};

/// Docker's patience where neither the user nor the container says.
const PATIENCE: i64 = 10;

/// How long a killed process may take to be gone.
pub(super) const AFTER_KILL: Duration = Duration::from_secs(10);

/// What a stop found.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Stopped {
    /// It has stopped.
    Now,
    /// It was not running (304).
    Already,
}

/// How to stop.
#[derive(Clone, Debug, Default)]
pub struct StopOptions {
    /// The first signal; the container's own stop signal if absent.
    pub signal: Option<String>,
    /// Seconds until SIGKILL; negative: never; the container's own if absent.
    pub timeout: Option<i64>,
}

impl Container {
    /// Asks it to stop, then kills it. Goes on when the caller goes away.
    pub async fn stop(&self, options: StopOptions) -> Result<Stopped> {
        let first = match options.signal.as_deref().filter(|name| !name.is_empty()) {
            Some(name) => signal::parse(name)?,
            None => self.stop_signal()?,
        };
        let own = self.seen().definition.config.stop_timeout;
        let patience = options.timeout.or(own).unwrap_or(PATIENCE);
        let container = self.clone();
        tokio::spawn(async move { container.stop_to_the_end(first, patience).await })
            .await
            .context(|| format!("stop container {}", self.id))?
    }

    async fn stop_to_the_end(&self, first: i32, patience: i64) -> Result<Stopped> {
        match self.seen().state {
            State::Running(_) | State::Paused(_) | State::Restarting(_) => {}
            State::Created(_) | State::Exited(_) | State::Removing(_) => {
                return Ok(Stopped::Already);
            }
        }
        let runs = self.exits();
        self.end_with(first).await?;
        let gone = match u64::try_from(patience) {
            Ok(seconds) => timeout(Duration::from_secs(seconds), self.ended_after(runs))
                .await
                .is_ok(),
            Err(_) => {
                self.ended_after(runs).await;
                true
            }
        };
        if !gone {
            self.end_with(signal::SIGKILL).await?;
            timeout(AFTER_KILL, self.ended_after(runs))
                .await
                .map_err(|_| {
                    Error::internal(format!(
                        "cannot stop container: {}: it was killed and did not end",
                        self.name()
                    ))
                })?;
        }
        self.tell("stop", &[]);
        Ok(Stopped::Now)
    }

    /// Sends a signal that means the end; that it has come already is fine.
    pub(super) async fn end_with(&self, signal: i32) -> Result<()> {
        let sent = self
            .ask(|answer| Request::Signal {
                signal,
                stops: true,
                answer,
            })
            .await;
        match sent {
            Ok(()) => self.tell("kill", &[("signal", signal.to_string())]),
            Err(_) if self.seen().state.live().is_none() => {}
            // Its monitor has seen the end already; the word of it is on its way here.
            Err(error) if error.kind() == Kind::Conflict => {}
            Err(error) => return Err(error),
        }
        Ok(())
    }

    pub(super) fn exits(&self) -> u64 {
        self.line.published.borrow().exits
    }

    /// Waits until it has ended once more than `exits` times, or does not run.
    pub(super) async fn ended_after(&self, exits: u64) {
        let mut published = self.line.published.clone();
        // An error means that its task is gone, and it with it.
        let _ = published
            .wait_for(|seen| {
                seen.removed
                    || (seen.state.live().is_none() && !matches!(seen.state, State::Restarting(_)))
                    || seen.exits > exits
            })
            .await;
    }
}
