//! Answers at `supervisor.sock`.

use std::io;
use std::sync::Arc;
use std::time::{Duration, UNIX_EPOCH};

use tokio::io::{AsyncBufReadExt, AsyncReadExt, AsyncWriteExt, BufReader};
use tokio::net::unix::OwnedWriteHalf;
use tokio::net::{UnixListener, UnixStream};
use tokio::sync::oneshot;

use super::owner::Order;
use super::{Activity, Door, Notices};
use crate::machine::control::{Ask, Condition, Status, Told};
use crate::machine::folders::Folders;
use crate::machine::guest::GuestError;
use crate::machine::ports::Ports;

/// The longest question.
const LONGEST: u64 = 4096;

/// How long the machine may take to say how it is.
const LOOK: Duration = Duration::from_secs(3);

/// What questions are answered from.
pub(super) struct Desk {
    pub(super) door: Door,
    pub(super) ports: Ports,
    pub(super) activity: Activity,
    pub(super) notices: Notices,
    pub(super) folders: Folders,
}

impl Desk {
    /// Answers for good.
    pub(super) async fn serve(self: Arc<Self>, listener: UnixListener) {
        loop {
            match listener.accept().await {
                Ok((stream, _)) => {
                    let desk = self.clone();
                    tokio::spawn(async move {
                        if let Err(e) = desk.converse(stream).await {
                            tracing::debug!("a question at the control socket: {e}");
                        }
                    });
                }
                Err(e) => {
                    tracing::warn!("accept a question: {e}");
                    tokio::time::sleep(Duration::from_millis(100)).await;
                }
            }
        }
    }

    async fn converse(&self, stream: UnixStream) -> io::Result<()> {
        let (from, mut to) = stream.into_split();
        let mut line = String::new();
        BufReader::new(from.take(LONGEST))
            .read_line(&mut line)
            .await?;
        match serde_json::from_str(&line) {
            Ok(ask) => self.answer(ask, &mut to).await,
            Err(e) => refuse(&mut to, format!("understand the question: {e}")).await,
        }
    }

    async fn answer(&self, ask: Ask, to: &mut OwnedWriteHalf) -> io::Result<()> {
        match ask {
            Ask::Status => tell(to, &Told::Status(Box::new(self.status().await))).await?,
            Ask::Start => {
                let (begun, beginning) = oneshot::channel();
                self.order(Order::Start { begun }, beginning).await;
                return self.follow(to).await;
            }
            Ask::Restart => {
                let (begun, beginning) = oneshot::channel();
                self.order(Order::Restart { begun }, beginning).await;
                return self.follow(to).await;
            }
            Ask::Stop { force } => {
                let (done, stopped) = oneshot::channel();
                self.order(Order::Stop { force, done }, stopped).await;
            }
        }
        tell(to, &Told::Done).await
    }

    /// An owner that is gone has stopped the machine; there is nothing to wait for.
    async fn order(&self, order: Order, done: oneshot::Receiver<()>) {
        if self.door.orders.send(order).await.is_ok() {
            let _ = done.await;
        }
    }

    /// Tells how a start goes, until it has come to something.
    async fn follow(&self, to: &mut OwnedWriteHalf) -> io::Result<()> {
        let mut view = self.door.view.clone();
        loop {
            let condition = view.borrow_and_update().condition.clone();
            tell(to, &Told::Condition(condition.clone())).await?;
            match condition {
                Condition::Running => return tell(to, &Told::Done).await,
                Condition::Failed { cause } => return refuse(to, cause).await,
                Condition::Stopped | Condition::Stopping | Condition::Asleep => {
                    return refuse(to, "the start was called off".to_owned()).await;
                }
                Condition::Starting { .. } => {}
            }
            if view.changed().await.is_err() {
                return refuse(to, "the supervisor ends".to_owned()).await;
            }
        }
    }

    async fn status(&self) -> Status {
        let view = self.door.view.borrow().clone();
        let up = view.up.as_deref();
        let health = match up {
            Some(up) => tokio::time::timeout(LOOK, up.guest.health()).await,
            None => Ok(Err(GuestError::Late)),
        };
        let health = health.ok().and_then(Result::ok);
        let since = up.and_then(|up| up.since.duration_since(UNIX_EPOCH).ok());
        Status {
            version: env!("CARGO_PKG_VERSION").to_owned(),
            pid: std::process::id(),
            agent_version: up.map(|up| up.agent_version.clone()),
            accelerator: up.map(|up| up.accelerator.to_owned()),
            since: since.map(|since| since.as_secs()),
            start_milliseconds: up.map(|up| up.took.as_millis() as u64),
            docker_socket: self.folders.docker_socket(),
            cpus: view.settings.cpus,
            memory: view.settings.memory,
            disk: view.settings.disk,
            disk_used: health.as_ref().map(|health| health.disk.used),
            memory_total: health.as_ref().map(|health| health.memory.total),
            memory_available: health.as_ref().map(|health| health.memory.available),
            shares: up.map_or(view.settings.shares, |up| up.shares.clone()),
            processes: up.map(|up| up.processes.clone()).unwrap_or_default(),
            ports: self.ports.status().await,
            open_streams: self.activity.open(),
            notices: self.notices.all(),
            condition: view.condition,
        }
    }
}

async fn refuse(to: &mut OwnedWriteHalf, message: String) -> io::Result<()> {
    tell(to, &Told::Refused { message }).await
}

async fn tell(to: &mut OwnedWriteHalf, told: &Told) -> io::Result<()> {
    let mut line = serde_json::to_vec(told)?;
    line.push(b'\n');
    to.write_all(&line).await
}
