//! `machine shell`: a shell with the machine's own processes, network and files before it.
//!
//! The machine has no shell of its own, so that one comes in a privileged container that joins its namespaces; its files
//! are at `/machine`.

use clap::{Args, Command, FromArgMatches};

use super::folders;
use crate::container::run::Run;
use crate::failure::{Exit, Failure};
use crate::session::Session;
use crate::terminal;
use crate::verb::Act;

/// Flags of `machine shell`.
#[derive(Args, Debug)]
pub(crate) struct Shell {
    /// An image with a shell and tools in it
    #[arg(long, value_name = "IMAGE", default_value = "busybox")]
    image: String,
    /// A command rather than a shell
    #[arg(value_name = "COMMAND [ARG...]", num_args = 0.., trailing_var_arg = true)]
    words: Vec<String>,
}

impl Act for Shell {
    async fn act(self, _: &Session) -> Result<Exit, Failure> {
        let socket = folders()?.docker_socket();
        let session = Session::new(Some(format!("unix://{}", socket.display())), None);
        let matches = Run::augment_args(
            Command::new("shell")
                .no_binary_name(true)
                .disable_help_flag(true),
        )
        .try_get_matches_from(self.words())
        .and_then(|matches| Run::from_arg_matches(&matches));
        let run = matches.map_err(|error| Failure::usage(error.to_string()))?;
        run.act(&session).await
    }
}

impl Shell {
    /// What one would say to `run`.
    fn words(&self) -> Vec<String> {
        let mut words: Vec<String> = ["--rm", "-i", "--privileged", "--label=proa.machine.shell"]
            .into_iter()
            .chain(["--pid=host", "--network=host", "--ipc=host", "--uts=host"])
            .chain(["--volume=/:/machine"])
            .map(str::to_owned)
            .collect();
        if terminal::stdin_is_one() && terminal::stdout_is_one() {
            words.push("-t".into());
        }
        words.push(self.image.clone());
        match self.words.as_slice() {
            [] => words.push("sh".into()),
            command => words.extend_from_slice(command),
        }
        words
    }
}
