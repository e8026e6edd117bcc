//! One guest: started, talked to, turned off.

use std::fs::File;
use std::net::TcpListener;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use serde_json::{Value, json};

use super::support::{Client, Ran, boot_files, peer, poll, run, short_folder};

/// Without acceleration, on a busy machine.
pub const PATIENCE: Duration = Duration::from_secs(240);

/// One guest at a time: each takes two processors.
static TURN: Mutex<()> = Mutex::new(());

/// A disk that outlives the guests it is given to.
pub struct DiskFile(PathBuf);

impl DiskFile {
    pub fn new(megabytes: u64) -> Self {
        let disk = Self(short_folder(Path::new("/var/tmp"), "proa-guest-").join("disk"));
        File::create(&disk.0).unwrap();
        disk.resize(megabytes);
        disk
    }

    pub fn resize(&self, megabytes: u64) {
        let file = File::options().write(true).open(&self.0).unwrap();
        file.set_len(megabytes << 20).unwrap();
    }

    pub fn path(&self) -> &Path {
        &self.0
    }
}

impl Drop for DiskFile {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(self.0.parent().unwrap());
    }
}

pub struct Guest {
    qemu: Child,
    folder: PathBuf,
    port: u16,
    _turn: MutexGuard<'static, ()>,
}

impl Guest {
    /// Boots with this data disk, and waits until the API answers.
    pub fn boot(disk: &DiskFile) -> Self {
        let turn = TURN.lock().unwrap_or_else(PoisonError::into_inner);
        let folder = short_folder(Path::new("/var/tmp"), "proa-guest-");
        let free = TcpListener::bind("127.0.0.1:0").unwrap();
        let port = free.local_addr().unwrap().port();
        drop(free);
        let qemu = qemu(disk, &folder, port)
            .spawn()
            .expect("qemu-system-x86_64 is installed");
        let mut guest = Self {
            qemu,
            folder,
            port,
            _turn: turn,
        };
        poll(PATIENCE, "the API answers", || {
            assert!(
                guest.qemu.try_wait().unwrap().is_none(),
                "it ended:\n{}",
                guest.console()
            );
            let answer = guest.api().try_send("GET", "/proa/v1/health", &[], b"");
            answer.is_ok_and(|answer| answer.status == 200)
        });
        guest
    }

    pub fn api(&self) -> Client {
        Client::tcp(&format!("127.0.0.1:{}", self.port))
    }

    pub fn health(&self) -> Value {
        self.api().get("/proa/v1/health").ok().json()
    }

    pub fn docker(&self, words: &[&str]) -> Ran {
        run(&mut self.docker_command(words))
    }

    pub fn docker_command(&self, words: &[&str]) -> Command {
        let mut docker = peer("docker");
        docker
            .args(words)
            .env("DOCKER_HOST", format!("tcp://127.0.0.1:{}", self.port))
            .env("DOCKER_CONFIG", &self.folder)
            .env_remove("DOCKER_CONTEXT");
        docker
    }

    /// What was said on the console.
    pub fn console(&self) -> String {
        let text = std::fs::read(self.folder.join("console")).unwrap_or_default();
        String::from_utf8_lossy(&text).into_owned()
    }

    /// Turns it off by its API, and waits for it.
    pub fn shut_down(mut self) -> String {
        self.api().post("/proa/v1/shutdown", &json!(null)).ok();
        let mut ended: Option<ExitStatus> = None;
        poll(PATIENCE, "the guest is off", || {
            ended = self.qemu.try_wait().unwrap();
            ended.is_some()
        });
        assert!(ended.unwrap().success(), "{}", self.console());
        self.console()
    }
}

impl Drop for Guest {
    fn drop(&mut self) {
        let _ = self.qemu.kill();
        let _ = self.qemu.wait();
        if std::thread::panicking() {
            eprintln!("the guest's console:\n{}", self.console());
        }
        let _ = std::fs::remove_dir_all(&self.folder);
    }
}

/// The words that the manifest has for the kernel.
pub fn command_line(files: &Path) -> String {
    let manifest = std::fs::read(files.join("manifest.json")).unwrap();
    let manifest: Value = serde_json::from_slice(&manifest).unwrap();
    manifest["command_line"].as_str().unwrap().to_owned()
}

/// Without acceleration and with several processors, QEMU 7.2 spoils registers around a contended cmpxchg16b.
fn qemu(disk: &DiskFile, folder: &Path, port: u16) -> Command {
    let files = boot_files();
    let words = format!(
        "{} proa.ip=10.0.2.15/24 proa.gateway=10.0.2.2 proa.dns=10.0.2.3 proa.listen=0.0.0.0:2375",
        command_line(&files)
    );
    let image = format!(
        "file={},format=raw,if=none,id=image,readonly=on",
        files.join("image.erofs").display()
    );
    let data = format!(
        "file={},format=raw,if=none,id=data,discard=unmap",
        disk.path().display()
    );
    let net = format!("user,id=net,hostfwd=tcp:127.0.0.1:{port}-:2375");
    let console = format!("file:{}", folder.join("console").display());
    let mut qemu = Command::new("qemu-system-x86_64");
    qemu.args([
        "-M",
        "q35",
        "-accel",
        "tcg,thread=multi",
        "-cpu",
        "max,cx16=off",
        "-smp",
        "2",
        "-m",
        "1024",
    ])
    .args([
        "-display",
        "none",
        "-monitor",
        "none",
        "-no-reboot",
        "-append",
        &words,
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
    .args([
        "-drive",
        &data,
        "-device",
        "virtio-blk-pci,drive=data,serial=proa-data",
    ])
    .args([
        "-netdev",
        &net,
        "-device",
        "virtio-net-pci,netdev=net",
        "-device",
        "virtio-rng-pci",
    ])
    .args(["-serial", &console])
    .stdin(Stdio::null());
    qemu
}
