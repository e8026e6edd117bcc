//! Attaching to a container's streams, before or after its start.

use std::{
    io,
    os::{
        fd::{AsFd, OwnedFd},
        unix::net::UnixStream as StdStream,
    },
    sync::Arc,
};

use bytes::{Bytes, BytesMut};
use futures_util::{
    StreamExt,
    stream::{self, BoxStream},
};
use proa_runtime::client::{self, Streams};
use rustix::event::{PollFd, PollFlags, Timespec};
use tokio::{
    io::{AsyncReadExt, unix::AsyncFd},
    net::UnixStream,
    sync::{Notify, mpsc, oneshot},
};

use super::{
    Container, LogOptions,
    detach::DetachKeys,
    state::State,
    task::{Attachment, EarlyAttach, Request, Task},
};
use crate::{
    Error, Result,
    error::Context,
    pollable::{self, Pollable},
};

/// How much is read from a container's socket at once.
const CHUNK: usize = 64 * 1024;

/// What an attach asks for.
#[derive(Clone, Debug, Default)]
pub struct AttachOptions {
    /// Write to its standard input.
    pub stdin: bool,
    /// Read its standard output.
    pub stdout: bool,
    /// Read its standard error.
    pub stderr: bool,
    /// First what the log holds.
    pub logs: bool,
    /// Then what comes.
    pub stream: bool,
    /// The keys that end the attachment (`ctrl-p,ctrl-q` if none are given).
    pub detach_keys: Option<String>,
}

/// The streams of an attached container or exec.
pub struct Attached {
    /// Whether the bytes are a terminal's (`application/vnd.docker.raw-stream`) or framed
    /// (`application/vnd.docker.multiplexed-stream`).
    pub tty: bool,
    /// What to send to the client, already in its final form. It ends when the process is gone or the client
    /// typed the detach keys.
    pub output: BoxStream<'static, io::Result<Bytes>>,
    /// Where the client's bytes go, if asked for.
    pub input: Option<Input>,
}

/// The writing end of an attachment. Dropping it, like [`Input::close`], says the client closed its side.
pub struct Input {
    way: Way,
    /// With a terminal, the client's way out.
    keys: Option<DetachKeys>,
    detached: Arc<Notify>,
    /// Told when the only client that standard input was opened for has closed it.
    closed: Option<Closed>,
    /// The container to name in the `detach` event.
    container: Option<Container>,
}

/// Whom to tell that standard input is at its end.
enum Closed {
    Container(mpsc::UnboundedSender<Request>),
    /// An exec's pipe closes with our descriptor.
    Exec,
}

/// How bytes get there.
enum Way {
    /// Whoever writes waits for whoever reads.
    Straight(Pipe),
    /// What a terminal's client types waits aside, so that its way out is seen though nobody reads.
    Aside(mpsc::Sender<Bytes>),
}

/// When a terminal that was full is tried again.
const FULL: std::time::Duration = std::time::Duration::from_millis(20);

/// How many things typed wait aside.
const TYPED: usize = 256;

impl Way {
    fn new(sink: Sink, has_keys: bool) -> Self {
        let mut pipe = Pipe {
            sink,
            terminal: has_keys,
        };
        if !has_keys {
            return Self::Straight(pipe);
        }
        let (sender, mut typed) = mpsc::channel::<Bytes>(TYPED);
        tokio::spawn(async move {
            while let Some(bytes) = typed.recv().await {
                if !matches!(pipe.write_all(&bytes).await, Ok(true)) {
                    return;
                }
            }
        });
        Self::Aside(sender)
    }

    async fn write(&mut self, bytes: Bytes) -> io::Result<bool> {
        match self {
            Self::Straight(pipe) => pipe.write_all(&bytes).await,
            Self::Aside(typed) => Ok(bytes.is_empty() || typed.send(bytes).await.is_ok()),
        }
    }
}

/// Where standard input goes.
struct Pipe {
    sink: Sink,
    terminal: bool,
}

enum Sink {
    Open(AsyncFd<Pollable<OwnedFd>>),
    AtStart(oneshot::Receiver<Option<OwnedFd>>),
    /// Nobody reads.
    Gone,
}

impl Input {
    /// An exec's standard input.
    pub(crate) fn of_exec(
        fd: OwnedFd,
        keys: Option<DetachKeys>,
        detached: Arc<Notify>,
    ) -> io::Result<Self> {
        let sink = Sink::Open(pollable::watch(fd)?);
        Ok(Input {
            way: Way::new(sink, keys.is_some()),
            keys,
            detached,
            closed: Some(Closed::Exec),
            container: None,
        })
    }

    /// Writes what the client sent. `Ok(false)`: there is nobody to write to any more, or the client detached.
    pub async fn write(&mut self, bytes: Bytes) -> io::Result<bool> {
        let Some(keys) = &mut self.keys else {
            return self.way.write(bytes).await;
        };
        let (on, detach) = keys.pass(&bytes);
        let written = self.way.write(Bytes::from(on)).await?;
        if detach {
            // Leaving is not closing: standard input stays open.
            self.closed = None;
            self.detached.notify_one();
            if let Some(container) = &self.container {
                container.tell("detach", &[]);
            }
        }
        Ok(written && !detach)
    }

    /// The client has nothing more to say.
    pub async fn close(self) -> io::Result<()> {
        drop(self);
        Ok(())
    }
}

impl Pipe {
    async fn write_all(&mut self, mut bytes: &[u8]) -> io::Result<bool> {
        while !bytes.is_empty() {
            let Some(sink) = self.open().await else {
                return Ok(false);
            };
            let mut ready = sink.writable().await?;
            let written = ready
                .try_io(|fd| rustix::io::write(&fd.get_ref().0, bytes).map_err(io::Error::from));
            match written {
                Ok(Ok(count)) => bytes = &bytes[count..],
                Ok(Err(error)) if is_gone(&error) => {
                    self.sink = Sink::Gone;
                    return Ok(false);
                }
                Ok(Err(error)) if error.kind() == io::ErrorKind::Interrupted => {}
                Ok(Err(error)) => return Err(error),
                // A full terminal calls itself writable after each try.
                Err(_would_block) if self.terminal => tokio::time::sleep(FULL).await,
                Err(_would_block) => {}
            }
        }
        Ok(true)
    }

    /// The descriptor, once the container has been started.
    async fn open(&mut self) -> Option<&AsyncFd<Pollable<OwnedFd>>> {
        if let Sink::AtStart(receiver) = &mut self.sink {
            let fd = receiver.await.ok().flatten();
            self.sink = match fd.and_then(|fd| pollable::watch(fd).ok()) {
                Some(fd) => Sink::Open(fd),
                None => Sink::Gone,
            };
        }
        match &self.sink {
            Sink::Open(fd) => Some(fd),
            Sink::AtStart(_) | Sink::Gone => None,
        }
    }
}

impl Drop for Input {
    fn drop(&mut self) {
        let Some(Closed::Container(inbox)) = self.closed.take() else {
            return;
        };
        let gone = Way::Straight(Pipe {
            sink: Sink::Gone,
            terminal: false,
        });
        let sink = match std::mem::replace(&mut self.way, gone) {
            Way::Straight(pipe) => pipe.sink,
            // A terminal's, which stays open.
            Way::Aside(_) => return,
        };
        match sink {
            Sink::Open(fd) => {
                drop(fd);
                // The container may be gone.
                let _ = inbox.send(Request::CloseStdin);
            }
            // Closed before the start: passed on when there is something to close.
            Sink::AtStart(receiver) => {
                tokio::spawn(async move {
                    drop(receiver.await);
                    let _ = inbox.send(Request::CloseStdin);
                });
            }
            Sink::Gone => {}
        }
    }
}

/// What a write to a process that is gone says.
fn is_gone(error: &io::Error) -> bool {
    matches!(error.raw_os_error(), Some(5)) || error.kind() == io::ErrorKind::BrokenPipe
}

impl Container {
    /// Attaches. Streams of a container not yet started begin with its start.
    pub async fn attach(&self, options: AttachOptions) -> Result<Attached> {
        let keys = DetachKeys::parse(options.detach_keys.as_deref())?;
        let seen = self.seen();
        match &seen.state {
            State::Paused(_) => {
                let id = &self.id;
                return Err(Error::conflict(format!(
                    "container {id} is paused, unpause the container before attach"
                )));
            }
            State::Restarting(_) => {
                let id = &self.id;
                return Err(Error::conflict(format!(
                    "container {id} is restarting, wait until the container is running"
                )));
            }
            State::Created(_) | State::Running(_) | State::Exited(_) | State::Removing(_) => {}
        }
        let tty = seen.definition.tty();
        let past = if options.logs {
            Some(self.past_output(&options).await?)
        } else {
            None
        };
        let past = past.unwrap_or_else(|| stream::empty().boxed());
        if !options.stream {
            return Ok(Attached {
                tty,
                output: past,
                input: None,
            });
        }
        let (live, input) = self.attach_live(&options, tty.then_some(keys)).await?;
        self.tell("attach", &[]);
        Ok(Attached {
            tty,
            output: past.chain(live).boxed(),
            input,
        })
    }

    async fn past_output(
        &self,
        options: &AttachOptions,
    ) -> Result<BoxStream<'static, io::Result<Bytes>>> {
        let (stdout, stderr) = (options.stdout, options.stderr);
        Ok(self
            .logs(LogOptions {
                stdout,
                stderr,
                ..LogOptions::default()
            })
            .await?
            .output)
    }

    async fn attach_live(
        &self,
        options: &AttachOptions,
        keys: Option<DetachKeys>,
    ) -> Result<(BoxStream<'static, io::Result<Bytes>>, Option<Input>)> {
        let streams = Streams {
            stdout: options.stdout,
            stderr: options.stderr,
        };
        let wants_output = streams.stdout || streams.stderr;
        let (ours, theirs) = if wants_output {
            Some(socket_pair()?)
        } else {
            None
        }
        .unzip();
        let wants_input = options.stdin && self.seen().definition.config.open_stdin;
        let attachment = self
            .ask(|answer| Request::Attach {
                streams,
                stdin: wants_input,
                socket: theirs,
                answer,
            })
            .await?;
        let detached = Arc::new(Notify::new());
        let input = self.input(attachment, keys, &detached)?;
        let output = match ours {
            Some(ours) => read_until(ours, detached),
            None => stream::once(async move { detached.notified().await })
                .filter_map(|()| async { None })
                .boxed(),
        };
        Ok((output, input))
    }

    fn input(
        &self,
        attachment: Attachment,
        keys: Option<DetachKeys>,
        detached: &Arc<Notify>,
    ) -> Result<Option<Input>> {
        let attempt = || "attach to the container's standard input".to_owned();
        let sink = match attachment {
            Attachment::Now(None) => return Ok(None),
            Attachment::Now(Some(fd)) => Sink::Open(pollable::watch(fd).context(attempt)?),
            Attachment::AtStart(receiver) => Sink::AtStart(receiver),
        };
        let definition = self.seen().definition;
        // A terminal stays open, and what was opened for more than one client too.
        let closes = definition.config.stdin_once && !definition.tty();
        let closed = closes.then(|| Closed::Container(self.line.requests.clone()));
        let container = Some(self.clone());
        Ok(Some(Input {
            way: Way::new(sink, keys.is_some()),
            keys,
            detached: Arc::clone(detached),
            closed,
            container,
        }))
    }
}

impl Task {
    pub(super) async fn attach(
        &mut self,
        streams: Streams,
        stdin: bool,
        socket: Option<OwnedFd>,
    ) -> Result<Attachment> {
        if let Some(running) = self.state.live() {
            let fds: Vec<_> = socket.iter().map(AsFd::as_fd).collect();
            let (_, fd) = running
                .link
                .ask(&client::Request::Attach { streams, stdin }, &fds)
                .await?;
            return Ok(Attachment::Now(fd));
        }
        let (sender, receiver) = oneshot::channel();
        let early = EarlyAttach {
            streams,
            socket,
            stdin: stdin.then_some(sender),
        };
        self.forget_hung_up();
        self.early.push(early);
        Ok(if stdin {
            Attachment::AtStart(receiver)
        } else {
            Attachment::Now(None)
        })
    }

    /// Lets go of clients that went away before the start; each holds a descriptor.
    pub(super) fn forget_hung_up(&mut self) {
        self.early.retain(|early| match &early.socket {
            Some(socket) => !hung_up(socket),
            None => early.stdin.as_ref().is_some_and(|stdin| !stdin.is_closed()),
        });
    }

    /// Gives everybody who attached before the start a descriptor for standard input.
    pub(super) fn connect_early(&mut self, stdin: Option<OwnedFd>) {
        for early in self.early.drain(..) {
            let Some(waiting) = early.stdin else { continue };
            let own = stdin.as_ref().and_then(|fd| fd.try_clone().ok());
            // The client may be gone.
            let _ = waiting.send(own);
        }
    }

    pub(super) async fn close_stdin(&mut self) {
        let Some(running) = self.state.live().cloned() else {
            return;
        };
        if let Err(error) = running.link.ask(&client::Request::CloseStdin, &[]).await {
            tracing::debug!(
                id = self.id(),
                error = error.told(),
                "closing standard input failed"
            );
        }
    }
}

/// Whether the other end is closed. If the system does not say, it is not.
fn hung_up(socket: &OwnedFd) -> bool {
    let mut polled = [PollFd::from_borrowed_fd(socket.as_fd(), PollFlags::empty())];
    rustix::event::poll(&mut polled, Some(&Timespec::default())).is_ok()
        && polled[0].revents().contains(PollFlags::HUP)
}

/// Two ends of a stream: ours, and the monitor's.
pub(crate) fn socket_pair() -> Result<(UnixStream, OwnedFd)> {
    let attempt = || "make a socket for the container's output".to_owned();
    let (ours, theirs) = StdStream::pair().context(attempt)?;
    ours.set_nonblocking(true).context(attempt)?;
    theirs.set_nonblocking(true).context(attempt)?;
    Ok((UnixStream::from_std(ours).context(attempt)?, theirs.into()))
}

/// What arrives, until its end or until the client leaves.
pub(crate) fn read_until(
    socket: UnixStream,
    detached: Arc<Notify>,
) -> BoxStream<'static, io::Result<Bytes>> {
    let bytes = stream::unfold(socket, |mut socket| async move {
        let mut buffer = BytesMut::with_capacity(CHUNK);
        match socket.read_buf(&mut buffer).await {
            Ok(0) => None,
            Ok(_) => Some((Ok(buffer.freeze()), socket)),
            // The monitor was killed; what it had is lost.
            Err(error) if error.kind() == io::ErrorKind::ConnectionReset => None,
            Err(error) => Some((Err(error), socket)),
        }
    });
    bytes
        .take_until(async move { detached.notified().await })
        .boxed()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_client_that_went_away_is_noticed() {
        let (ours, theirs) = StdStream::pair().unwrap();
        let theirs = OwnedFd::from(theirs);
        assert!(!hung_up(&theirs));
        drop(ours);
        assert!(hung_up(&theirs));
    }
}
