//! The command line.

use std::ffi::OsString;
use std::io::Write;
use std::path::PathBuf;
use std::process::ExitCode;

use clap::{Args, Parser, Subcommand};

use crate::doctor::{self, DoctorArguments};
use crate::init;
use crate::install::{self, InstallArguments, UninstallArguments};
use crate::oci::{self, OciArguments};
use crate::serve;

/// Proa's container engine.
#[derive(Debug, Parser)]
#[command(name = "proa-agent", version, about, disable_help_subcommand = true)]
pub(crate) struct Cli {
    #[command(subcommand)]
    verb: Verb,
}

#[derive(Debug, Subcommand)]
enum Verb {
    /// Runs the engine and serves its API.
    Serve(ServeArguments),
    /// Says what this host lacks to run containers, and what to do about it.
    Doctor(DoctorArguments),
    /// Makes the engine a service of this host's systemd and starts it.
    Install(InstallArguments),
    /// Kills the containers, stops the engine and takes away everything that either made.
    Uninstall(UninstallArguments),
    /// Runs containers from OCI bundles, with runc's command line.
    Oci(OciArguments),
    /// Brings a machine up: its first process.
    #[command(hide = true)]
    Init,
    /// Says the version.
    Version,
}

/// What `serve` can be told. The settings file says the same; the command line wins.
#[derive(Clone, Debug, Args)]
pub(crate) struct ServeArguments {
    /// Where images, containers and volumes live.
    #[arg(long, value_name = "FOLDER", default_value = "/var/lib/proa")]
    pub root: PathBuf,
    /// Where what ends with a boot lives.
    #[arg(long, value_name = "FOLDER", default_value = "/run/proa")]
    pub run: PathBuf,
    /// Where to listen: unix://PATH, tcp://HOST:PORT, vsock://PORT (for the host of this machine) or fd:// (sockets from the service manager). Repeatable.
    #[arg(long, short = 'H', value_name = "ADDRESS")]
    pub socket: Vec<String>,
    /// The group that may use unix sockets; otherwise `proa` or `docker`, if there is one.
    #[arg(long, short = 'G', value_name = "NAME")]
    pub group: Option<String>,
    /// What to log: error, warn, info, debug, trace, or a filter such as `proa_engine=debug`.
    #[arg(long, short = 'l', value_name = "LEVEL")]
    pub log_level: Option<String>,
    /// The settings file.
    #[arg(long, value_name = "FILE")]
    pub config: Option<PathBuf>,
    /// Demand certificates of clients that come by TCP.
    #[arg(long)]
    pub tlsverify: bool,
    /// The authority that signed the clients' certificates.
    #[arg(long, value_name = "FILE")]
    pub tlscacert: Option<PathBuf>,
    /// The server's certificate.
    #[arg(long, value_name = "FILE")]
    pub tlscert: Option<PathBuf>,
    /// The server certificate's key.
    #[arg(long, value_name = "FILE")]
    pub tlskey: Option<PathBuf>,
    /// A registry to be spoken to without TLS, or with a certificate nobody vouches for. Repeatable.
    #[arg(long, value_name = "HOST")]
    pub insecure_registry: Vec<String>,
    /// A mirror of Docker Hub, as a URL. Repeatable.
    #[arg(long, value_name = "URL")]
    pub registry_mirror: Vec<String>,
    /// The log driver of containers that name none.
    #[arg(long, value_name = "DRIVER")]
    pub log_driver: Option<String>,
    /// Take away images that no container was made of for so many days.
    #[arg(long, value_name = "DAYS")]
    pub image_keep_days: Option<f64>,
    /// Take away the longest unused images while all layers take more gigabytes.
    #[arg(long, value_name = "GB")]
    pub image_keep_gigabytes: Option<f64>,
    /// Put no rule that lets packets of our networks pass into Docker's, ufw's or firewalld's
    #[arg(long)]
    pub leave_firewalls: bool,
    /// How many seconds a container's start may take: a mount may hang whose server does not answer.
    #[arg(long, value_name = "SECONDS", default_value_t = 300)]
    pub start_limit: u64,
    /// What `host-gateway` stands for in `--add-host`, where it is not this host
    #[arg(long, value_name = "ADDRESS")]
    pub host_gateway_ip: Option<std::net::IpAddr>,
    /// An option of that log driver. Repeatable.
    #[arg(long, value_name = "KEY=VALUE")]
    pub log_opt: Vec<String>,
}

impl Cli {
    /// Does what was asked.
    pub(crate) fn run(self) -> ExitCode {
        match self.verb {
            Verb::Serve(arguments) => serve::start(&arguments),
            Verb::Doctor(arguments) => doctor::run(&arguments),
            Verb::Install(arguments) => install::install(&arguments),
            Verb::Uninstall(arguments) => install::uninstall(&arguments),
            Verb::Oci(arguments) => oci::run(arguments),
            Verb::Init => init::run(),
            Verb::Version => say(&format!("proa-agent {}", crate::VERSION)),
        }
    }
}

/// The arguments of `serve`, as the keeper passes them on.
pub(crate) fn serve_arguments(
    arguments: impl Iterator<Item = OsString>,
) -> Result<ServeArguments, clap::Error> {
    let program = std::iter::once(OsString::from("proa-agent"));
    match Cli::try_parse_from(program.chain(arguments))?.verb {
        Verb::Serve(arguments) => Ok(arguments),
        Verb::Doctor(_)
        | Verb::Install(_)
        | Verb::Uninstall(_)
        | Verb::Oci(_)
        | Verb::Init
        | Verb::Version => Err(clap::Error::new(clap::error::ErrorKind::InvalidSubcommand)),
    }
}

/// Prints one line.
fn say(line: &str) -> ExitCode {
    match writeln!(std::io::stdout(), "{line}") {
        Ok(()) => ExitCode::SUCCESS,
        Err(_) => ExitCode::FAILURE,
    }
}
