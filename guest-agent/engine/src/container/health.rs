//! Health checks: a command run in the container at intervals, and what follows from its exit codes.

use std::{collections::VecDeque, time::Duration};

use futures_util::StreamExt;
use jiff::Timestamp;
use proa_protocol::{
    ExecCreateBody, ExecStartBody, Health as Document, HealthSummary, HealthcheckResult, Words,
    stream as frames,
};
use proa_runtime::client::{Request, Target};
use tokio::time::{Instant, sleep, timeout};

use super::{Container, definition::Definition, signal, state::Running};
use crate::{Error, Result, clock, engine::lock};

/// How many results are shown.
const SHOWN: usize = 5;
/// How much of a check's output is kept.
const OUTPUT: usize = 4096;

/// A health check with Docker's defaults filled in.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Check {
    command: Vec<String>,
    interval: Duration,
    timeout: Duration,
    retries: i64,
    start_period: Duration,
    start_interval: Duration,
}

/// What is known of a container's health.
#[derive(Clone, Debug, Default)]
pub(crate) struct Health {
    status: Status,
    failing: i64,
    log: VecDeque<HealthcheckResult>,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
enum Status {
    #[default]
    Starting,
    Healthy,
    Unhealthy,
}

impl Status {
    fn name(self) -> &'static str {
        match self {
            Status::Starting => "starting",
            Status::Healthy => "healthy",
            Status::Unhealthy => "unhealthy",
        }
    }
}

impl Health {
    /// Docker's word for it.
    pub(crate) fn name(&self) -> &'static str {
        self.status.name()
    }

    /// For a list.
    pub(crate) fn summary(&self) -> HealthSummary {
        HealthSummary {
            status: self.name().to_owned(),
            failing_streak: self.failing,
        }
    }

    pub(crate) fn document(&self) -> Document {
        Document {
            status: self.name().to_owned(),
            failing_streak: self.failing,
            log: Some(self.log.iter().cloned().collect()),
        }
    }

    /// Takes one result in; answers with the new status if that is another one.
    fn note(&mut self, check: &Check, result: HealthcheckResult, starting: bool) -> Option<Status> {
        let before = self.status;
        if result.exit_code == 0 {
            self.failing = 0;
            self.status = Status::Healthy;
        } else if !(starting && self.status == Status::Starting) {
            // Failures while it may still be starting do not count.
            self.failing += 1;
            if self.failing >= check.retries {
                self.status = Status::Unhealthy;
            }
        }
        if self.log.len() == SHOWN {
            self.log.pop_front();
        }
        self.log.push_back(result);
        (self.status != before).then_some(self.status)
    }
}

impl Check {
    fn of(definition: &Definition) -> Option<Self> {
        let config = definition.config.healthcheck.as_ref()?;
        let (kind, words) = config.test.as_ref()?.split_first()?;
        let command = match kind.as_str() {
            "CMD" => words.to_vec(),
            "CMD-SHELL" => {
                let shell = definition.config.shell.as_deref().map(<[String]>::to_vec);
                let mut command =
                    shell.unwrap_or_else(|| vec!["/bin/sh".to_owned(), "-c".to_owned()]);
                command.extend_from_slice(words);
                command
            }
            _ => return None,
        };
        let or = |nanoseconds: i64, seconds: u64| match u64::try_from(nanoseconds) {
            Ok(0) | Err(_) => Duration::from_secs(seconds),
            Ok(given) => Duration::from_nanos(given),
        };
        Some(Check {
            command,
            interval: or(config.interval, 30),
            timeout: or(config.timeout, 30),
            retries: if config.retries == 0 {
                3
            } else {
                config.retries
            },
            start_period: or(config.start_period, 0),
            start_interval: or(config.start_interval, 5),
        })
    }
}

/// Whether it has a health check at all.
pub(super) fn is_checked(definition: &Definition) -> bool {
    Check::of(definition).is_some()
}

/// Checks a container that has just been started, or found again, until it ends.
pub(super) fn watch(container: &Container, definition: &Definition, running: &Running) {
    let Some(check) = Check::of(definition) else {
        return;
    };
    *lock(&container.health) = Some(Health::default());
    tokio::spawn(check_until_the_end(
        container.clone(),
        check,
        running.clone(),
    ));
}

async fn check_until_the_end(container: Container, check: Check, running: Running) {
    let started = running.started;
    loop {
        let healthy_once = lock(&container.health)
            .as_ref()
            .is_some_and(|health| health.status != Status::Starting);
        let starting = !healthy_once && since(started) < check.start_period;
        let wait = if starting {
            check.start_interval
        } else {
            check.interval
        };
        tokio::select! {
            () = sleep(wait) => {}
            () = running.link.gone() => return,
        }
        let begin = clock::now();
        let (exit_code, output) = match run(&container, &check, &running).await {
            Ok(outcome) => outcome,
            Err(_) if container.seen().state.live().is_none() => return,
            // A paused container is asked again later.
            Err(error) if error.kind() == crate::Kind::Conflict => continue,
            Err(error) => (-1, error.told()),
        };
        let result = HealthcheckResult {
            start: clock::document(Some(begin)),
            end: clock::document(Some(clock::now())),
            exit_code,
            output,
        };
        let starting = since(started) < check.start_period;
        let changed = lock(&container.health)
            .as_mut()
            .and_then(|health| health.note(&check, result, starting));
        if let Some(status) = changed {
            if status == Status::Healthy {
                super::readiness::healthy(&container, started);
            }
            container.tell(&format!("health_status: {}", status.name()), &[]);
        }
    }
}

fn since(started: Timestamp) -> Duration {
    Duration::try_from(clock::now().duration_since(started)).unwrap_or_default()
}

/// One check: its exit code and what it said.
async fn run(container: &Container, check: &Check, running: &Running) -> Result<(i64, String)> {
    let body = ExecCreateBody {
        cmd: Some(Words(check.command.clone())),
        attach_stdout: true,
        attach_stderr: true,
        ..ExecCreateBody::default()
    };
    let id = container.exec(body).await?.id;
    let exec = container.engine()?.exec(&id)?;
    let mut output = exec.start_attached(ExecStartBody::default()).await?.output;
    let deadline = Instant::now() + check.timeout;
    let mut said = Vec::new();
    loop {
        match timeout(
            deadline.saturating_duration_since(Instant::now()),
            output.next(),
        )
        .await
        {
            Ok(Some(Ok(chunk))) if said.len() < OUTPUT * 2 => said.extend_from_slice(&chunk),
            Ok(Some(_)) => {}
            Ok(None) => break,
            Err(_) => {
                let target = Target::Exec(id);
                // It may have ended just now.
                let _ = running
                    .link
                    .ask(
                        &Request::Signal {
                            target,
                            signal: signal::SIGKILL,
                        },
                        &[],
                    )
                    .await;
                let limit = check.timeout.as_secs_f64();
                return Ok((-1, format!("Health check exceeded timeout ({limit}s)")));
            }
        }
    }
    let code = exec.inspect()?.exit_code;
    let code = code.ok_or_else(|| Error::internal("the health check's exit code did not come"))?;
    Ok((code, text(&said)))
}

/// The text of framed output, cut to what is kept.
fn text(mut framed: &[u8]) -> String {
    let mut plain = Vec::new();
    while let Ok(Some((chunk, used))) = frames::decode(framed) {
        plain.extend_from_slice(chunk.body);
        framed = &framed[used..];
    }
    plain.truncate(OUTPUT);
    String::from_utf8_lossy(&plain).into_owned()
}

#[cfg(test)]
mod tests {
    use proa_protocol::{HealthConfig, HostConfig};

    use super::*;
    use crate::container::definition::tests::definition;

    fn check(test: &[&str]) -> Option<Check> {
        let mut definition = definition(HostConfig::default());
        let test = Some(test.iter().map(ToString::to_string).collect());
        definition.config.healthcheck = Some(HealthConfig {
            test,
            retries: 2,
            ..HealthConfig::default()
        });
        Check::of(&definition)
    }

    #[test]
    fn tests_are_commands_or_lines_for_a_shell() {
        assert_eq!(check(&["CMD", "a", "b"]).unwrap().command, ["a", "b"]);
        assert_eq!(
            check(&["CMD-SHELL", "a b"]).unwrap().command,
            ["/bin/sh", "-c", "a b"]
        );
        assert_eq!(check(&["NONE"]), None);
        assert_eq!(check(&[]), None);
    }

    #[test]
    fn health_follows_from_exit_codes() {
        let check = check(&["CMD", "a"]).unwrap();
        let mut health = Health::default();
        let mut note = |code, starting| {
            let result = HealthcheckResult {
                exit_code: code,
                ..HealthcheckResult::default()
            };
            health.note(&check, result, starting).map(Status::name)
        };
        assert_eq!(note(1, true), None);
        assert_eq!(note(0, true), Some("healthy"));
        assert_eq!(note(1, true), None);
        assert_eq!(note(1, false), Some("unhealthy"));
        assert_eq!(note(0, false), Some("healthy"));
    }
}
