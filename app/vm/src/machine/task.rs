//! The task that owns a machine.

use std::sync::Arc;
use std::time::Duration;

use tokio::sync::mpsc;
use tokio::time::Instant;

use super::{Exit, Phase, Progress, Request, Running, State};
use crate::error::{Said, StartError};
use crate::{DialError, Dialer, Guest, GuestEvent, Hypervisor, Spec};

/// Between two knocks at a guest that has not opened yet.
const KNOCK: Duration = Duration::from_millis(10);

pub(super) struct Task {
    spec: Spec,
    progress: Progress,
    inbox: mpsc::Receiver<Request>,
}

/// Why a running machine's loop ended.
enum Order {
    Stop(Duration),
    Kill,
    Over(Exit),
}

impl Task {
    pub(super) fn new(spec: Spec, progress: Progress, inbox: mpsc::Receiver<Request>) -> Task {
        Task {
            spec,
            progress,
            inbox,
        }
    }

    pub(super) async fn run<H: Hypervisor>(mut self, hypervisor: H) {
        self.progress.reached(Phase::Checking);
        match self.start(&hypervisor).await {
            Err(error) => {
                self.progress.reached(Phase::Failed(error.to_string()));
                self.progress.enter(State::Failed(Arc::new(error)));
            }
            Ok(guest) => {
                let exit = self.watch(guest).await;
                self.progress.reached(Phase::Ended(exit.clone()));
                self.progress.enter(State::Ended(exit));
            }
        }
    }

    /// Up to the guest's answer, or to an error with nothing left behind.
    async fn start<H: Hypervisor>(&mut self, hypervisor: &H) -> Result<H::Guest, StartError> {
        let deadline = Instant::now() + self.spec.patience;
        let booted = tokio::select! {
            booted = tokio::time::timeout_at(deadline, hypervisor.boot(&self.spec, &self.progress)) => booted,
            () = called_off(&mut self.inbox) => return Err(StartError::CalledOff),
        };
        let mut guest = booted.map_err(|_| self.late())??;
        let up = tokio::select! {
            up = tokio::time::timeout_at(deadline, answer(&self.spec, &mut guest, &self.progress)) => up,
            () = called_off(&mut self.inbox) => Ok(Err(StartError::CalledOff)),
        };
        let failed = match up {
            Ok(Ok(())) => return Ok(guest),
            Ok(Err(error)) => error,
            Err(_) => self.late(),
        };
        guest.kill().await;
        Err(failed)
    }

    fn late(&self) -> StartError {
        StartError::TimedOut {
            reached: self.progress.latest(),
            after: self.spec.patience,
            said: Said(crate::console::tail(&self.spec.console)),
        }
    }

    /// From the guest's first answer to its end.
    async fn watch(&mut self, mut guest: impl Guest) -> Exit {
        self.progress.reached(Phase::Ready);
        self.progress.enter(State::Running(Running {
            dialer: guest.dialer(),
            processes: guest.processes(),
            accelerator: guest.accelerator(),
        }));
        let exit = match self.serve(&mut guest).await {
            Order::Over(exit) => exit,
            Order::Kill => Exit::Killed,
            Order::Stop(grace) => self.stop(&mut guest, grace).await,
        };
        guest.kill().await;
        exit
    }

    async fn serve(&mut self, guest: &mut impl Guest) -> Order {
        loop {
            let request = tokio::select! {
                event = guest.event() => match event {
                    GuestEvent::Ended(exit) => return Order::Over(exit),
                    GuestEvent::Spoke => continue,
                },
                request = self.inbox.recv() => request,
            };
            match request {
                None | Some(Request::Kill) => return Order::Kill,
                Some(Request::Stop { grace }) => return Order::Stop(grace),
                Some(Request::Memory(answer)) => drop(answer.send(guest.memory().await)),
                Some(Request::SetMemory(bytes, answer)) => {
                    drop(answer.send(guest.set_memory(bytes).await));
                }
            }
        }
    }

    async fn stop(&mut self, guest: &mut impl Guest, grace: Duration) -> Exit {
        self.progress.reached(Phase::Stopping);
        self.progress.enter(State::Stopping);
        if guest.power_button().await.is_err() {
            return Exit::Killed;
        }
        let deadline = Instant::now() + grace;
        loop {
            let order = tokio::time::timeout_at(deadline, self.serve(guest)).await;
            match order {
                Ok(Order::Over(exit)) => return exit,
                Ok(Order::Kill) | Err(_) => return Exit::Killed,
                // Asked twice; the first one's patience counts.
                Ok(Order::Stop(_)) => {}
            }
        }
    }
}

/// Waits for a word from the owner that the start is not wanted any more. Other words make no sense yet: their answer
/// is dropped, which says so.
async fn called_off(inbox: &mut mpsc::Receiver<Request>) {
    loop {
        match inbox.recv().await {
            None | Some(Request::Stop { .. } | Request::Kill) => return,
            Some(Request::Memory(_) | Request::SetMemory(..)) => {}
        }
    }
}

/// Knocks until the guest answers, or until it has ended.
async fn answer(
    spec: &Spec,
    guest: &mut impl Guest,
    progress: &Progress,
) -> Result<(), StartError> {
    let dialer = guest.dialer();
    let knocking = knock(&dialer, spec.ready_port);
    tokio::pin!(knocking);
    loop {
        tokio::select! {
            () = &mut knocking => return Ok(()),
            event = guest.event() => match event {
                GuestEvent::Spoke => progress.reached(Phase::KernelSpoke),
                GuestEvent::Ended(exit) => return Err(too_early(exit, spec)),
            },
        }
    }
}

async fn knock(dialer: &Dialer, port: u32) {
    loop {
        match dialer.dial(port).await {
            Ok(_) => return,
            Err(
                DialError::Refused { .. }
                | DialError::Carrier { .. }
                | DialError::Garbled { .. }
                | DialError::Unsupported { .. },
            ) => tokio::time::sleep(KNOCK).await,
        }
    }
}

fn too_early(exit: Exit, spec: &Spec) -> StartError {
    let said = Said(crate::console::tail(&spec.console));
    match exit {
        Exit::PoweredOff | Exit::Rebooted | Exit::Killed => StartError::Ended { said },
        Exit::Panicked { console } => StartError::Panicked {
            said: Said(console),
        },
        Exit::Lost { role, how } => StartError::ProcessEnded {
            process: role.to_string(),
            how,
            said,
        },
    }
}
