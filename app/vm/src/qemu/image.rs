//! The boot files, looked at before anything is started with them.

use std::fs::File;
use std::io::Read as _;
use std::path::Path;

use serde::Deserialize;

use crate::StartError;

/// The format of image folders that this program boots.
const FORMAT: u32 = 1;

/// A processor that guests are made for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Architecture {
    X86_64,
    Aarch64,
}

impl Architecture {
    pub(super) fn of_host() -> Architecture {
        if cfg!(target_arch = "aarch64") {
            Architecture::Aarch64
        } else {
            Architecture::X86_64
        }
    }

    pub(super) fn name(self) -> &'static str {
        match self {
            Architecture::X86_64 => "x86_64",
            Architecture::Aarch64 => "aarch64",
        }
    }
}

/// What of `manifest.json` matters to a start. What else is in there is for those who make and compare images.
#[derive(Debug, Default, Deserialize)]
pub(super) struct Manifest {
    /// The folder's format.
    pub(super) format: Option<u32>,
    /// Words that the image wants on its kernel's command line.
    #[serde(default)]
    pub(super) command_line: String,
}

/// Boot files that can be booted here.
#[derive(Debug)]
pub(super) struct Checked {
    pub(super) architecture: Architecture,
    pub(super) words: Vec<String>,
}

/// Looks at the files in `folder`.
pub(super) fn check(folder: &Path, wanted: Architecture) -> Result<Checked, StartError> {
    let unfit = |why: String| StartError::ImageUnfit {
        path: folder.to_owned(),
        why,
    };
    for name in ["initramfs", "image.erofs"] {
        open(&folder.join(name))?;
    }
    let mut head = Vec::new();
    let kernel = folder.join("kernel");
    open(&kernel)?
        .take(HEAD)
        .read_to_end(&mut head)
        .map_err(|source| StartError::ImageMissing {
            path: kernel,
            source,
        })?;
    let architecture = kernel_architecture(&head)
        .ok_or_else(|| unfit("its kernel is no Linux kernel that QEMU can load".into()))?;
    if architecture != wanted {
        let (is, wants) = (architecture.name(), wanted.name());
        return Err(unfit(format!(
            "it is for {is}, and this computer is {wants}"
        )));
    }
    let manifest = manifest(folder)?;
    if manifest.format.is_some_and(|format| format != FORMAT) {
        let format = manifest.format.unwrap_or_default();
        return Err(unfit(format!(
            "its format is {format} and this version of the program boots format {FORMAT}; use the image that came with it"
        )));
    }
    Ok(Checked {
        architecture,
        words: manifest
            .command_line
            .split_whitespace()
            .map(str::to_owned)
            .collect(),
    })
}

fn open(path: &Path) -> Result<File, StartError> {
    File::open(path).map_err(|source| StartError::ImageMissing {
        path: path.to_owned(),
        source,
    })
}

fn manifest(folder: &Path) -> Result<Manifest, StartError> {
    let path = folder.join("manifest.json");
    let bytes = std::fs::read(&path).map_err(|source| StartError::ImageMissing {
        path: path.clone(),
        source,
    })?;
    serde_json::from_slice(&bytes).map_err(|error| StartError::ImageUnfit {
        path: folder.to_owned(),
        why: format!("manifest.json: {error}"),
    })
}

/// As much of a kernel as its marks lie in.
const HEAD: u64 = 4096;

/// By the marks that boot loaders look for: `HdrS` at 0x202 (Linux, `Documentation/arch/x86/boot.rst`), `ARM\x64` at
/// 0x38 (`Documentation/arch/arm64/booting.rst`), the latter also inside an EFI zboot file, which says so at 4.
fn kernel_architecture(head: &[u8]) -> Option<Architecture> {
    let has = |at: usize, mark: &[u8]| head.get(at..at + mark.len()) == Some(mark);
    if has(0x202, b"HdrS") {
        Some(Architecture::X86_64)
    } else if has(0x38, b"ARM\x64") || (has(0, b"MZ") && has(4, b"zimg")) {
        Some(Architecture::Aarch64)
    } else {
        None
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn folder(kernel: &[u8], manifest: &str) -> tempfile::TempDir {
        let folder = tempfile::tempdir().expect("a folder");
        let write = |name: &str, bytes: &[u8]| {
            std::fs::write(folder.path().join(name), bytes).expect("it can be written");
        };
        write("kernel", kernel);
        write("initramfs", b"");
        write("image.erofs", b"");
        write("manifest.json", manifest.as_bytes());
        folder
    }

    fn x86() -> Vec<u8> {
        let mut head = vec![0; 0x206];
        head[0x202..].copy_from_slice(b"HdrS");
        head
    }

    fn refusal(kernel: &[u8], manifest: &str) -> String {
        let folder = folder(kernel, manifest);
        let error = check(folder.path(), Architecture::X86_64).expect_err("it cannot be booted");
        error.to_string()
    }

    #[test]
    fn an_image_brings_its_words() {
        let manifest = r#"{"format": 1, "command_line": "a=b quiet", "kernel_release": "6.12"}"#;
        let folder = folder(&x86(), manifest);
        let checked = check(folder.path(), Architecture::X86_64).expect("it can be booted");
        assert_eq!(checked.words, ["a=b", "quiet"]);
    }

    #[test]
    fn what_cannot_be_booted_is_named() {
        let mut arm = vec![0; 0x3c];
        arm[0x38..].copy_from_slice(b"ARM\x64");
        assert!(refusal(&arm, "{}").contains("it is for aarch64"));
        assert!(refusal(b"#!/bin/sh", "{}").contains("no Linux kernel"));
        assert!(refusal(&x86(), r#"{"format": 2}"#).contains("format is 2"));
        assert!(refusal(&x86(), "{").contains("manifest.json"));
    }

    #[test]
    fn a_missing_file_is_named() {
        let folder = folder(&x86(), "{}");
        std::fs::remove_file(folder.path().join("initramfs")).expect("it is there");
        let error = check(folder.path(), Architecture::X86_64).expect_err("it is incomplete");
        assert!(error.to_string().contains("initramfs"), "{error}");
    }
}
