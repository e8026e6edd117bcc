//! `wait`: until containers stop.

use clap::Args;

use super::outcome::{self, Outcome};
use crate::failure::{Exit, Failure};
use crate::output;
use crate::session::Session;
use crate::verb::Act;

/// Flags of `wait`.
#[derive(Args, Debug)]
pub(crate) struct Wait {
    #[arg(value_name = "CONTAINER", required = true)]
    containers: Vec<String>,
}

impl Act for Wait {
    async fn act(self, session: &Session) -> Result<Exit, Failure> {
        let engine = session.engine()?;
        let waits = self.containers.iter().map(|name| async move {
            let answer = outcome::begin(engine, name, "not-running").await?;
            answer.document::<Outcome>().await
        });
        let mut failed = false;
        for outcome in futures_util::future::join_all(waits).await {
            match outcome {
                Ok(outcome) => output::line(&outcome.code().to_string())?,
                Err(error) => {
                    Failure::from(error).report();
                    failed = true;
                }
            }
        }
        if failed {
            Err(Failure::Reported)
        } else {
            Ok(Exit::OK)
        }
    }
}
