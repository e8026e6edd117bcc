//! `proa-agent install` and `uninstall`: the engine as a service of the host, and its end.

mod uninstall;
mod units;

use std::fs;
use std::io::{self, Write};
use std::path::{Path, PathBuf};
use std::process::{Command, ExitCode};

use clap::Args;

pub(crate) use uninstall::{UninstallArguments, run as uninstall};

/// What `install` can be told.
#[derive(Clone, Debug, Args)]
pub(crate) struct InstallArguments {
    /// Where images, containers and volumes are to live.
    #[arg(long, value_name = "FOLDER", default_value = "/var/lib/proa")]
    pub root: PathBuf,
    /// Where what ends with a boot is to live.
    #[arg(long, value_name = "FOLDER", default_value = "/run/proa")]
    pub run: PathBuf,
    /// The group that may use the socket; otherwise `proa` or `docker`, if there is one.
    #[arg(long, short = 'G', value_name = "NAME")]
    pub group: Option<String>,
    /// Print the units and change nothing.
    #[arg(long)]
    pub print: bool,
    /// Where units are kept.
    #[arg(long, value_name = "FOLDER", default_value = UNITS, hide = true)]
    pub units: PathBuf,
}

/// Where an administrator's units are.
const UNITS: &str = "/etc/systemd/system";

/// Why the service could not be installed.
#[derive(Debug, thiserror::Error)]
enum InstallError {
    #[error("find this program's file")]
    Program(#[source] io::Error),
    #[error("{} cannot be named in a systemd unit: it has blanks or a percent sign in it", .0.display())]
    Name(PathBuf),
    #[error(
        "there is no systemd here; have your init start `proa-agent serve`, or see the units with --print"
    )]
    NoSystemd,
    #[error("write {}", .0.display())]
    Write(PathBuf, #[source] io::Error),
    #[error("run systemctl {0}")]
    Systemctl(String, #[source] io::Error),
    #[error("systemctl {0} failed")]
    Refused(String),
    #[error("print")]
    Print(#[source] io::Error),
}

/// Installs the service and starts it.
pub(crate) fn install(arguments: &InstallArguments) -> ExitCode {
    told(try_install(arguments))
}

fn told(result: Result<(), InstallError>) -> ExitCode {
    let Err(error) = result else {
        return ExitCode::SUCCESS;
    };
    // Nothing can be done about a closed terminal.
    let _ = writeln!(io::stderr(), "proa-agent: {}", crate::log::told(&error));
    ExitCode::FAILURE
}

fn try_install(arguments: &InstallArguments) -> Result<(), InstallError> {
    let program = std::env::current_exe().map_err(InstallError::Program)?;
    for path in [&program, &arguments.root, &arguments.run] {
        if path
            .to_string_lossy()
            .contains([' ', '\t', '\n', '%', '"', '\'', '\\'])
        {
            return Err(InstallError::Name(path.clone()));
        }
    }
    let group = arguments.group.clone().unwrap_or_else(group_of_clients);
    let place = units::Place {
        program: &program,
        root: &arguments.root,
        run: &arguments.run,
        group: &group,
    };
    let (service, socket) = (units::service(place), units::socket(place));
    let mut out = io::stdout();
    if arguments.print {
        let print = write!(
            out,
            "# {}\n{service}\n# {}\n{socket}",
            units::SERVICE,
            units::SOCKET
        );
        return print.map_err(InstallError::Print);
    }
    if !Path::new("/run/systemd/system").is_dir() {
        return Err(InstallError::NoSystemd);
    }
    for (name, text) in [(units::SERVICE, service), (units::SOCKET, socket)] {
        let file = arguments.units.join(name);
        fs::write(&file, text).map_err(|error| InstallError::Write(file, error))?;
    }
    systemctl(&["daemon-reload"])?;
    systemctl(&["enable", "--now", units::SOCKET, units::SERVICE])?;
    writeln!(
        out,
        "The engine runs and listens at {}/proa.sock.",
        arguments.run.display()
    )
    .map_err(InstallError::Print)
}

/// The group that may use the socket: `proa`, or `docker`, or root's.
fn group_of_clients() -> String {
    let groups = fs::read_to_string("/etc/group").unwrap_or_default();
    let there = |name: &&str| {
        groups
            .lines()
            .any(|line| line.split(':').next() == Some(name))
    };
    ["proa", "docker"]
        .iter()
        .find(|name| there(name))
        .unwrap_or(&"root")
        .to_string()
}

fn systemctl(words: &[&str]) -> Result<(), InstallError> {
    let line = words.join(" ");
    match Command::new("systemctl").args(words).status() {
        Ok(status) if status.success() => Ok(()),
        Ok(_) => Err(InstallError::Refused(line)),
        Err(error) => Err(InstallError::Systemctl(line, error)),
    }
}
