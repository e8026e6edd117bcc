//! The one who starts, watches and stops the machine.

use std::sync::Arc;
use std::time::{Duration, Instant};

use proa_vm::{Exit, Machine, Phase};
use tokio::sync::{mpsc, oneshot, watch};
use tokio::task::JoinSet;

use super::boot::{BootError, Plan};
use super::door::{Door, Up, View};
use super::{Activity, Notices, clock, idle};
use crate::error::told;
use crate::machine::control::Condition;
use crate::machine::folders::Folders;
use crate::machine::ports::{self, Ports};
use crate::machine::settings::Settings;

/// What can be asked of the owner.
#[derive(Debug)]
pub(super) enum Order {
    /// Have it run; told when it is on its way, or runs already.
    Start { begun: oneshot::Sender<()> },
    /// Have it stopped for good; told when it is.
    Stop {
        force: bool,
        done: oneshot::Sender<()>,
    },
    /// Stop it and start it; told when the new one is on its way.
    Restart { begun: oneshot::Sender<()> },
    /// Nobody needs it.
    Sleep,
}

/// How long containers have to end, and then the machine itself.
const GRACE: Duration = Duration::from_secs(60);
/// How often a machine that ends by itself is started again, within how long.
const RESTARTS: usize = 3;
const WITHIN: Duration = Duration::from_secs(600);

/// See the module's page.
pub(super) struct Owner {
    folders: Folders,
    inbox: mpsc::Receiver<Order>,
    orders: mpsc::Sender<Order>,
    publish: watch::Sender<View>,
    ports: Ports,
    activity: Activity,
    notices: Notices,
    /// When it was started again because it had ended by itself.
    restarts: Vec<Instant>,
}

/// What follows a machine's life.
enum Next {
    /// Wait for orders.
    Wait,
    /// Start another.
    Again,
    /// End.
    End,
}

impl Owner {
    pub(super) fn new(
        folders: Folders,
        inbox: mpsc::Receiver<Order>,
        orders: mpsc::Sender<Order>,
    ) -> (Self, Door) {
        let (publish, view) = watch::channel(View::default());
        let door = Door {
            view,
            orders: orders.clone(),
        };
        let owner = Self {
            folders,
            inbox,
            orders,
            publish,
            ports: Ports::default(),
            activity: Activity::default(),
            notices: Notices::default(),
            restarts: Vec::new(),
        };
        (owner, door)
    }

    /// What it has in common with the other tasks.
    pub(super) fn sharing(self, ports: Ports, activity: Activity, notices: Notices) -> Self {
        Self {
            ports,
            activity,
            notices,
            ..self
        }
    }

    /// Follows orders until the one to stop.
    pub(super) async fn run(mut self) {
        while let Some(order) = self.inbox.recv().await {
            let begun = match order {
                Order::Start { begun } | Order::Restart { begun } => begun,
                Order::Stop { done, .. } => {
                    self.enter(Condition::Stopped);
                    let _ = done.send(());
                    return;
                }
                Order::Sleep => continue,
            };
            self.notices.clear();
            self.restarts.clear();
            self.starting("settings are read");
            let _ = begun.send(());
            loop {
                match self.live().await {
                    Next::Wait => break,
                    Next::Again => {}
                    Next::End => return,
                }
            }
        }
    }

    /// One machine, from its start to its end.
    async fn live(&mut self) -> Next {
        self.starting("settings are read");
        let plan = Settings::read(&self.folders)
            .map_err(BootError::from)
            .and_then(|settings| {
                self.publish
                    .send_modify(|view| view.settings = settings.clone());
                Plan::new(&self.folders, settings)
            });
        let plan = match plan {
            Ok(plan) => plan,
            Err(e) => return self.failed(&e),
        };
        let machine = plan.start();
        let _phases = self.tell_phases(&machine);
        let settling = plan.settle(machine.clone(), self.notices.clone());
        let mut settling = std::pin::pin!(settling);
        let settled = loop {
            tokio::select! {
                settled = &mut settling => break settled,
                order = self.inbox.recv() => match order {
                    Some(Order::Start { begun } | Order::Restart { begun }) => drop(begun.send(())),
                    Some(Order::Sleep) => {}
                    Some(Order::Stop { done, .. }) => {
                        machine.kill().await;
                        self.enter(Condition::Stopped);
                        let _ = done.send(());
                        return Next::End;
                    }
                    None => return Next::End,
                }
            }
        };
        match settled {
            Ok(up) => self.watch(&plan, machine, Arc::new(up)).await,
            Err(e) => {
                machine.kill().await;
                self.failed(&e)
            }
        }
    }

    /// A machine that runs, until it does not.
    async fn watch(&mut self, plan: &Plan, machine: Machine, up: Arc<Up>) -> Next {
        tracing::info!("the machine runs after {:?}", up.took);
        self.publish.send_modify(|view| {
            view.condition = Condition::Running;
            view.up = Some(up.clone());
        });
        let _chores = self.chores(plan, &up);
        loop {
            let order = tokio::select! {
                order = self.inbox.recv() => order,
                exit = machine.ended() => {
                    self.ports.close().await;
                    return self.ended(&exit);
                }
            };
            match order {
                Some(Order::Start { begun }) => drop(begun.send(())),
                Some(Order::Stop { force, done }) => {
                    self.stop(plan, &machine, &up, force).await;
                    self.enter(Condition::Stopped);
                    let _ = done.send(());
                    return Next::End;
                }
                Some(Order::Restart { begun }) => {
                    self.stop(plan, &machine, &up, false).await;
                    self.starting("settings are read");
                    let _ = begun.send(());
                    return Next::Again;
                }
                Some(Order::Sleep) => {
                    self.stop(plan, &machine, &up, false).await;
                    tracing::info!("nobody needs the machine; it sleeps");
                    self.enter(Condition::Asleep);
                    return Next::Wait;
                }
                None => return Next::End,
            }
        }
    }

    /// What is done all the while. It ends when this is dropped.
    fn chores(&self, plan: &Plan, up: &Arc<Up>) -> JoinSet<()> {
        let mut chores = JoinSet::new();
        let notices = self.notices.clone();
        let notice = move |text| notices.add(text);
        chores.spawn(ports::follow_all(
            self.ports.clone(),
            up.guest.clone(),
            notice,
        ));
        if plan.is_virtual() {
            chores.spawn(clock::keep(up.guest.clone()));
        }
        let minutes = self.publish.borrow().settings.idle_minutes;
        if let Some(limit) = idle_limit(minutes) {
            let idle = idle::wait(self.activity.clone(), up.guest.clone(), limit);
            let orders = self.orders.clone();
            chores.spawn(async move {
                idle.await;
                // An owner that is gone has stopped the machine itself.
                let _ = orders.send(Order::Sleep).await;
            });
        }
        chores
    }

    /// Stops the containers, then the machine; pulls the plug if that takes too long.
    async fn stop(&mut self, plan: &Plan, machine: &Machine, up: &Up, force: bool) {
        self.enter(Condition::Stopping);
        self.ports.close().await;
        if force || !plan.is_virtual() {
            machine.kill().await;
            return;
        }
        match up.guest.shut_down().await {
            Ok(()) => {
                if tokio::time::timeout(GRACE, machine.ended()).await.is_err() {
                    tracing::warn!("the machine did not turn itself off; its plug is pulled");
                    machine.kill().await;
                }
            }
            Err(e) => {
                tracing::warn!("ask the machine to turn itself off: {}", told(&e));
                machine.stop(GRACE).await;
            }
        }
    }

    /// It ended by itself: containers that should run are waiting for it.
    fn ended(&mut self, exit: &Exit) -> Next {
        tracing::warn!("{exit}");
        self.notices.add(format!("{exit}; it was started again"));
        let now = Instant::now();
        self.restarts.retain(|at| now.duration_since(*at) < WITHIN);
        if self.restarts.len() >= RESTARTS {
            let cause = format!("{exit}, and not for the first time");
            self.enter(Condition::Failed { cause });
            return Next::Wait;
        }
        self.restarts.push(now);
        self.starting("it ended by itself and is started again");
        Next::Again
    }

    fn failed(&mut self, error: &BootError) -> Next {
        let cause = told(error);
        tracing::error!("{cause}");
        self.enter(Condition::Failed { cause });
        Next::Wait
    }

    fn starting(&self, phase: &str) {
        let phase = phase.to_owned();
        self.enter(Condition::Starting { phase });
    }

    fn enter(&self, condition: Condition) {
        self.publish.send_modify(|view| {
            view.condition = condition;
            view.up = None;
        });
    }

    /// Publishes how far a start got, for as long as this is held.
    fn tell_phases(&self, machine: &Machine) -> JoinSet<()> {
        let mut events = machine.events();
        let (publish, notices) = (self.publish.clone(), self.notices.clone());
        let mut task = JoinSet::new();
        task.spawn(async move {
            while let Some(event) = events.next().await {
                tracing::info!("{:.1?}: {}", event.after, event.phase);
                if let Phase::FellBack { .. } = event.phase {
                    notices.add(event.phase.to_string());
                }
                publish.send_if_modified(|view| {
                    let starting = matches!(view.condition, Condition::Starting { .. });
                    if starting {
                        let phase = event.phase.to_string();
                        view.condition = Condition::Starting { phase };
                    }
                    starting
                });
            }
        });
        task
    }
}

/// Tests cannot wait for minutes: `PROA_IDLE_SECONDS` says it more finely.
fn idle_limit(minutes: u64) -> Option<Duration> {
    let seconds = std::env::var("PROA_IDLE_SECONDS").ok();
    let seconds = seconds.and_then(|text| text.parse().ok());
    let seconds = seconds.unwrap_or(minutes * 60);
    (seconds > 0).then(|| Duration::from_secs(seconds))
}
