//! The supervisor, as everyone else reaches it.

use std::io;
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use tokio::io::{AsyncBufReadExt, AsyncWriteExt, BufReader};
use tokio::net::UnixStream;
use tokio::time::Instant;

use super::control::{Ask, Condition, Status, Told};
use super::folders::{Folders, FoldersError};

/// How long a supervisor may take until it answers.
const PATIENCE: Duration = Duration::from_secs(60);
/// The hidden verb of `proa` that is the supervisor.
const VERB: [&str; 2] = ["machine", "supervise"];

/// Why the supervisor was not reached, or did not do what it was asked.
#[derive(Debug, thiserror::Error)]
pub enum ReachError {
    /// There is no place for it.
    #[error(transparent)]
    Folders(#[from] FoldersError),
    /// There is none.
    #[error("the machine is not running; start it with `proa machine start`")]
    None,
    /// It cannot be started.
    #[error("start the machine's supervisor")]
    Spawn(#[source] io::Error),
    /// It was started and ended.
    #[error("the machine's supervisor ended with {status}; its last words, from {}:\n{words}", .log.display())]
    Ended {
        /// How it ended.
        status: std::process::ExitStatus,
        /// What it said last.
        words: String,
        /// Where it said that.
        log: PathBuf,
    },
    /// It was started and does not answer.
    #[error("the machine's supervisor does not answer; its log is {}", .0.display())]
    Silent(PathBuf),
    /// It hung up.
    #[error("talk to the machine's supervisor")]
    Broken(#[source] io::Error),
    /// It said no.
    #[error("{0}")]
    Refused(String),
}

/// The way to the supervisor of one user.
#[derive(Clone, Debug)]
pub struct Supervisor {
    folders: Folders,
}

impl Supervisor {
    /// The one of these folders; nothing is connected yet.
    pub fn of(folders: Folders) -> Self {
        Self { folders }
    }

    /// Starts the machine, and the supervisor where there is none; `phase` is told how it goes.
    pub async fn start(&self, phase: impl FnMut(&Condition)) -> Result<(), ReachError> {
        let stream = match self.connect().await {
            Ok(stream) => stream,
            Err(_) => self.spawned().await?,
        };
        converse(stream, Ask::Start, phase).await.map(drop)
    }

    /// Restarts the machine; starts it where it does not run.
    pub async fn restart(&self, phase: impl FnMut(&Condition)) -> Result<(), ReachError> {
        match self.connect().await {
            Ok(stream) => converse(stream, Ask::Restart, phase).await.map(drop),
            Err(_) => self.start(phase).await,
        }
    }

    /// Stops the machine and the supervisor, if they run.
    pub async fn stop(&self, force: bool) -> Result<(), ReachError> {
        let Ok(stream) = self.connect().await else {
            return Ok(());
        };
        converse(stream, Ask::Stop { force }, |_| {}).await?;
        // It ends; whoever starts it next need not wait for that.
        let deadline = Instant::now() + PATIENCE;
        while self.folders.control_socket().exists() && Instant::now() < deadline {
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
        Ok(())
    }

    /// How the machine is; none where there is no supervisor.
    pub async fn status(&self) -> Result<Option<Status>, ReachError> {
        match self.connect().await {
            Ok(stream) => converse(stream, Ask::Status, |_| {}).await,
            Err(_) => Ok(None),
        }
    }

    async fn connect(&self) -> io::Result<UnixStream> {
        UnixStream::connect(self.folders.control_socket()).await
    }

    /// A supervisor in the background, and a connection to it, or to the one that was quicker.
    async fn spawned(&self) -> Result<UnixStream, ReachError> {
        self.folders.create()?;
        let mut child = self.spawn().map_err(ReachError::Spawn)?;
        let deadline = Instant::now() + PATIENCE;
        let mut ended = None;
        loop {
            if let Ok(stream) = self.connect().await {
                return Ok(stream);
            }
            if let Some(status) = ended {
                return Err(self.last_words(status));
            }
            // Looked at once more after its end: another one may have been quicker.
            ended = child.try_wait().map_err(ReachError::Spawn)?;
            if Instant::now() > deadline {
                return Err(ReachError::Silent(self.folders.supervisor_log()));
            }
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    }

    fn spawn(&self) -> io::Result<Child> {
        let log = std::fs::File::create(self.folders.supervisor_log())?;
        let mut command = Command::new(std::env::current_exe()?);
        command
            .args(VERB)
            .current_dir("/")
            .stdin(Stdio::null())
            .stdout(log.try_clone()?)
            .stderr(log);
        // Out of this terminal's reach: Ctrl-C here is not for the machine.
        std::os::unix::process::CommandExt::process_group(&mut command, 0);
        command.spawn()
    }

    fn last_words(&self, status: std::process::ExitStatus) -> ReachError {
        let log = self.folders.supervisor_log();
        let text = std::fs::read_to_string(&log).unwrap_or_default();
        let lines: Vec<_> = text.lines().rev().take(5).collect();
        let words = lines.into_iter().rev().collect::<Vec<_>>().join("\n");
        ReachError::Ended { status, words, log }
    }
}

/// Asks, and hears until the end; the status among what was told.
async fn converse(
    stream: UnixStream,
    ask: Ask,
    mut phase: impl FnMut(&Condition),
) -> Result<Option<Status>, ReachError> {
    let (from, mut to) = stream.into_split();
    let mut question = serde_json::to_vec(&ask).map_err(|e| ReachError::Broken(e.into()))?;
    question.push(b'\n');
    to.write_all(&question).await.map_err(ReachError::Broken)?;
    let mut lines = BufReader::new(from).lines();
    let mut status = None;
    while let Some(line) = lines.next_line().await.map_err(ReachError::Broken)? {
        match serde_json::from_str(&line).map_err(|e| ReachError::Broken(e.into()))? {
            Told::Condition(condition) => phase(&condition),
            Told::Status(told) => status = Some(*told),
            Told::Done => return Ok(status),
            Told::Refused { message } => return Err(ReachError::Refused(message)),
        }
    }
    Err(ReachError::Broken(io::ErrorKind::UnexpectedEof.into()))
}
