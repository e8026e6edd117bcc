//! `proa-agent doctor`: what this host lacks to run containers, and what to do about it.
//!
//! Each check looks at one thing and changes nothing that stays. What it found is one of three verdicts: good; works with
//! less; does not work. The program's exit code is 1 if anything does not work.

mod cgroups;
mod finding;
mod host;
mod privileges;
mod report;
mod storage;

use std::path::{Path, PathBuf};
use std::process::ExitCode;

use clap::{Args, ValueEnum};

pub(crate) use finding::Finding;

/// What `doctor` can be told.
#[derive(Clone, Debug, Args)]
pub(crate) struct DoctorArguments {
    /// Where images, containers and volumes are to live.
    #[arg(long, value_name = "FOLDER", default_value = "/var/lib/proa")]
    pub root: PathBuf,
    /// Where what ends with a boot is to live.
    #[arg(long, value_name = "FOLDER", default_value = "/run/proa")]
    pub run: PathBuf,
    /// How to print what was found.
    #[arg(long, value_enum, default_value_t = Format::Text)]
    pub format: Format,
}

/// How to print what was found.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum Format {
    /// For people.
    Text,
    /// For programs.
    Json,
}

/// Looks at everything and prints it.
pub(crate) fn run(arguments: &DoctorArguments) -> ExitCode {
    let findings = examine(&arguments.root, &arguments.run);
    let text = match arguments.format {
        Format::Text => report::text(&findings),
        Format::Json => report::json(&findings),
    };
    let printed = std::io::Write::write_all(&mut std::io::stdout(), text.as_bytes());
    if printed.is_err() || findings.iter().any(Finding::is_fatal) {
        ExitCode::FAILURE
    } else {
        ExitCode::SUCCESS
    }
}

/// Every check, in the order in which a user would mend things.
fn examine(root: &Path, run: &Path) -> Vec<Finding> {
    let mut findings = vec![host::kernel(), host::architecture()];
    findings.extend(privileges::examine());
    findings.extend(host::mounts());
    findings.extend(host::namespaces());
    findings.extend(cgroups::examine());
    findings.extend(host::features());
    findings.extend(storage::examine(root));
    findings.extend(host::access(run));
    findings.extend(host::firewalls(root));
    findings
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn this_host_can_run_containers() {
        let folder = std::env::temp_dir().join(format!("proa-doctor-{}", std::process::id()));
        let findings = examine(&folder.join("root"), &folder.join("run"));
        let fatal: Vec<_> = findings
            .iter()
            .filter(|finding| finding.is_fatal())
            .collect();
        assert!(fatal.is_empty(), "{fatal:?}");
        assert!(!folder.exists(), "nothing is left behind");
        for name in ["kernel", "overlay", "cgroup memory", "seccomp"] {
            assert!(
                findings.iter().any(|finding| finding.name == name),
                "{name}"
            );
        }
    }
}
