//! The processes of a machine and the sockets between them.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use tokio::process::{ChildStdin, ChildStdout, Command};

use super::command::Carrier;
use crate::process::{Member, Parent};
use crate::{Dialer, Process, Role, Spec, StartError};

/// QEMU and its devices, with their sockets' files.
pub(super) struct Household {
    parent: Parent,
    members: Vec<Member>,
    carrier: Carried,
    shares: Vec<(String, PathBuf)>,
    files: Vec<PathBuf>,
}

/// Who carries vsock streams, and what was made for that.
enum Carried {
    Kernel(u32),
    Process { machine: PathBuf, host: PathBuf },
}

pub(super) fn make_folders(spec: &Spec) -> Result<(), StartError> {
    let consoles = spec.console.parent().unwrap_or(Path::new("."));
    for folder in [&*spec.run, consoles] {
        let made = private_folder(folder);
        made.map_err(|source| files("make the folder", folder, source))?;
    }
    Ok(())
}

#[cfg(unix)]
fn private_folder(folder: &Path) -> io::Result<()> {
    use std::os::unix::fs::DirBuilderExt as _;
    fs::DirBuilder::new()
        .recursive(true)
        .mode(0o700)
        .create(folder)
}

#[cfg(not(unix))]
fn private_folder(folder: &Path) -> io::Result<()> {
    fs::create_dir_all(folder)
}

/// Removes a file that an earlier run may have left.
pub(super) fn remove(path: &Path) -> Result<(), StartError> {
    match fs::remove_file(path) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => {
            Err(files("remove the old", path, error))
        }
        Ok(()) | Err(_) => Ok(()),
    }
}

fn files(doing: &'static str, path: &Path, source: io::Error) -> StartError {
    StartError::Files {
        doing,
        path: path.to_owned(),
        source,
    }
}

impl Household {
    /// Starts the devices. QEMU, which is added later, meets them at sockets that listen already.
    pub(super) async fn start(spec: &Spec) -> Result<Household, StartError> {
        let parent = Parent::new().map_err(|source| StartError::Spawn {
            program: "a thread".into(),
            source,
        })?;
        let mut household = Household {
            parent,
            members: Vec::new(),
            carrier: Carried::Process {
                machine: spec.run.join("vhost-vsock.sock"),
                host: spec.run.join("vsock.sock"),
            },
            shares: Vec::new(),
            files: Vec::new(),
        };
        match os::start_devices(&mut household, spec).await {
            Ok(()) => Ok(household),
            Err(error) => {
                household.kill().await;
                Err(error)
            }
        }
    }

    pub(super) async fn add(
        &mut self,
        role: Role,
        command: Command,
        program: &Path,
    ) -> Result<(), StartError> {
        let started = self.parent.start(role, command).await;
        let member = match started {
            Ok(member) => member,
            Err(source) => {
                self.kill().await;
                let program = program.to_owned();
                return Err(StartError::Spawn { program, source });
            }
        };
        self.members.push(member);
        Ok(())
    }

    pub(super) fn carrier(&self) -> Carrier<'_> {
        match &self.carrier {
            Carried::Kernel(cid) => Carrier::Kernel(*cid),
            Carried::Process { machine, .. } => Carrier::Process(machine),
        }
    }

    pub(super) fn shares(&self) -> &[(String, PathBuf)] {
        &self.shares
    }

    pub(super) fn dialer(&self) -> Dialer {
        match &self.carrier {
            Carried::Kernel(cid) => Dialer::Vsock { cid: *cid },
            Carried::Process { host, .. } => Dialer::Hybrid { path: host.clone() },
        }
    }

    pub(super) fn processes(&self) -> Vec<Process> {
        let process = |member: &Member| {
            let role = member.role.clone();
            member.pid().map(|pid| Process { role, pid })
        };
        self.members.iter().filter_map(process).collect()
    }

    pub(super) fn pid(&self, role: &Role) -> Option<u32> {
        let member = self.members.iter().find(|member| member.role == *role);
        member.and_then(Member::pid)
    }

    /// QEMU's standard output and input.
    pub(super) fn pipes(&mut self) -> Option<(ChildStdout, ChildStdin)> {
        self.members.last_mut().and_then(Member::pipes)
    }

    /// Waits for the first process to end. May be dropped and called again.
    pub(super) async fn ended(&mut self) -> (Role, String) {
        let ends = self.members.iter_mut().map(|member| {
            let role = member.role.clone();
            Box::pin(async move { (role, member.ended().await) })
        });
        let (first, ..) = futures_util::future::select_all(ends).await;
        first
    }

    pub(super) async fn hypervisor_ended(&mut self) -> String {
        for member in &mut self.members {
            if member.role == Role::Hypervisor {
                return member.ended().await;
            }
        }
        String::new()
    }

    /// Ends all that still runs, QEMU first, and waits for it.
    pub(super) async fn kill(&mut self) {
        for member in self.members.iter_mut().rev() {
            member.kill().await;
        }
        self.remove_files();
    }

    fn remove_files(&mut self) {
        for path in self.files.drain(..) {
            // The next start removes what is left.
            drop(fs::remove_file(path));
        }
    }
}

impl Drop for Household {
    fn drop(&mut self) {
        self.remove_files();
    }
}

#[cfg(target_os = "linux")]
mod os {
    //! Devices that speak vhost-user with QEMU.

    use std::ffi::OsString;
    use std::hash::{BuildHasher as _, RandomState};
    use std::os::fd::OwnedFd;
    use std::os::unix::net::UnixListener;
    use std::path::Path;
    use std::process::Stdio;

    use tokio::process::Command;

    use super::{Carried, Household, files, remove};
    use crate::devices::{SHARE_VERB, Serving, VSOCK_VERB};
    use crate::{Role, Spec, StartError};

    /// The kernel's side of vsock for guests, where it is loaded and we may use it.
    const KERNEL_VSOCK: &str = "/dev/vhost-vsock";

    pub(super) async fn start_devices(
        household: &mut Household,
        spec: &Spec,
    ) -> Result<(), StartError> {
        vsock(household, spec).await?;
        for (index, share) in spec.shares.iter().enumerate() {
            let socket = spec.run.join(format!("share{index}.sock"));
            let machine = listen(household, &socket)?;
            let serving = Serving {
                path: share.path.clone(),
                readonly: share.readonly,
            };
            let (program, mut command) = device(spec, SHARE_VERB)?;
            command
                .args(serving.to_words())
                .stdin(machine)
                .stdout(Stdio::null());
            let role = Role::Share(share.tag.clone());
            household.add(role, command, Path::new(&program)).await?;
            household.shares.push((share.tag.clone(), socket));
        }
        Ok(())
    }

    async fn vsock(household: &mut Household, spec: &Spec) -> Result<(), StartError> {
        if kernel_carries() {
            household.carrier = Carried::Kernel(any_cid());
            return Ok(());
        }
        let Carried::Process { machine, host } = &household.carrier else {
            return Ok(());
        };
        let (machine, host) = (machine.clone(), host.clone());
        let machine = listen(household, &machine)?;
        let host = listen(household, &host)?;
        let (program, mut command) = device(spec, VSOCK_VERB)?;
        command.stdin(machine).stdout(host);
        household
            .add(Role::Vsock, command, Path::new(&program))
            .await
    }

    fn kernel_carries() -> bool {
        let opened = std::fs::OpenOptions::new()
            .read(true)
            .write(true)
            .open(KERNEL_VSOCK);
        opened.is_ok()
    }

    /// Addresses below 3 and the last one have a meaning (`vsock(7)`); of the others any that is free will do.
    fn any_cid() -> u32 {
        let random = RandomState::new().hash_one(std::process::id()) as u32;
        3 + random % (u32::MAX - 4)
    }

    fn device(spec: &Spec, verb: &str) -> Result<(OsString, Command), StartError> {
        let (program, words) = spec.devices.split_first().ok_or(StartError::Unfit {
            why: "no program for its devices was named".into(),
        })?;
        let mut command = Command::new(program);
        command.args(words).arg(verb);
        Ok((program.clone(), command))
    }

    fn listen(household: &mut Household, path: &Path) -> Result<Stdio, StartError> {
        remove(path)?;
        let listener = UnixListener::bind(path)
            .map_err(|source| files("listen at the machine's socket", path, source))?;
        household.files.push(path.to_owned());
        Ok(Stdio::from(OwnedFd::from(listener)))
    }
}

#[cfg(not(target_os = "linux"))]
mod os {
    //! QEMU elsewhere has nobody to carry vsock streams.

    use super::Household;
    use crate::{Spec, StartError};

    pub(super) async fn start_devices(
        _household: &mut Household,
        _spec: &Spec,
    ) -> Result<(), StartError> {
        Err(StartError::Unfit {
            why: "with QEMU, streams into a machine are carried on Linux only".into(),
        })
    }
}
