//! The one process per user that looks after the machine.
//!
//! ```text
//!            Start                  ready                    Sleep (idle)
//! Stopped ──────────▶ Starting ───────────▶ Running ───────────────────────▶ Asleep
//!                      │  ▲  │ failed         │ │ ▲                            │
//!                      │  │  └──▶ Failed ◀────┘ │ └──── Starting ◀─────────────┘ the first command
//!                      │  └── ended by itself ──┘
//!                      └── Stop ──▶ Stopping ──▶ the process ends
//! ```
//! [`Owner`] is the only one that changes this state; everyone else reads a published copy through a [`Door`] and sends
//! orders. Killing this process ends the machine with it; the lock is free then, and sockets left behind are replaced.

mod activity;
mod attached;
mod boot;
mod clock;
mod door;
mod idle;
mod image;
mod owner;
mod serve;
mod surroundings;

use std::io;
use std::path::PathBuf;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use tokio::signal::unix::{SignalKind, signal};
use tokio::sync::{mpsc, oneshot};

pub(super) use activity::{Activity, Busy};
pub(super) use door::{Door, Up};

use self::owner::{Order, Owner};
use super::folders::{Folders, FoldersError};
use super::lock::Lock;
use super::ports::Ports;
use super::proxy::{self, Proxy};

/// Why there is no supervisor.
#[derive(Debug, thiserror::Error)]
pub enum SuperviseError {
    /// There is no place for it.
    #[error(transparent)]
    Folders(#[from] FoldersError),
    /// The lock cannot be asked for.
    #[error("lock {}", .0.display())]
    Lock(PathBuf, #[source] io::Error),
    /// A socket cannot be opened.
    #[error("listen at {}", .0.display())]
    Listen(PathBuf, #[source] io::Error),
    /// Signals cannot be waited for.
    #[error("wait for signals")]
    Signals(#[source] io::Error),
}

/// For how long one that is about to end may hold the lock.
const PATIENCE: Duration = Duration::from_secs(10);

/// Looks after this user's machine until it is told to stop. Returns at once where another process does so already.
pub async fn run(folders: Folders) -> Result<(), SuperviseError> {
    folders.create()?;
    let Some(_lock) = locked(&folders).await? else {
        tracing::info!("another supervisor is at work");
        return Ok(());
    };
    let (orders, inbox) = mpsc::channel(16);
    let notices = Notices::default();
    let ports = Ports::default();
    let activity = Activity::default();
    let (owner, door) = Owner::new(folders.clone(), inbox, orders.clone());
    let owner = owner.sharing(ports.clone(), activity.clone(), notices.clone());

    let docker = folders.docker_socket();
    let listener = proxy::listen(&docker).map_err(|e| SuperviseError::Listen(docker.clone(), e))?;
    let proxy = Proxy::new(door.clone(), ports.clone(), activity.clone(), docker);
    tokio::spawn(proxy.serve(listener));

    let control = folders.control_socket();
    let listener = proxy::listen(&control).map_err(|e| SuperviseError::Listen(control, e))?;
    let desk = serve::Desk {
        door,
        ports,
        activity,
        notices,
        folders: folders.clone(),
    };
    tokio::spawn(Arc::new(desk).serve(listener));
    let stopped = stop_on_signal(orders).map_err(SuperviseError::Signals)?;
    tokio::spawn(stopped);

    owner.run().await;
    for socket in [folders.docker_socket(), folders.control_socket()] {
        // What is gone already needs no removal.
        let _ = std::fs::remove_file(socket);
    }
    // Whoever asked for the stop is still to be told.
    tokio::time::sleep(Duration::from_millis(50)).await;
    Ok(())
}

/// Says on standard error what goes on; `RUST_LOG` says how much.
pub fn log(colours: bool) {
    let filter = tracing_subscriber::EnvFilter::builder()
        .with_default_directive(tracing::level_filters::LevelFilter::INFO.into())
        .from_env_lossy();
    let subscriber = tracing_subscriber::fmt()
        .with_env_filter(filter)
        .with_ansi(colours)
        .with_writer(io::stderr);
    // Set by somebody else already: theirs will do.
    let _ = subscriber.try_init();
}

/// The lock; one that is being stopped lets go of it soon.
async fn locked(folders: &Folders) -> Result<Option<Lock>, SuperviseError> {
    let path = folders.lock();
    let deadline = tokio::time::Instant::now() + PATIENCE;
    loop {
        let taken = Lock::take(&path).map_err(|e| SuperviseError::Lock(path.clone(), e))?;
        let answers = std::os::unix::net::UnixStream::connect(folders.control_socket()).is_ok();
        if taken.is_some() || answers || tokio::time::Instant::now() > deadline {
            return Ok(taken);
        }
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
}

/// SIGTERM and SIGINT are orderly stops.
fn stop_on_signal(orders: mpsc::Sender<Order>) -> io::Result<impl Future<Output = ()>> {
    let mut terminate = signal(SignalKind::terminate())?;
    let mut interrupt = signal(SignalKind::interrupt())?;
    Ok(async move {
        tokio::select! {
            _ = terminate.recv() => {}
            _ = interrupt.recv() => {}
        }
        let (done, _) = oneshot::channel();
        // An owner that is gone has stopped already.
        let _ = orders.send(Order::Stop { force: false, done }).await;
    })
}

/// What went wrong and a user should know of; the newest ones.
#[derive(Clone, Default)]
pub(super) struct Notices(Arc<Mutex<Vec<String>>>);

impl Notices {
    /// How many are kept.
    const MOST: usize = 20;

    pub(super) fn add(&self, notice: String) {
        let mut notices = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        notices.retain(|known| *known != notice);
        if notices.len() >= Self::MOST {
            notices.remove(0);
        }
        notices.push(notice);
    }

    fn all(&self) -> Vec<String> {
        self.0
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .clone()
    }

    fn clear(&self) {
        self.0
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .clear();
    }
}
