//! `context`: Docker's own clients, led to our engine.

use clap::Args;
use proa_host::Endpoint;
use proa_host::machine::{Folders, create_context, select_context};

use crate::failure::{Exit, Failure};
use crate::output;
use crate::session::Session;
use crate::verb::Act;

/// Flags of `context create`.
#[derive(Args, Debug)]
pub(crate) struct Create {
    /// How Docker's clients are to call it
    #[arg(long, value_name = "NAME", default_value = "proa")]
    name: String,
    /// Make it the one that they use, too
    #[arg(long = "use")]
    select: bool,
}

/// Flags of `context use`.
#[derive(Args, Debug)]
pub(crate) struct Use {
    /// Its name
    #[arg(value_name = "NAME", default_value = "proa")]
    name: String,
}

impl Act for Create {
    async fn act(self, session: &Session) -> Result<Exit, Failure> {
        let address = address(session)?;
        create_context(&self.name, &address)?;
        if self.select {
            select_context(&self.name)?;
        }
        output::line(&format!("context {} leads to {address}", self.name))?;
        Ok(Exit::OK)
    }
}

impl Act for Use {
    async fn act(self, _: &Session) -> Result<Exit, Failure> {
        if self.name != "default" {
            // One that is not there would leave Docker's clients without any engine.
            Endpoint::of_context(&self.name)?;
        }
        select_context(&self.name)?;
        output::line(&format!(
            "Docker's clients use the context {} now",
            self.name
        ))?;
        Ok(Exit::OK)
    }
}

/// The machine's socket where there is a machine, else the engine of this host: never another context's.
fn address(session: &Session) -> Result<String, Failure> {
    let socket = Folders::here()?.docker_socket();
    if socket.exists() {
        return Ok(format!("unix://{}", socket.display()));
    }
    Ok(session.endpoint()?.to_string())
}
