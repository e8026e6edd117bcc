//! Finding QEMU, and how to get it where it is missing.

use std::path::{Path, PathBuf};

use super::image::Architecture;
use crate::StartError;

/// The program that runs guests of that architecture, from the folders in `path` (as in the variable `PATH`).
pub(super) fn find(
    architecture: Architecture,
    path: Option<&std::ffi::OsStr>,
) -> Result<PathBuf, StartError> {
    let program = format!("qemu-system-{}", architecture.name());
    let file = format!("{program}{}", std::env::consts::EXE_SUFFIX);
    let folders = path.map(|path| std::env::split_paths(path).collect::<Vec<_>>());
    let found = folders
        .unwrap_or_default()
        .into_iter()
        .map(|folder| folder.join(&file))
        .find(|candidate| is_program(candidate));
    found.ok_or_else(|| StartError::HypervisorMissing {
        program,
        advice: advice(architecture, &os_release()),
    })
}

#[cfg(unix)]
fn is_program(path: &Path) -> bool {
    use std::os::unix::fs::PermissionsExt as _;
    path.metadata()
        .is_ok_and(|found| found.is_file() && found.permissions().mode() & 0o111 != 0)
}

#[cfg(not(unix))]
fn is_program(path: &Path) -> bool {
    path.is_file()
}

/// `os-release(5)`; empty where there is none.
fn os_release() -> String {
    std::fs::read_to_string("/etc/os-release").unwrap_or_default()
}

/// The command that installs QEMU on the system that `os_release` describes.
fn advice(architecture: Architecture, os_release: &str) -> String {
    let ids: Vec<&str> = os_release
        .lines()
        .filter_map(|line| {
            line.strip_prefix("ID=")
                .or_else(|| line.strip_prefix("ID_LIKE="))
        })
        .flat_map(|value| value.trim_matches('"').split(' '))
        .collect();
    let (debian, fedora) = match architecture {
        Architecture::X86_64 => ("qemu-system-x86", "qemu-system-x86-core"),
        Architecture::Aarch64 => ("qemu-system-arm", "qemu-system-aarch64-core"),
    };
    let apt = format!("sudo apt install {debian}");
    let dnf = format!("sudo dnf install {fedora}");
    let is = |id: &str| ids.contains(&id);
    let command = if cfg!(target_os = "macos") {
        "brew install qemu".to_owned()
    } else if is("debian") || is("ubuntu") {
        apt
    } else if is("fedora") || is("rhel") {
        dnf
    } else if is("arch") {
        format!(
            "sudo pacman -S qemu-system-{}",
            if debian.ends_with("arm") {
                "aarch64"
            } else {
                "x86"
            }
        )
    } else if is("suse") || is("opensuse") {
        format!("sudo zypper install {debian}")
    } else if is("alpine") {
        format!("sudo apk add qemu-system-{}", architecture.name())
    } else {
        return format!(
            "get it with `{apt}` (Debian, Ubuntu), `{dnf}` (Fedora) or `brew install qemu` (macOS)"
        );
    };
    format!("get it with `{command}`")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_system_is_told_its_own_command() {
        let told = |text: &str| advice(Architecture::X86_64, text);
        assert!(told("ID=debian\n").contains("`sudo apt install qemu-system-x86`"));
        assert!(told("ID=linuxmint\nID_LIKE=\"ubuntu debian\"\n").contains("apt install"));
        assert!(told("NAME=Fedora\nID=fedora\n").contains("dnf install qemu-system-x86-core"));
        let unknown = told("");
        for word in ["apt install", "dnf install", "brew install"] {
            assert!(unknown.contains(word), "{unknown}");
        }
    }

    #[test]
    fn without_a_path_nothing_is_found() {
        for path in [None, Some("".as_ref()), Some("/nowhere".as_ref())] {
            let error = find(Architecture::X86_64, path).expect_err("there is none");
            let error = error.to_string();
            assert!(
                error.starts_with("qemu-system-x86_64 is not installed; get it with"),
                "{error}"
            );
        }
    }
}
