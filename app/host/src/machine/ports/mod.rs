//! Published ports on this host: listeners that come and go with the containers, and tunnels into the machine behind
//! them.
//!
//! ```text
//! start asked:  reserve ─▶ listeners that wait      (a port in use fails the start)
//! started:      follow  ─▶ they lead to the container's address, others are opened or closed
//! ended:        follow  ─▶ closed
//! ```
//! One lock is held from the question what a container publishes to the moment when that is so: an older answer must
//! not overtake a newer one.

mod events;
mod holder;
mod listen;
mod tcp;
mod udp;
mod wanted;

use std::collections::HashMap;
use std::net::SocketAddr;
use std::sync::Arc;

use tokio::sync::{Mutex, watch};
use tokio::task::AbortHandle;

use self::wanted::{Inspected, Port, Wanted};
use super::control::PortStatus;
use super::guest::Guest;

pub(super) use self::listen::PortError;

/// Where a listener leads; none while its container is not started yet.
type Target = watch::Receiver<Option<SocketAddr>>;

/// All listeners of this host. Copies are the same ones.
#[derive(Clone, Default)]
pub(super) struct Ports {
    table: Arc<Mutex<HashMap<String, Published>>>,
}

/// The listeners of one container.
#[derive(Default)]
struct Published {
    name: String,
    listeners: Vec<Listener>,
}

/// One open port. Dropping it closes the port; streams through it go on.
struct Listener {
    port: Port,
    target: watch::Sender<Option<SocketAddr>>,
    task: AbortHandle,
}

impl Drop for Listener {
    fn drop(&mut self) {
        self.task.abort();
    }
}

impl Ports {
    /// Takes the ports that a container which is about to start wants by number.
    pub(super) async fn reserve(
        &self,
        guest: &Arc<Guest>,
        container: &str,
    ) -> Result<(), PortError> {
        let mut table = self.table.lock().await;
        let Some(found) = inspect(guest, container).await else {
            return Ok(());
        };
        let mut taken = Vec::new();
        for port in found.asked() {
            let is_open = table
                .get(&found.id)
                .is_some_and(|published| published.has(port));
            if !is_open {
                taken.push(open(guest, &table, &found, Wanted { port, target: None })?);
            }
        }
        let published = table.entry(found.id.clone()).or_default();
        published.name = found.short_name();
        published.listeners.extend(taken);
        Ok(())
    }

    /// Opens what a container publishes now, and closes what it does not publish any more. The first port that cannot
    /// be opened is told; the others are open.
    pub(super) async fn follow(
        &self,
        guest: &Arc<Guest>,
        container: &str,
    ) -> Result<(), PortError> {
        let mut table = self.table.lock().await;
        let Some(found) = inspect(guest, container).await else {
            table.retain(|id, published| !id.starts_with(container) && published.name != container);
            return Ok(());
        };
        let wanted = found.published();
        if wanted.is_empty() {
            table.remove(&found.id);
            return Ok(());
        }
        let mut published = table.remove(&found.id).unwrap_or_default();
        published.name = found.short_name();
        published
            .listeners
            .retain(|listener| wanted.iter().any(|wanted| wanted.port == listener.port));
        let mut problem = None;
        for wanted in wanted {
            match published
                .listeners
                .iter()
                .find(|listener| listener.port == wanted.port)
            {
                Some(listener) => drop(listener.target.send_replace(wanted.target)),
                None => match open(guest, &table, &found, wanted) {
                    Ok(listener) => published.listeners.push(listener),
                    Err(e) => problem = problem.or(Some(e)),
                },
            }
        }
        table.insert(found.id.clone(), published);
        problem.map_or(Ok(()), Err)
    }

    /// Closes every port.
    pub(super) async fn close(&self) {
        self.table.lock().await.clear();
    }

    /// The containers that have ports here.
    async fn containers(&self) -> Vec<String> {
        self.table.lock().await.keys().cloned().collect()
    }

    /// What is open.
    pub(super) async fn status(&self) -> Vec<PortStatus> {
        let table = self.table.lock().await;
        let mut ports: Vec<_> = table
            .values()
            .flat_map(|published| published.listeners.iter().map(|one| one.status(published)))
            .collect();
        ports.sort_by(|a, b| a.host.cmp(&b.host));
        ports
    }
}

impl Published {
    fn has(&self, port: Port) -> bool {
        self.listeners.iter().any(|listener| listener.port == port)
    }
}

impl Listener {
    fn status(&self, published: &Published) -> PortStatus {
        let target = *self.target.borrow();
        PortStatus {
            host: self.port.to_string(),
            container: published.name.clone(),
            target: target.map(|target| target.to_string()).unwrap_or_default(),
        }
    }
}

/// A container that is not there has no ports; one that nobody can tell about keeps none either.
async fn inspect(guest: &Guest, container: &str) -> Option<Inspected> {
    match guest.inspect(container).await {
        Ok(found) => found,
        Err(e) => {
            tracing::warn!(
                "ask about container {container}: {}",
                crate::error::told(&e)
            );
            None
        }
    }
}

fn open(
    guest: &Arc<Guest>,
    table: &HashMap<String, Published>,
    found: &Inspected,
    wanted: Wanted,
) -> Result<Listener, PortError> {
    let port = wanted.port;
    let (sender, target) = watch::channel(wanted.target);
    let task = listen::start(guest.clone(), port, target).map_err(|source| {
        let other = table
            .iter()
            .find(|(id, published)| **id != found.id && published.has(port));
        let holder = match other {
            Some((_, published)) => Some(format!("container {}", published.name)),
            None => holder::of(port),
        };
        PortError::new(port, found, holder, source)
    })?;
    Ok(Listener {
        port,
        target: sender,
        task,
    })
}

/// How long it is waited before events are asked for again: the engine in the machine starts anew.
const PAUSE: std::time::Duration = std::time::Duration::from_secs(1);

/// Follows the engine's events for as long as the machine runs; whoever stops that closes the ports.
pub(super) async fn follow_all(ports: Ports, guest: Arc<Guest>, notice: impl Fn(String) + Send) {
    loop {
        match events::follow(&ports, &guest, &notice).await {
            Ok(()) => tracing::info!("the engine's events ended"),
            Err(e) => tracing::info!("the engine's events broke off: {}", crate::error::told(&e)),
        }
        tokio::time::sleep(PAUSE).await;
    }
}
