//! Talking to QEMU: its control protocol (QMP) over the standard input and output of the process.
//!
//! Between QEMU and the `qapi` crate stands a sieve: that crate ends the conversation at the first event that it does
//! not know, and a newer QEMU has some. Only the events that matter to a machine pass, and lines stay within a bound.

use std::io;

use futures_util::StreamExt as _;
use qapi::futures::{QapiEvents, QapiService, QmpStreamTokio};
use qapi::qmp;
use tokio::io::{
    AsyncBufReadExt as _, AsyncRead, AsyncReadExt as _, AsyncWrite, AsyncWriteExt as _, BufReader,
    DuplexStream,
};
use tokio::sync::mpsc;

/// Longest line; answers to what is asked here have a few hundred bytes.
const LONGEST_LINE: u64 = 1 << 20;

/// What is under way between the sieve and the crate.
const SIEVED: usize = 64 * 1024;

/// Something that QEMU tells unasked.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Told {
    /// The guest, or whoever had the right to, turned the machine off.
    Shutdown(Cause),
    /// The guest's kernel gave up.
    Panicked,
    /// The processors stand still, whyever.
    Stopped,
}

/// Why a machine was turned off (QEMU's `ShutdownCause`).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Cause {
    /// The guest turned itself off.
    Off,
    /// The guest wanted a reset, and a machine of ours ends then.
    Reset,
    /// The guest's kernel gave up.
    Panic,
    /// We asked for it, or a signal came.
    Host,
}

/// How the processors are.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Status {
    /// They run, or wait for something that will come.
    Well,
    /// The accelerator could not go on.
    InternalError,
}

type Input = Box<dyn AsyncWrite + Send + Unpin>;

/// A conversation with one QEMU.
pub(crate) struct Control {
    service: QapiService<QmpStreamTokio<Input>>,
    told: mpsc::UnboundedReceiver<Told>,
}

impl Control {
    /// Greets QEMU.
    pub(crate) async fn open(
        output: impl AsyncRead + Send + Unpin + 'static,
        input: impl AsyncWrite + Send + Unpin + 'static,
    ) -> io::Result<Control> {
        let (sieved, sink) = tokio::io::duplex(SIEVED);
        tokio::spawn(sieve(output, sink));
        let input: Input = Box::new(input);
        let greeted = QmpStreamTokio::open_split(sieved, input).await?;
        let stream = greeted.negotiate().await?;
        let (service, events) = stream.into_parts();
        let (tell, told) = mpsc::unbounded_channel();
        tokio::spawn(listen(events, tell));
        Ok(Control { service, told })
    }

    /// The next thing told; none once QEMU has hung up.
    pub(crate) async fn told(&mut self) -> Option<Told> {
        self.told.recv().await
    }

    pub(crate) async fn status(&self) -> io::Result<Status> {
        let answer = self.ask(qmp::query_status {}).await?;
        Ok(match answer.status {
            qmp::RunState::internal_error => Status::InternalError,
            _ => Status::Well,
        })
    }

    /// Lets halted processors go on.
    pub(crate) async fn go_on(&self) -> io::Result<()> {
        self.ask(qmp::cont {}).await.map(drop)
    }

    pub(crate) async fn power_button(&self) -> io::Result<()> {
        self.ask(qmp::system_powerdown {}).await.map(drop)
    }

    pub(crate) async fn set_memory(&self, bytes: u64) -> io::Result<()> {
        let value = i64::try_from(bytes).map_err(io::Error::other)?;
        self.ask(qmp::balloon { value }).await.map(drop)
    }

    pub(crate) async fn memory(&self) -> io::Result<u64> {
        let answer = self.ask(qmp::query_balloon {}).await?;
        u64::try_from(answer.actual).map_err(io::Error::other)
    }

    /// Makes the block device `node` larger.
    pub(crate) async fn resize(&self, node: &str, bytes: u64) -> io::Result<()> {
        let size = i64::try_from(bytes).map_err(io::Error::other)?;
        let resize = qmp::block_resize {
            node_name: Some(node.into()),
            device: None,
            size,
        };
        self.ask(resize).await.map(drop)
    }

    async fn ask<C: qapi::Command + qmp::QmpCommand>(&self, command: C) -> io::Result<C::Ok> {
        let answer = self.service.execute(command).await;
        answer.map_err(|error| io::Error::other(error.to_string()))
    }
}

/// Passes on what is an answer or an event of ours.
async fn sieve(output: impl AsyncRead + Unpin, mut sink: DuplexStream) {
    let mut lines = BufReader::new(output);
    let mut line = Vec::new();
    loop {
        line.clear();
        let read = (&mut lines)
            .take(LONGEST_LINE)
            .read_until(b'\n', &mut line)
            .await;
        let whole = matches!(read, Ok(length) if length > 0) && line.last() == Some(&b'\n');
        if !whole {
            return;
        }
        if passes(&line) && sink.write_all(&line).await.is_err() {
            return;
        }
    }
}

fn passes(line: &[u8]) -> bool {
    #[derive(serde::Deserialize)]
    struct Named {
        event: Option<String>,
    }
    match serde_json::from_slice::<Named>(line) {
        Ok(Named { event: Some(event) }) => {
            matches!(event.as_str(), "SHUTDOWN" | "GUEST_PANICKED" | "STOP")
        }
        // Answers; and what is none of QEMU's, on which the crate gives up.
        Ok(Named { event: None }) | Err(_) => true,
    }
}

async fn listen<R>(mut events: QapiEvents<R>, tell: mpsc::UnboundedSender<Told>)
where
    QapiEvents<R>: futures_util::Stream<Item = io::Result<qmp::Event>> + Unpin,
{
    while let Some(Ok(event)) = events.next().await {
        let told = match event {
            qmp::Event::SHUTDOWN { data, .. } => Told::Shutdown(cause(data.reason)),
            qmp::Event::GUEST_PANICKED { .. } => Told::Panicked,
            qmp::Event::STOP { .. } => Told::Stopped,
            _ => continue,
        };
        if tell.send(told).is_err() {
            return;
        }
    }
}

fn cause(reason: qmp::ShutdownCause) -> Cause {
    match reason {
        qmp::ShutdownCause::guest_shutdown => Cause::Off,
        qmp::ShutdownCause::guest_reset | qmp::ShutdownCause::subsystem_reset => Cause::Reset,
        qmp::ShutdownCause::guest_panic => Cause::Panic,
        _ => Cause::Host,
    }
}
