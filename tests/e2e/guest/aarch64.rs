//! The other processor's boot files, under emulation: from the kernel to where the agent is started from the image.

use std::process::{Command, Stdio};

use super::guest::{PATIENCE, command_line};
use super::support::{boot_files_without_agent, poll, short_folder};

#[test]
fn the_image_for_aarch64_boots() {
    let files = boot_files_without_agent("aarch64");
    let folder = short_folder(std::path::Path::new("/var/tmp"), "proa-guest-");
    let console = folder.join("console");
    let image = format!(
        "file={},format=raw,if=none,id=image,readonly=on",
        files.join("image.erofs").display()
    );
    let mut qemu = Command::new("qemu-system-aarch64")
        .args([
            "-M",
            "virt",
            "-cpu",
            "cortex-a57",
            "-m",
            "512",
            "-display",
            "none",
            "-monitor",
            "none",
        ])
        .args([
            "-nic",
            "none",
            "-no-reboot",
            "-append",
            &command_line(&files),
            "-kernel",
        ])
        .arg(files.join("kernel"))
        .arg("-initrd")
        .arg(files.join("initramfs"))
        .args([
            "-drive",
            &image,
            "-device",
            "virtio-blk-pci,drive=image,serial=proa-image",
        ])
        .args(["-serial", &format!("file:{}", console.display())])
        .stdin(Stdio::null())
        .spawn()
        .expect("qemu-system-aarch64 is installed");
    let mut said = String::new();
    poll(PATIENCE, "it ends", || {
        said = String::from_utf8_lossy(&std::fs::read(&console).unwrap_or_default()).into_owned();
        qemu.try_wait().unwrap().is_some()
    });
    let _ = std::fs::remove_dir_all(&folder);
    // Everything before the agent went well, and there is none.
    assert!(
        said.contains("proa: boot: start /proa/bin/proa-agent"),
        "{said}"
    );
}
