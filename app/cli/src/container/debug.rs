//! `debug`: a shell with tools beside a container that has none.
//!
//! It is `run` with the container's namespaces joined. Without an image the tools are those of the engine's host, bound
//! read-only into the embedded image: on a Linux machine that is everything installed there, and nothing is downloaded.

use clap::{Args, Command, FromArgMatches};
use proa_host::Request;
use serde::Deserialize;

use super::run::Run;
use crate::failure::{Exit, Failure};
use crate::session::Session;
use crate::terminal;
use crate::verb::Act;

/// The embedded image; it needs no registry.
const EMBEDDED: &str = "proa/hello";
/// Where a host has its tools, and what they need to run. Those that a host does not have are left out.
const TOOLS: &[&str] = &[
    "/usr",
    "/bin",
    "/sbin",
    "/lib",
    "/lib64",
    "/etc/alternatives",
    "/etc/group",
    "/etc/nsswitch.conf",
    "/etc/passwd",
    "/etc/ssl",
    "/etc/terminfo",
];
/// Where shells look for them.
const PATH: &str = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin";
/// How the engine begins its complaint about a bind of something that is not there.
const MISSING: &str = "bind source path does not exist: ";
/// The best shell there is.
const SHELL: &str = "if command -v bash >/dev/null; then exec bash; else exec sh; fi";

/// Flags of `debug`.
#[derive(Args, Debug)]
pub(crate) struct Debug {
    /// An image with tools in it, rather than the tools of the engine's host
    #[arg(long, value_name = "IMAGE")]
    image: Option<String>,
    /// The container, and a command rather than a shell
    #[arg(value_name = "CONTAINER [COMMAND [ARG...]]", required = true, num_args = 1.., trailing_var_arg = true)]
    words: Vec<String>,
}

/// What is asked about the container.
#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Target {
    id: String,
    state: State,
    host_config: Modes,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct State {
    running: bool,
    pid: u32,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Modes {
    #[serde(default)]
    ipc_mode: String,
    #[serde(default)]
    network_mode: String,
    #[serde(default)]
    pid_mode: String,
}

impl Act for Debug {
    async fn act(self, session: &Session) -> Result<Exit, Failure> {
        let container = &self.words[0];
        let request = Request::get(&["containers", container, "json"]);
        let target: Target = session.engine()?.ask(request).await?;
        if !target.state.running {
            return Err(Failure::usage(format!(
                "container {container} is not running: there is nothing to join; start it first"
            )));
        }
        if let (Some(root), true) = (target.root(), terminal::stdin_is_one()) {
            eprintln!("The container's files are at {root}.");
        }
        match &self.image {
            Some(image) => self.run(session, &target, image, &[]).await,
            None => self.with_tools_of_the_host(session, &target).await,
        }
    }
}

impl Debug {
    /// The engine may be elsewhere, so only it can say what its host has: each try leaves out what the last one missed.
    async fn with_tools_of_the_host(
        &self,
        session: &Session,
        target: &Target,
    ) -> Result<Exit, Failure> {
        let mut tools = TOOLS.to_vec();
        loop {
            let failure = match self.run(session, target, EMBEDDED, &tools).await {
                Ok(exit) => return Ok(exit),
                Err(failure) => failure,
            };
            let complaint = failure.to_string();
            let Some((_, missing)) = complaint.split_once(MISSING) else {
                return Err(failure);
            };
            let before = tools.len();
            tools.retain(|tool| *tool != missing.trim());
            if tools.len() == before || !tools.contains(&"/bin") {
                return Err(Failure::usage(
                    "the engine's host has no tools to lend: name an image that has, as with --image busybox",
                ));
            }
        }
    }

    async fn run(
        &self,
        session: &Session,
        target: &Target,
        image: &str,
        tools: &[&str],
    ) -> Result<Exit, Failure> {
        let words = self.words_for(target, image, tools);
        let matches = Run::augment_args(
            Command::new("debug")
                .no_binary_name(true)
                .disable_help_flag(true),
        )
        .try_get_matches_from(words)
        .and_then(|matches| Run::from_arg_matches(&matches));
        let run = matches.map_err(|error| Failure::usage(error.to_string()))?;
        run.act(session).await
    }

    /// What one would say to `run`.
    fn words_for(&self, target: &Target, image: &str, tools: &[&str]) -> Vec<String> {
        // Tools look into processes of other users and at the network's settings.
        let mut words: Vec<String> = ["--rm", "-i", "--user=0", "--label=proa.debug"]
            .into_iter()
            .chain([
                "--cap-add=SYS_PTRACE",
                "--cap-add=NET_ADMIN",
                "--cap-add=NET_RAW",
            ])
            .map(str::to_owned)
            .collect();
        if terminal::stdin_is_one() && terminal::stdout_is_one() {
            words.push("-t".into());
        }
        words.extend(target.namespaces());
        let bound = |tool: &&str| format!("--mount=type=bind,source={tool},target={tool},readonly");
        words.extend(tools.iter().map(bound));
        if !tools.is_empty() {
            words.push(format!("--env=PATH={PATH}"));
        }
        let command = match &self.words[1..] {
            [] => ["/bin/sh", "-c", SHELL].map(str::to_owned).to_vec(),
            command => command.to_vec(),
        };
        words.push(format!("--entrypoint={}", command[0]));
        words.push(image.to_owned());
        words.extend(command.into_iter().skip(1));
        words
    }
}

impl Target {
    fn namespaces(&self) -> Vec<String> {
        let joined = |mode: &str| match mode {
            "host" => "host".to_owned(),
            _ => format!("container:{}", self.id),
        };
        let mut words = vec![
            format!("--network={}", joined(&self.host_config.network_mode)),
            format!("--pid={}", joined(&self.host_config.pid_mode)),
        ];
        // Others than these cannot be joined.
        if matches!(self.host_config.ipc_mode.as_str(), "shareable" | "host") {
            words.push(format!("--ipc={}", joined(&self.host_config.ipc_mode)));
        }
        words
    }

    /// The container's files as the shell sees them; unknown if it is itself a guest in another's processes.
    fn root(&self) -> Option<String> {
        match self.host_config.pid_mode.as_str() {
            "" | "private" => Some("/proc/1/root".into()),
            "host" => Some(format!("/proc/{}/root", self.state.pid)),
            _ => None,
        }
    }
}
