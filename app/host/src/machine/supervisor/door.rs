//! How everyone but its owner sees the machine.

use std::path::PathBuf;
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use proa_vm::Dialer;
use tokio::sync::{mpsc, oneshot, watch};

use super::owner::Order;
use crate::machine::control::{Condition, ProcessStatus};
use crate::machine::guest::Guest;
use crate::machine::settings::Settings;
use crate::machine::shares::SharedFolder;

/// The published copy of the owner's state.
#[derive(Clone, Default)]
pub(crate) struct View {
    pub(super) condition: Condition,
    /// What there is while it runs.
    pub(super) up: Option<Arc<Up>>,
    /// What it was last started with.
    pub(super) settings: Settings,
}

/// A machine that runs.
pub(crate) struct Up {
    /// How streams into it are opened.
    pub(crate) dialer: Dialer,
    /// Its agent.
    pub(crate) guest: Arc<Guest>,
    /// The folders that it sees.
    pub(crate) shares: Vec<SharedFolder>,
    /// Where the engine's own socket is in it.
    pub(crate) engine_socket: PathBuf,
    pub(super) agent_version: String,
    pub(super) accelerator: &'static str,
    pub(super) processes: Vec<ProcessStatus>,
    pub(super) since: SystemTime,
    pub(super) took: Duration,
}

/// Why the machine cannot be used.
#[derive(Debug, thiserror::Error)]
pub(crate) enum Down {
    #[error("the machine is stopping; `proa machine start` starts it again")]
    Stopping,
    #[error("the machine is not running; start it with `proa machine start`")]
    Stopped,
    #[error(
        "the machine does not run: {0}; `proa machine logs` tells more, `proa machine start` tries again"
    )]
    Failed(String),
}

/// The way to the machine. Copies lead to the same one.
#[derive(Clone)]
pub(crate) struct Door {
    pub(super) view: watch::Receiver<View>,
    pub(super) orders: mpsc::Sender<Order>,
}

impl Door {
    /// Whether it stopped because nobody needed it.
    pub(crate) fn is_asleep(&self) -> bool {
        self.view.borrow().condition == Condition::Asleep
    }

    /// The running machine; waits for one that is on its way, and wakes one that sleeps.
    pub(crate) async fn up(&self) -> Result<Arc<Up>, Down> {
        let view = self.view.borrow().clone();
        if let Some(up) = view.up {
            return Ok(up);
        }
        match view.condition {
            Condition::Asleep | Condition::Stopped => self.start().await?,
            Condition::Starting { .. } | Condition::Running => {}
            Condition::Stopping => return Err(Down::Stopping),
            Condition::Failed { cause } => return Err(Down::Failed(cause)),
        }
        let mut view = self.view.clone();
        let settled = view
            .wait_for(|view| !matches!(view.condition, Condition::Starting { .. }))
            .await;
        let settled = settled.map(|view| view.clone()).unwrap_or_default();
        match (settled.up, settled.condition) {
            (Some(up), _) => Ok(up),
            (None, Condition::Failed { cause }) => Err(Down::Failed(cause)),
            (None, _) => Err(Down::Stopped),
        }
    }

    /// Has it started, and returns when it is on its way.
    pub(super) async fn start(&self) -> Result<(), Down> {
        let (begun, beginning) = oneshot::channel();
        let sent = self.orders.send(Order::Start { begun }).await;
        sent.map_err(|_| Down::Stopped)?;
        beginning.await.map_err(|_| Down::Stopping)
    }
}
