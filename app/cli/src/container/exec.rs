//! `exec`: another process in a container that runs.

use clap::Args;
use proa_host::{Engine, Request};
use serde::Deserialize;

use super::outcome;
use super::spec::{self, Surroundings};
use crate::failure::{Exit, Failure};
use crate::flags::document::Document;
use crate::flags::keys;
use crate::session::Session;
use crate::terminal;
use crate::terminal::pump::{self, Ended, Streams};
use crate::terminal::raw::RawMode;
use crate::terminal::resize::{self, Whose};
use crate::verb::Act;

/// Flags of `exec`.
#[derive(Args, Debug)]
pub(crate) struct Exec {
    /// Leave it in the background
    #[arg(short, long)]
    detach: bool,
    /// Keys that detach from it
    #[arg(long, default_value = "", hide_default_value = true)]
    detach_keys: String,
    /// Set an environment variable: NAME=VALUE, or NAME for the value it has here
    #[arg(short, long)]
    env: Vec<String>,
    /// Read environment variables from a file
    #[arg(long)]
    env_file: Vec<String>,
    /// Keep standard input open
    #[arg(short, long)]
    interactive: bool,
    /// Give the process all capabilities
    #[arg(long)]
    privileged: bool,
    /// Give the process a terminal
    #[arg(short, long)]
    tty: bool,
    /// User and group: name or number, [:group or number]
    #[arg(short, long, default_value = "", hide_default_value = true)]
    user: String,
    /// Working directory
    #[arg(short, long, default_value = "", hide_default_value = true)]
    workdir: String,
    /// The container, the command and its arguments
    #[arg(value_name = "CONTAINER COMMAND [ARG...]", required = true, num_args = 2.., trailing_var_arg = true)]
    words: Vec<String>,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Made {
    id: String,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct State {
    running: bool,
    exit_code: Option<i32>,
}

impl Act for Exec {
    async fn act(self, session: &Session) -> Result<Exit, Failure> {
        let engine = session.engine()?;
        if self.tty && self.interactive && !terminal::stdin_is_one() {
            return Err(Failure::usage(
                "the input device is not a TTY: leave -t out to feed standard input from elsewhere",
            ));
        }
        let keys = keys::bytes(&self.detach_keys)?;
        let container = &self.words[0];
        let made: Made = engine
            .ask(Request::post(&["containers", container, "exec"]).json(&self.document()?))
            .await?;
        let mut start = Document::default();
        start.always("Detach", self.detach).always("Tty", self.tty);
        if let Some((rows, columns)) = resize::size().filter(|_| self.tty) {
            start.always("ConsoleSize", [rows, columns]);
        }
        let request = Request::post(&["exec", &made.id, "start"]).json(&start);
        let started = if self.detach {
            engine
                .order(request)
                .await
                .map_err(Failure::from)
                .map(|()| Exit::OK)
        } else {
            self.foreground(engine, &made.id, request, keys).await
        };
        started.map_err(|failure| match outcome::start_code(&failure) {
            125 => failure,
            code => failure.with_code(code),
        })
    }
}

impl Exec {
    fn document(&self) -> Result<Document, Failure> {
        let mut document = Document::default();
        document
            .put("User", &self.user)
            .put("Privileged", self.privileged)
            .put("Detach", self.detach)
            .put("Tty", self.tty)
            .put("AttachStdin", self.interactive && !self.detach)
            .put("AttachStdout", !self.detach)
            .put("AttachStderr", !self.detach)
            .put("DetachKeys", &self.detach_keys)
            .put(
                "Env",
                spec::variables(&self.env_file, &self.env, &Surroundings::here(None))?,
            )
            .put("WorkingDir", &self.workdir)
            .put("Cmd", &self.words[1..]);
        Ok(document)
    }

    async fn foreground(
        &self,
        engine: &Engine,
        id: &str,
        request: Request,
        keys: Vec<u8>,
    ) -> Result<Exit, Failure> {
        let connection = engine.hijack(request).await?;
        let raw = (self.tty && self.interactive)
            .then(RawMode::enter)
            .transpose()?;
        let streams = Streams {
            stdin: self.interactive,
            tty: self.tty,
            keys,
        };
        let follows_size = self.tty && terminal::stdout_is_one();
        let ended = tokio::select! {
            ended = pump::run(connection, streams) => ended,
            () = resize::follow(engine, Whose::Exec(id)), if follows_size => Ok(Ended::Output),
        };
        drop(raw);
        if ended? == Ended::Detached {
            return Ok(Exit::OK);
        }
        exit_code(engine, id).await
    }
}

/// The exit code; the stream may end a moment before the engine has noted it.
async fn exit_code(engine: &Engine, id: &str) -> Result<Exit, Failure> {
    for pause in [1, 5, 20, 50, 100, 200, 500] {
        let state: State = engine.ask(Request::get(&["exec", id, "json"])).await?;
        if !state.running {
            return Ok(Exit(state.exit_code.unwrap_or(0)));
        }
        tokio::time::sleep(std::time::Duration::from_millis(pause)).await;
    }
    Err(Failure::usage(
        "the command's streams are closed but it still runs",
    ))
}
