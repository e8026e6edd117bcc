//! `run`: create, attach, start, and stay until the end.
//!
//! What makes it quick: the attachment and the wait are asked for side by side once the container exists, and nothing
//! is asked beside these four things.

use clap::Args;
use proa_host::{Engine, Hijacked, Request};

use super::attach::Stay;
use super::create;
use super::flags::CreateFlags;
use super::outcome::{self, Outcome};
use super::spec::Attached;
use crate::failure::{Exit, Failure};
use crate::flags::keys;
use crate::output;
use crate::session::Session;
use crate::terminal;
use crate::terminal::pump::Streams;
use crate::terminal::signals::Caught;
use crate::verb::Act;

/// Flags of `run`.
#[derive(Args, Debug)]
pub(crate) struct Run {
    /// Leave it in the background and print its ID
    #[arg(short, long)]
    detach: bool,
    /// Keys that detach from it
    #[arg(long, default_value = "", hide_default_value = true)]
    detach_keys: String,
    /// Pass signals on to it
    #[arg(long, default_value_t = true, action = clap::ArgAction::Set, num_args = 0..=1, require_equals = true, default_missing_value = "true", hide_default_value = true, hide_possible_values = true)]
    sig_proxy: bool,
    #[command(flatten)]
    flags: CreateFlags,
}

impl Act for Run {
    async fn act(self, session: &Session) -> Result<Exit, Failure> {
        self.run(session)
            .await
            .map_err(|failure| failure.with_code(125))
    }
}

impl Run {
    async fn run(self, session: &Session) -> Result<Exit, Failure> {
        if self.detach && !self.flags.attach.is_empty() {
            return Err(Failure::usage(
                "conflicting options: -d cannot be used with -a",
            ));
        }
        let attached = Attached::of(&self.flags, self.detach)?;
        if self.flags.tty && attached.stdin && !terminal::stdin_is_one() {
            return Err(Failure::usage(
                "the input device is not a TTY: leave -t out to feed standard input from elsewhere",
            ));
        }
        let keys = keys::bytes(&self.detach_keys)?;
        let engine = session.engine()?;
        let signals = (!self.detach && self.sig_proxy).then(Caught::now);
        let id = create::create(session, &self.flags, attached).await?;
        if attached == Attached::default() {
            start(engine, &id).await?;
            output::line(&id)?;
            return Ok(Exit::OK);
        }
        self.foreground(engine, &id, attached, keys, signals).await
    }

    async fn foreground(
        &self,
        engine: &Engine,
        id: &str,
        attached: Attached,
        keys: Vec<u8>,
        signals: Option<Caught>,
    ) -> Result<Exit, Failure> {
        let condition = if self.flags.rm {
            "removed"
        } else {
            "next-exit"
        };
        let (connection, waiting) = tokio::try_join!(
            attach(engine, id, attached, &self.detach_keys),
            outcome::begin(engine, id, condition)
        )?;
        if let Err(failure) = start(engine, id).await {
            if self.flags.rm {
                // The engine removes it; the name is free when this program ends.
                let _ = waiting.document::<Outcome>().await;
            }
            return Err(failure);
        }
        let streams = Streams {
            stdin: attached.stdin,
            tty: self.flags.tty,
            keys,
        };
        let stay = Stay {
            engine,
            id,
            sig_proxy: self.sig_proxy,
        };
        let outcome = async { waiting.document::<Outcome>().await.map_err(Failure::from) };
        stay.until_catching(signals, connection, streams, outcome)
            .await
    }
}

/// Opens a container's standard streams.
pub(crate) async fn attach(
    engine: &Engine,
    id: &str,
    attached: Attached,
    detach_keys: &str,
) -> Result<Hijacked, proa_host::EngineError> {
    let keys = (!detach_keys.is_empty()).then_some(detach_keys);
    let request = Request::post(&["containers", id, "attach"])
        .query("stream", "1")
        .flag("stdin", attached.stdin)
        .flag("stdout", attached.stdout)
        .flag("stderr", attached.stderr)
        .maybe("detachKeys", keys);
    engine.hijack(request).await
}

/// Starts a container; the failure carries the exit code that tells why.
pub(crate) async fn start(engine: &Engine, id: &str) -> Result<(), Failure> {
    let started = engine
        .order(Request::post(&["containers", id, "start"]))
        .await
        .map_err(Failure::from);
    started.map_err(|failure| {
        let code = outcome::start_code(&failure);
        failure.with_code(code)
    })
}
