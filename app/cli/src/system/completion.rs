//! `completion`: scripts for shells.

use clap::Args;
use clap_complete::Shell;

use crate::failure::{Exit, Failure};
use crate::output;
use crate::session::Session;
use crate::verb::Act;
use crate::verbs;

/// Flags of `completion`.
#[derive(Args, Debug)]
pub(crate) struct Completion {
    /// bash, zsh, fish or powershell
    shell: Shell,
}

impl Act for Completion {
    async fn act(self, _session: &Session) -> Result<Exit, Failure> {
        let mut command = verbs::command(&[]);
        command.build();
        let mut script = Vec::new();
        clap_complete::generate(self.shell, &mut command, "proa", &mut script);
        output::write(&script)?;
        Ok(Exit::OK)
    }
}
