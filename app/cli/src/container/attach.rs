//! `attach`, and staying with a container until it ends or the user leaves it.

use std::future::Future;

use clap::Args;
use proa_host::{Engine, Hijacked, Request};
use serde_json::Value;

use super::outcome::{self, Outcome};
use super::run;
use super::spec::Attached;
use crate::failure::{Exit, Failure};
use crate::flags::keys;
use crate::session::Session;
use crate::terminal;
use crate::terminal::pump::{self, Ended, Streams};
use crate::terminal::raw::RawMode;
use crate::terminal::resize::{self, Whose};
use crate::terminal::signals::Caught;
use crate::verb::Act;

/// Flags of `attach`.
#[derive(Args, Debug)]
pub(crate) struct Attach {
    /// Keys that detach from it
    #[arg(long, default_value = "", hide_default_value = true)]
    detach_keys: String,
    /// Do not attach standard input
    #[arg(long)]
    no_stdin: bool,
    /// Pass signals on to it
    #[arg(long, default_value_t = true, action = clap::ArgAction::Set, num_args = 0..=1, require_equals = true, default_missing_value = "true", hide_default_value = true, hide_possible_values = true)]
    sig_proxy: bool,
    container: String,
}

impl Act for Attach {
    async fn act(self, session: &Session) -> Result<Exit, Failure> {
        let engine = session.engine()?;
        let found: Value = engine
            .ask(Request::get(&["containers", &self.container, "json"]))
            .await?;
        let state = |name: &str| found["State"][name].as_bool().unwrap_or(false);
        if !state("Running") {
            return Err(Failure::usage(
                "cannot attach to a stopped container, start it first",
            ));
        }
        if state("Paused") {
            return Err(Failure::usage(
                "cannot attach to a paused container, unpause it first",
            ));
        }
        if state("Restarting") {
            return Err(Failure::usage(
                "cannot attach to a restarting container, wait until it is running",
            ));
        }
        let id = found["Id"].as_str().unwrap_or(&self.container);
        let config = |name: &str| found["Config"][name].as_bool().unwrap_or(false);
        let attached = Attached {
            stdin: !self.no_stdin && config("OpenStdin"),
            stdout: true,
            stderr: true,
        };
        let tty = config("Tty");
        if tty && attached.stdin && !terminal::stdin_is_one() {
            return Err(Failure::usage("the input device is not a TTY"));
        }
        let (connection, waiting) = tokio::try_join!(
            run::attach(engine, id, attached, &self.detach_keys),
            outcome::begin(engine, id, "not-running")
        )?;
        let streams = Streams {
            stdin: attached.stdin,
            tty,
            keys: keys::bytes(&self.detach_keys)?,
        };
        let stay = Stay {
            engine,
            id,
            sig_proxy: self.sig_proxy && !tty,
        };
        stay.until(connection, streams, async {
            waiting.document::<Outcome>().await.map_err(Failure::from)
        })
        .await
    }
}

/// Being with a container: its streams are ours, signals and window sizes are passed on.
pub(crate) struct Stay<'a> {
    pub(crate) engine: &'a Engine,
    pub(crate) id: &'a str,
    pub(crate) sig_proxy: bool,
}

impl Stay<'_> {
    /// Carries the streams until they end, then waits for the outcome; leaving early is a success.
    pub(crate) async fn until(
        &self,
        connection: Hijacked,
        streams: Streams,
        outcome: impl Future<Output = Result<Outcome, Failure>>,
    ) -> Result<Exit, Failure> {
        let signals = self.sig_proxy.then(Caught::now);
        self.until_catching(signals, connection, streams, outcome)
            .await
    }

    /// The same, with signals that are caught already.
    pub(crate) async fn until_catching(
        &self,
        signals: Option<Caught>,
        connection: Hijacked,
        streams: Streams,
        outcome: impl Future<Output = Result<Outcome, Failure>>,
    ) -> Result<Exit, Failure> {
        let raw = (streams.tty && streams.stdin)
            .then(RawMode::enter)
            .transpose()?;
        let follows_size = streams.tty && terminal::stdout_is_one();
        let staying = async {
            if pump::run(connection, streams).await? == Ended::Detached {
                return Ok(None);
            }
            outcome.await.map(Some)
        };
        let ended = tokio::select! {
            ended = staying => ended,
            () = self.pass_signals(signals) => Ok(None),
            () = self.follow_size(follows_size) => Ok(None),
        };
        drop(raw);
        if let Some(outcome) = ended? {
            return Ok(outcome.exit());
        }
        let name: String = self.id.chars().take(12).collect();
        eprintln!("\ndetached; it goes on: proa attach {name}");
        Ok(Exit::OK)
    }

    async fn pass_signals(&self, signals: Option<Caught>) {
        match signals {
            Some(signals) => signals.pass_to(self.engine, self.id).await,
            None => std::future::pending().await,
        }
    }

    async fn follow_size(&self, follows: bool) {
        if follows {
            resize::follow(self.engine, Whose::Container(self.id)).await;
        } else {
            std::future::pending::<()>().await;
        }
    }
}
