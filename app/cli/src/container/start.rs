//! `start`: containers that exist.

use clap::Args;
use proa_host::{Engine, Request};
use serde_json::Value;

use super::outcome::{self, Outcome};
use super::spec::Attached;
use super::{attach, each, run};
use crate::failure::{Exit, Failure};
use crate::flags::keys;
use crate::session::Session;
use crate::terminal::pump::Streams;
use crate::verb::Act;

/// Flags of `start`.
#[derive(Args, Debug)]
pub(crate) struct Start {
    /// Attach to its output and pass signals on
    #[arg(short, long)]
    attach: bool,
    /// Attach to its standard input
    #[arg(short, long)]
    interactive: bool,
    /// Keys that detach from it
    #[arg(long, default_value = "", hide_default_value = true)]
    detach_keys: String,
    #[arg(value_name = "CONTAINER", required = true)]
    containers: Vec<String>,
}

impl Act for Start {
    async fn act(self, session: &Session) -> Result<Exit, Failure> {
        let engine = session.engine()?;
        if self.attach || self.interactive {
            let [container] = self.containers.as_slice() else {
                return Err(Failure::usage(
                    "you cannot start and attach multiple containers at once",
                ));
            };
            return self.foreground(engine, container).await;
        }
        each::name(&self.containers, |name| async move {
            Ok(engine
                .order(Request::post(&["containers", &name, "start"]))
                .await?)
        })
        .await
    }
}

impl Start {
    async fn foreground(&self, engine: &Engine, container: &str) -> Result<Exit, Failure> {
        let found: Value = engine
            .ask(Request::get(&["containers", container, "json"]))
            .await?;
        let id = found["Id"].as_str().unwrap_or(container);
        let tty = found["Config"]["Tty"].as_bool().unwrap_or(false);
        let open = found["Config"]["OpenStdin"].as_bool().unwrap_or(false);
        let removes = found["HostConfig"]["AutoRemove"].as_bool().unwrap_or(false);
        let attached = Attached {
            stdin: self.interactive && open,
            stdout: true,
            stderr: true,
        };
        let condition = if removes { "removed" } else { "next-exit" };
        let keys = keys::bytes(&self.detach_keys)?;
        let (connection, waiting) = tokio::try_join!(
            run::attach(engine, id, attached, &self.detach_keys),
            outcome::begin(engine, id, condition)
        )?;
        run::start(engine, id).await?;
        let streams = Streams {
            stdin: attached.stdin,
            tty,
            keys,
        };
        let stay = attach::Stay {
            engine,
            id,
            sig_proxy: true,
        };
        let outcome = async { waiting.document::<Outcome>().await.map_err(Failure::from) };
        stay.until(connection, streams, outcome).await
    }
}
