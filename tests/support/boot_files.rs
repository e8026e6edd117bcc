//! The machine's boot files with this test's own agent in them.

use std::fs::{self, File};
use std::path::{Path, PathBuf};
use std::process::Command;

use super::programs::{program, run};

/// A folder with `kernel`, `initramfs`, `image.erofs` and `manifest.json` for this processor: the one that `PROA_IMAGE`
/// names, or one made here of the agent beside this test, once for all tests.
pub fn boot_files() -> PathBuf {
    if let Some(folder) = std::env::var_os("PROA_IMAGE") {
        return folder.into();
    }
    let agent = program("proa-agent");
    let common = target_of(&agent)
        .join("vm-image")
        .join(std::env::consts::ARCH);
    if is_newer(&common, &agent) {
        return common;
    }
    made(
        std::env::consts::ARCH,
        &["--agent", &agent.display().to_string()],
        &agent,
    )
}

/// The same for a processor, without an agent.
pub fn boot_files_without_agent(arch: &str) -> PathBuf {
    made(arch, &["--no-agent"], &program("proa-agent"))
}

/// Made again when the agent is newer. Others may be at it at the same time.
fn made(arch: &str, words: &[&str], agent: &Path) -> PathBuf {
    let all = agent
        .parent()
        .expect("it lies in a folder")
        .join("vm-image-of-tests");
    fs::create_dir_all(&all).expect("the target folder can be written to");
    let folder = all.join(arch);
    let lock = File::create(all.join("lock")).expect("a lock can be made");
    lock.lock().expect("a lock can be waited for");
    if is_newer(&folder, agent) {
        return folder;
    }
    let top = Path::new(env!("CARGO_MANIFEST_DIR")).join("../..");
    let script = top.join("vm-image/build.sh");
    run(Command::new(script)
        .args(words)
        .arg("--out")
        .args([&folder, Path::new(arch)])
        .env("CARGO_TARGET_DIR", target_of(agent)))
    .ok();
    folder
}

/// Cargo's folder, of a program in the folder of a profile.
fn target_of(program: &Path) -> &Path {
    program
        .ancestors()
        .nth(2)
        .expect("a profile's folder is in the target folder")
}

/// Whether boot files were made after a program was.
fn is_newer(folder: &Path, program: &Path) -> bool {
    let made = fs::metadata(folder.join("manifest.json")).and_then(|file| file.modified());
    let built = fs::metadata(program).and_then(|file| file.modified());
    matches!((made, built), (Ok(made), Ok(built)) if made > built)
}
