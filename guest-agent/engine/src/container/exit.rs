//! What happens when a container ends: it is told, noted, perhaps started again, perhaps removed.

use std::{sync::Arc, time::Duration};

use jiff::{SignedDuration, Timestamp};
use proa_kernel::cgroup::{Cgroup, CgroupError};
use proa_runtime::client::{self, Event};

use super::{
    definition::{Definition, RestartPolicy},
    link::Link,
    state::{Ended, Exit, History, Running, State},
    task::{FIRST_BACK_OFF, Request, Task},
};
use crate::{Engine, clock};

/// A run that lasted so long starts the back-off anew.
const STEADY: SignedDuration = SignedDuration::from_secs(10);

/// The longest wait between two restarts.
const LONGEST_BACK_OFF: Duration = Duration::from_secs(60);

impl Task {
    /// The monitor tells.
    pub(super) async fn hear(&mut self, engine: &Arc<Engine>, link: &Arc<Link>, event: Event) {
        let Some(running) = self.run_of(link) else {
            return;
        };
        match event {
            Event::Exited(exit) => {
                let exit = exit_of(&exit, running.started);
                self.ended(engine, exit).await;
            }
            Event::ExecExited { id, exit } => engine.exec_ended(&self.definition, &id, exit),
            Event::Oom => self.tell(engine, "oom", &[]),
        }
    }

    /// The monitor's connection ended; before its exit was told, it was killed.
    pub(super) async fn monitor_gone(&mut self, engine: &Arc<Engine>, link: &Arc<Link>) {
        if self
            .leaving
            .as_ref()
            .is_some_and(|leaving| Arc::ptr_eq(leaving, link))
        {
            self.leaving = None;
        }
        let Some(running) = self.run_of(link) else {
            return;
        };
        let folder = engine.paths.run_container(&self.definition.id);
        let exit = match client::exit(&folder) {
            Ok(Some(exit)) => exit_of(&exit, running.started),
            Ok(None) | Err(_) => {
                if let Err(error) = running.cgroup.kill() {
                    tracing::error!(id = self.id(), %error, "killing the processes of a container without monitor failed");
                }
                lost(running.started, 137, "the container's monitor was killed")
            }
        };
        self.ended(engine, exit).await;
    }

    /// The live run this link belongs to.
    fn run_of(&self, link: &Arc<Link>) -> Option<Running> {
        self.state
            .live()
            .filter(|running| Arc::ptr_eq(&running.link, link))
            .cloned()
    }

    async fn ended(&mut self, engine: &Arc<Engine>, exit: Exit) {
        let Some(running) = self.state.live().cloned() else {
            return;
        };
        self.history.ended = Ended::Exited(exit.clone());
        self.history.running = None;
        self.exits += 1;
        self.leaving = Some(Arc::clone(&running.link));
        self.leave_networks(engine, &running);
        let again = !engine.is_going_down() && restarts(&self.definition, &self.history, &exit);
        if again {
            self.history.restarts += 1;
            self.enter(State::Restarting(exit.clone()));
        } else {
            self.enter(State::Exited(exit.clone()));
        }
        self.tell_networks(engine, "disconnect", &running.place);
        self.tell_death(engine, &exit);
        engine.tell_unmounts(&self.definition);
        engine.execs.lost(&self.definition.id);
        if again {
            self.schedule(&exit);
        }
        self.note(engine);
        super::shm::remove(engine, &self.definition);
        let cgroup = running.cgroup;
        let id = self.definition.id.clone();
        self.clearing = Some(tokio::task::spawn_blocking(move || {
            if let Err(error) = clear(&cgroup) {
                tracing::warn!(%id, %error, "deleting the cgroup of an ended container failed");
            }
        }));
        if !again {
            self.remove_if_asked_for(engine).await;
        }
    }

    fn tell_death(&self, engine: &Engine, exit: &Exit) {
        let ran = exit
            .started
            .map_or(0, |started| exit.finished.duration_since(started).as_secs());
        self.tell(
            engine,
            "die",
            &[
                ("exitCode", exit.code.to_string()),
                ("execDuration", ran.max(0).to_string()),
            ],
        );
    }

    fn schedule(&mut self, exit: &Exit) {
        if exit
            .started
            .is_some_and(|started| exit.finished.duration_since(started) > STEADY)
        {
            self.back_off = FIRST_BACK_OFF;
        }
        self.attempt += 1;
        let (wait, attempt, inbox) = (self.back_off, self.attempt, self.inbox.clone());
        self.back_off = (self.back_off * 2).min(LONGEST_BACK_OFF);
        tokio::spawn(async move {
            tokio::time::sleep(wait).await;
            // The container may be gone by then.
            let _ = inbox.send(Request::Restart { attempt });
        });
    }

    /// The back-off is over; unless somebody stopped, started or removed it meanwhile.
    pub(super) async fn restart_now(&mut self, engine: &Arc<Engine>, attempt: u64) {
        let State::Restarting(exit) = &self.state else {
            return;
        };
        if attempt != self.attempt {
            return;
        }
        let exit = exit.clone();
        if let Err(error) = self.launch(engine).await {
            tracing::warn!(
                id = self.id(),
                error = error.told(),
                "starting a container again failed"
            );
            // It runs, and only that was not written down.
            if self.state.live().is_some() {
                return;
            }
            let exit = Exit {
                code: self.history.ended.code(),
                error: error.told(),
                ..exit
            };
            if restarts(&self.definition, &self.history, &exit) {
                self.history.restarts += 1;
                self.enter(State::Restarting(exit.clone()));
                // This try did not run, so it was not a long run that starts the back-off anew.
                self.schedule(&Exit {
                    started: None,
                    ..exit
                });
            }
        }
    }

    /// The engine was opened: what ended meanwhile and what the machine's end stopped is started again by policy.
    pub(super) async fn resume(&mut self, engine: &Arc<Engine>) {
        if let Some(running) = self.state.live() {
            self.watch_health(engine, running);
        }
        let State::Exited(exit) = &self.state else {
            return;
        };
        let exit = exit.clone();
        if self.out_of_reach.is_none() && resumes(&self.definition, &self.history, &exit) {
            self.history.manually_stopped = false;
            self.enter(State::Restarting(exit));
            self.attempt += 1;
            let attempt = self.attempt;
            self.restart_now(engine, attempt).await;
        }
    }
}

/// Whether the policy wants it started with the engine: `always` means it, even if a user had stopped it.
fn resumes(definition: &Definition, history: &History, exit: &Exit) -> bool {
    definition.restart_policy() == RestartPolicy::Always || restarts(definition, history, exit)
}

/// Takes a cgroup away. Usually nothing is left in it: its processes are looked for only if the kernel refuses.
pub(super) fn clear(cgroup: &Cgroup) -> std::result::Result<(), CgroupError> {
    match cgroup.delete() {
        Ok(()) => Ok(()),
        Err(_) => cgroup.kill_and_wait().and_then(|()| cgroup.delete()),
    }
}

/// Whether the policy wants it started again after this.
fn restarts(definition: &Definition, history: &History, exit: &Exit) -> bool {
    if history.manually_stopped {
        return false;
    }
    match definition.restart_policy() {
        RestartPolicy::No => false,
        RestartPolicy::Always | RestartPolicy::UnlessStopped => true,
        RestartPolicy::OnFailure(most) => exit.code != 0 && (most == 0 || history.restarts < most),
    }
}

/// What a monitor recorded.
pub(super) fn exit_of(exit: &client::Exit, started: Timestamp) -> Exit {
    Exit {
        code: exit.code,
        started: Some(started),
        finished: clock::from_nanoseconds(exit.time),
        oom_killed: exit.oom_killed,
        error: String::new(),
    }
}

/// An end nobody saw.
pub(super) fn lost(started: Timestamp, code: i32, error: &str) -> Exit {
    Exit {
        code,
        started: Some(started),
        finished: clock::now(),
        oom_killed: false,
        error: error.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use proa_protocol::{HostConfig, RestartPolicy as Policy};

    use super::*;
    use crate::container::definition::tests::definition;

    fn check(name: &str, most: i64, code: i32, restarted: u32, manually_stopped: bool) -> bool {
        let restart_policy = Policy {
            name: name.to_owned(),
            maximum_retry_count: most,
        };
        let definition = definition(HostConfig {
            restart_policy,
            ..HostConfig::default()
        });
        let history = History {
            restarts: restarted,
            manually_stopped,
            ..History::default()
        };
        restarts(
            &definition,
            &history,
            &lost(Timestamp::UNIX_EPOCH, code, ""),
        )
    }

    #[test]
    fn policies_decide_as_dockers_do() {
        assert!(!check("no", 0, 1, 0, false));
        assert!(check("always", 0, 0, 9, false));
        assert!(!check("unless-stopped", 0, 0, 0, true));
        assert!(check("on-failure", 0, 1, 9, false));
        assert!(!check("on-failure", 0, 0, 0, false));
        assert!(check("on-failure", 2, 1, 1, false));
        assert!(!check("on-failure", 2, 1, 2, false));
    }
}
