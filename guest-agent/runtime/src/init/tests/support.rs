//! A root file system to start from, and what became of a container.

use std::fs::File;
use std::io::Read as _;
use std::os::fd::{AsFd, OwnedFd};
use std::os::unix::fs::{DirBuilderExt as _, symlink};
use std::path::{Path, PathBuf};

use oci_spec::runtime::{Process, Spec};
use proa_kernel::{message, process};

use crate::init::{SpawnFds, Spawned, spawn};
use crate::plan::{Overlay, Plan, PlanOptions, Root};
use crate::start_error::StartError;

/// A temporary folder with an image of busybox in `image` and room for changes.
pub(super) struct Ground {
    pub(super) folder: tempfile::TempDir,
}

impl Ground {
    pub(super) fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let ground = Self { folder };
        for name in [
            "image/bin",
            "image/etc",
            "image/proc",
            "image/dev",
            "image/sys",
            "image/tmp",
            "upper",
            "work",
        ] {
            std::fs::DirBuilder::new()
                .recursive(true)
                .mode(0o755)
                .create(ground.path(name))
                .unwrap();
        }
        std::fs::copy("/bin/busybox", ground.path("image/bin/busybox")).unwrap();
        for applet in [
            "sh", "cat", "id", "ls", "sleep", "stat", "touch", "mkdir", "hostname", "tty", "ps",
            "true",
        ] {
            symlink("busybox", ground.path("image/bin").join(applet)).unwrap();
        }
        std::fs::write(
            ground.path("image/etc/passwd"),
            "root:x:0:0::/root:/bin/sh\nmail:x:8:8::/var/mail:\n",
        )
        .unwrap();
        ground
    }

    pub(super) fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    pub(super) fn overlay(&self) -> Root {
        Root::Overlay(Overlay {
            lowers: vec![self.path("image")],
            upper: self.path("upper"),
            work: self.path("work"),
            volatile: false,
        })
    }

    pub(super) fn options(&self) -> PlanOptions {
        PlanOptions {
            id: "test".into(),
            root: Some(self.overlay()),
            ..PlanOptions::default()
        }
    }

    /// The plan of a shell script in an ordinary container, after `change`.
    pub(super) fn plan(&self, script: &str, change: impl FnOnce(&mut Spec)) -> Plan {
        Plan::new(&spec(script, change), self.options()).unwrap()
    }

    /// Runs a shell script in an ordinary container.
    pub(super) fn sh(&self, script: &str) -> Outcome {
        run(&self.plan(script, |_| {}))
    }
}

/// The spec of a shell script.
pub(super) fn spec(script: &str, change: impl FnOnce(&mut Spec)) -> Spec {
    let mut process = Process::default();
    process.set_args(Some(["/bin/sh", "-c", script].map(str::to_owned).to_vec()));
    process.set_terminal(Some(false));
    let mut spec = Spec::default();
    let mounts = spec.mounts().clone().unwrap_or_default();
    let mounts = mounts
        .into_iter()
        .filter(|mount| mount.typ().as_deref() != Some("cgroup"))
        .collect();
    spec.set_process(Some(process))
        .set_mounts(Some(mounts))
        .set_hostname(Some("box".into()));
    change(&mut spec);
    spec
}

/// What became of a container: what it printed, and its exit code or why it did not start.
#[derive(Debug)]
pub(super) struct Outcome {
    pub(super) output: String,
    pub(super) ended: Result<i32, StartError>,
}

impl Outcome {
    /// The output of a command that succeeded.
    #[track_caller]
    pub(super) fn text(&self) -> &str {
        assert_eq!(self.ended, Ok(0), "it printed: {}", self.output);
        self.output.trim_end()
    }

    #[track_caller]
    pub(super) fn error(&self) -> String {
        self.ended.as_ref().unwrap_err().to_string()
    }
}

/// Runs a plan to its end.
pub(super) fn run(plan: &Plan) -> Outcome {
    run_with(plan, &SpawnFds::default(), |_| {})
}

/// The same with more descriptors, and something to do while it runs. The caller forks: `during` sees copies.
pub(super) fn run_with(plan: &Plan, fds: &SpawnFds<'_>, during: impl FnOnce(&Spawned)) -> Outcome {
    capture(|output| {
        let fds = SpawnFds {
            stdout: Some(output.as_fd()),
            stderr: Some(output.as_fd()),
            ..fds.clone()
        };
        let spawned = spawn(plan, &fds)?;
        during(&spawned);
        Ok(process::wait(&spawned.pidfd).unwrap().code())
    })
}

/// Runs `body` in a process with one thread, with something to print to.
pub(super) fn capture(body: impl FnOnce(&OwnedFd) -> Result<i32, StartError>) -> Outcome {
    let (reader, writer) = rustix::pipe::pipe_with(rustix::pipe::PipeFlags::CLOEXEC).unwrap();
    let (ours, theirs) = message::pair().unwrap();
    let Some(pid) = process::fork().unwrap() else {
        drop((ours, reader));
        let ended = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| body(&writer)));
        let bytes = match ended {
            Ok(ended) => postcard::to_allocvec(&ended).unwrap(),
            Err(panic) => {
                // What the test harness would show is lost with this process.
                let words = panic.downcast_ref::<String>().map_or("", String::as_str);
                let _ = rustix::io::write(&writer, words.as_bytes());
                Vec::new()
            }
        };
        let _ = message::send(&theirs, &bytes, &[]);
        process::exit_now(0);
    };
    drop((theirs, writer));
    let mut output = String::new();
    File::from(reader).read_to_string(&mut output).unwrap();
    let mut buffer = vec![0; 16 << 10];
    let length = message::receive(&ours, &mut buffer).unwrap().length;
    process::wait(process::open(pid).unwrap()).unwrap();
    assert!(length > 0, "the caller died; printed: {output}");
    Outcome {
        output,
        ended: postcard::from_bytes(&buffer[..length]).unwrap(),
    }
}

/// A bind mount for a spec.
pub(super) fn bind(source: &Path, target: &str, options: &[&str]) -> oci_spec::runtime::Mount {
    let mut mount = oci_spec::runtime::Mount::default();
    mount
        .set_destination(target.into())
        .set_typ(Some("bind".into()))
        .set_source(Some(source.to_owned()));
    mount.set_options(Some(options.iter().map(|&word| word.to_owned()).collect()));
    mount
}

/// Adds a mount to a spec.
pub(super) fn add_mount(spec: &mut Spec, mount: oci_spec::runtime::Mount) {
    let mut mounts = spec.mounts().clone().unwrap_or_default();
    mounts.push(mount);
    spec.set_mounts(Some(mounts));
}

/// Changes a spec's process.
pub(super) fn with_process(spec: &mut Spec, change: impl FnOnce(&mut Process)) {
    let mut process = spec.process().clone().unwrap();
    change(&mut process);
    spec.set_process(Some(process));
}

/// Changes a spec's Linux section.
pub(super) fn with_linux(spec: &mut Spec, change: impl FnOnce(&mut oci_spec::runtime::Linux)) {
    let mut linux = spec.linux().clone().unwrap();
    change(&mut linux);
    spec.set_linux(Some(linux));
}
