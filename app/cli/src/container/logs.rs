//! `logs`: what a container wrote.

use clap::Args;
use jiff::Timestamp;
use proa_host::Request;
use serde_json::Value;

use crate::failure::{Exit, Failure};
use crate::flags::moment;
use crate::output;
use crate::session::Session;
use crate::terminal::frames::{Frames, Output};
use crate::verb::Act;

/// Flags of `logs`.
#[derive(Args, Debug)]
pub(crate) struct Logs {
    /// Show what the log driver's options added
    #[arg(long)]
    details: bool,
    /// Go on with what is written from now on
    #[arg(short, long)]
    follow: bool,
    /// Show what was written since: a time, or so long ago (42m)
    #[arg(long)]
    since: Option<String>,
    /// Show what was written before: a time, or so long ago (42m)
    #[arg(long)]
    until: Option<String>,
    /// Show so many lines from the end
    #[arg(short = 'n', long, default_value = "all")]
    tail: String,
    /// Show when each line was written
    #[arg(short, long)]
    timestamps: bool,
    container: String,
}

impl Act for Logs {
    async fn act(self, session: &Session) -> Result<Exit, Failure> {
        let engine = session.engine()?;
        let now = Timestamp::now();
        let moment = |text: &Option<String>| {
            text.as_deref()
                .map(|text| moment::seconds(text, now))
                .transpose()
                .map_err(Failure::usage)
        };
        let request = Request::get(&["containers", &self.container, "logs"])
            .query("stdout", "1")
            .query("stderr", "1")
            .flag("details", self.details)
            .flag("follow", self.follow)
            .flag("timestamps", self.timestamps)
            .maybe("since", moment(&self.since)?)
            .maybe("until", moment(&self.until)?)
            .query("tail", &self.tail);
        let mut answer = engine.send(request).await?;
        let framed = match answer.header("content-type") {
            Some("application/vnd.docker.multiplexed-stream") => true,
            // Older engines say nothing; the container knows.
            _ => !self.has_terminal(session).await?,
        };
        let mut frames = Frames::default();
        while let Some(bytes) = answer.chunk().await? {
            let mut bytes = &bytes[..];
            if !framed {
                output::write(bytes)?;
                continue;
            }
            while let Some((output, part)) = frames.next(&mut bytes) {
                match output {
                    Output::Stdout => output::write(part)?,
                    Output::Stderr => output::write_error(part)?,
                }
            }
        }
        Ok(Exit::OK)
    }
}

impl Logs {
    async fn has_terminal(&self, session: &Session) -> Result<bool, Failure> {
        let container: Value = session
            .engine()?
            .ask(Request::get(&["containers", &self.container, "json"]))
            .await?;
        Ok(container["Config"]["Tty"].as_bool().unwrap_or(false))
    }
}
