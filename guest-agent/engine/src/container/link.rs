//! The connection to a container's monitor, from the async side.
//!
//! One task reads what the monitor says: answers go to whoever asked, events and the monitor's end to the
//! container's own task.

use std::{
    collections::HashMap,
    io,
    os::fd::{BorrowedFd, OwnedFd},
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use proa_runtime::{
    StartError,
    client::{ExecLaunch, Message, Monitor, Received, Refusal, Reply, Request, Started},
};
use tokio::{
    io::unix::AsyncFd,
    sync::{mpsc, oneshot, watch},
    time::timeout,
};

use super::task;
use crate::{
    Error, Result,
    pollable::{self, Pollable},
};

/// How long a monitor may take to answer before it is taken for dead.
const PATIENCE: Duration = Duration::from_secs(60);

type Answer = (std::result::Result<Reply, Refusal>, Option<OwnedFd>);

/// A live connection to one monitor.
pub(crate) struct Link {
    monitor: AsyncFd<Pollable<Monitor>>,
    /// Who waits for which answer.
    waiting: Mutex<HashMap<u32, oneshot::Sender<Answer>>>,
    /// The connection ended.
    over: watch::Sender<bool>,
}

impl std::fmt::Debug for Link {
    fn fmt(&self, out: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        out.write_str("Link")
    }
}

/// How the start of a container's first process came out.
pub(crate) enum Launched {
    Started(Started, Option<OwnedFd>),
    Failed(StartError),
    /// The monitor died before it could tell.
    Lost,
}

impl Link {
    pub(crate) fn new(monitor: Monitor) -> io::Result<Arc<Self>> {
        Ok(Arc::new(Link {
            monitor: pollable::watch(monitor)?,
            waiting: Mutex::default(),
            over: watch::channel(false).0,
        }))
    }

    /// Waits for the first message of a launch. To be called once, before [`Link::listen`].
    pub(crate) async fn launched(&self) -> io::Result<Launched> {
        loop {
            match self.next().await {
                Ok(Received {
                    message: Message::Launched(Ok(started)),
                    fd,
                    ..
                }) => {
                    return Ok(Launched::Started(started, fd));
                }
                Ok(Received {
                    message: Message::Launched(Err(error)),
                    ..
                }) => return Ok(Launched::Failed(error)),
                Ok(Received {
                    message: Message::Reply(_) | Message::Event(_),
                    ..
                }) => {}
                Err(error) if error.kind() == io::ErrorKind::UnexpectedEof => {
                    return Ok(Launched::Lost);
                }
                Err(error) => return Err(error),
            }
        }
    }

    /// Reads on until the monitor is gone; tells the container's task.
    pub(crate) fn listen(self: &Arc<Self>, inbox: mpsc::UnboundedSender<task::Request>) {
        let link = Arc::clone(self);
        tokio::spawn(async move {
            while let Ok(received) = link.next().await {
                link.deliver(received, &inbox);
            }
            link.lock().clear();
            link.over.send_replace(true);
            // The container's task ends only with the container.
            let _ = inbox.send(task::Request::MonitorGone(link));
        });
    }

    /// Asks the monitor and waits for its answer.
    pub(crate) async fn ask(
        &self,
        request: &Request,
        fds: &[BorrowedFd<'_>],
    ) -> Result<(Reply, Option<OwnedFd>)> {
        let answer = self.register(|monitor| monitor.send(request, fds))?;
        self.answer(answer).await
    }

    /// Has an exec started; `attach` gets its output.
    pub(crate) async fn exec(
        &self,
        launch: &ExecLaunch,
        attach: Option<BorrowedFd<'_>>,
    ) -> Result<std::result::Result<(Reply, Option<OwnedFd>), Refusal>> {
        let answer = self.register(|monitor| monitor.send_exec(launch, attach))?;
        let (reply, fd) = wait(answer).await?;
        Ok(reply.map(|reply| (reply, fd)))
    }

    /// Resolves when the monitor has ended.
    pub(crate) async fn gone(&self) {
        // The sender is ours.
        let _ = self.over.subscribe().wait_for(|over| *over).await;
    }

    async fn answer(&self, answer: oneshot::Receiver<Answer>) -> Result<(Reply, Option<OwnedFd>)> {
        let (reply, fd) = wait(answer).await?;
        match reply {
            Ok(reply) => Ok((reply, fd)),
            Err(Refusal::NotRunning) => Err(Error::conflict("the container is not running")),
            Err(refusal) => Err(Error::internal("ask the container's monitor").with(refusal)),
        }
    }

    /// Sends while nobody can read the answer, so that it finds its asker.
    fn register(
        &self,
        send: impl FnOnce(&Monitor) -> io::Result<u32>,
    ) -> Result<oneshot::Receiver<Answer>> {
        let mut waiting = self.lock();
        let sequence = send(self.monitor.get_ref())
            .map_err(|error| Error::internal("ask the container's monitor").with(error))?;
        let (sender, receiver) = oneshot::channel();
        waiting.insert(sequence, sender);
        Ok(receiver)
    }

    fn deliver(self: &Arc<Self>, received: Received, inbox: &mpsc::UnboundedSender<task::Request>) {
        match received.message {
            Message::Reply(reply) => {
                if let Some(asker) = self.lock().remove(&received.sequence) {
                    // Whoever asked may have given up.
                    let _ = asker.send((reply, received.fd));
                }
            }
            Message::Event(event) => {
                let _ = inbox.send(task::Request::Event(Arc::clone(self), event));
            }
            Message::Launched(_) => {}
        }
    }

    async fn next(&self) -> io::Result<Received> {
        loop {
            let mut ready = self.monitor.readable().await?;
            match self.monitor.get_ref().receive() {
                Ok(Some(received)) => return Ok(received),
                Ok(None) => ready.clear_ready(),
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => ready.clear_ready(),
                Err(error) => return Err(error),
            }
        }
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, HashMap<u32, oneshot::Sender<Answer>>> {
        self.waiting.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

async fn wait(answer: oneshot::Receiver<Answer>) -> Result<Answer> {
    match timeout(PATIENCE, answer).await {
        Ok(Ok(answer)) => Ok(answer),
        Ok(Err(_)) => Err(Error::conflict("the container is not running")),
        Err(_) => Err(Error::internal(
            "ask the container's monitor: it does not answer",
        )),
    }
}
