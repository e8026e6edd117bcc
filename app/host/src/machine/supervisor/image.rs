//! Where the machine's boot files are.

use std::path::{Path, PathBuf};

/// The folder: what is set, `PROA_IMAGE`, beside the installed program, or where `scripts/dev image` puts it.
pub(super) fn find(set: Option<&Path>) -> Option<PathBuf> {
    if let Some(set) = set {
        return Some(set.to_owned());
    }
    if let Some(said) = std::env::var_os("PROA_IMAGE").filter(|said| !said.is_empty()) {
        return Some(said.into());
    }
    let program = std::env::current_exe().ok()?;
    let folder = program.parent()?;
    let arch = std::env::consts::ARCH;
    // target/debug/proa, target/x86_64-unknown-linux-musl/release/proa.
    let built = folder
        .ancestors()
        .skip(1)
        .take(2)
        .map(|target| target.join("vm-image").join(arch));
    std::iter::once(folder.join("../lib/proa/image"))
        .chain(built)
        .find(|folder| folder.join("kernel").is_file())
}
