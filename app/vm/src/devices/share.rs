//! A share: a folder of the host, served to the guest as a virtiofs by the library of virtiofsd.
//!
//! Run by root it serves every file as it is. Run by a user, every file that the guest makes belongs to that user,
//! whoever made it in the guest: a user cannot give files away, and would have no use for files that are another's.

use std::ffi::OsString;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use vhost::vhost_user::Listener;
use vhost_user_backend::VhostUserDaemon;
use virtiofsd::filesystem::{FileSystem, SerializableFileSystem};
use virtiofsd::passthrough::read_only::PassthroughFsRo;
use virtiofsd::passthrough::{CachePolicy, Config, InodeFileHandlesMode, PassthroughFs};
use virtiofsd::sandbox::{Sandbox, SandboxMode};
use virtiofsd::soft_idmap::cmdline::IdMap;
use virtiofsd::vhost_user::VhostUserFsBackendBuilder;
use vm_memory::{GuestMemoryAtomic, GuestMemoryMmap};

use super::DeviceError;

/// How long the guest believes what it read about a file that the host may change.
const BELIEF: Duration = Duration::from_secs(1);

/// Descriptors that are not the guest's: memory areas, of which vhost-user has at most 509, and a few of our own.
const RESERVED: u64 = 509 + 100;

/// What is served, and how.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Serving {
    pub(crate) path: PathBuf,
    pub(crate) readonly: bool,
}

impl Serving {
    const READONLY: &str = "--readonly";

    /// The words after the verb.
    pub(crate) fn to_words(&self) -> Vec<OsString> {
        let readonly = self.readonly.then(|| Self::READONLY.into());
        readonly
            .into_iter()
            .chain([self.path.clone().into()])
            .collect()
    }

    pub(crate) fn from_words(words: &[OsString]) -> Result<Serving, DeviceError> {
        let (readonly, path) = match words {
            [path] => (false, path),
            [flag, path] if flag == Self::READONLY => (true, path),
            other => return Err(DeviceError::Usage(other.join(" ".as_ref()))),
        };
        Ok(Serving {
            path: path.into(),
            readonly,
        })
    }
}

/// Serves until the machine ends.
pub(super) fn run(serving: &Serving) -> Result<(), DeviceError> {
    let listener = Listener::from(super::machine_side()?);
    let root = rustix::process::geteuid().is_root();
    let descriptors = virtiofsd::limits::setup_rlimit_nofile(None)
        .map_err(|error| DeviceError::looped("raise the limit of open files", error))?;
    let mut sandbox = Sandbox::new(text(&serving.path)?, mode(root), Vec::new(), Vec::new());
    let prefix = sandbox
        .get_mountinfo_prefix()
        .map_err(|error| DeviceError::looped("look at the share's mounts", error))?;
    let listener = sandbox
        .enter(listener)
        .map_err(|error| DeviceError::looped("lock the share's server in", error))?;
    let (uid_map, gid_map) = maps(root);
    let config = Config {
        entry_timeout: BELIEF,
        attr_timeout: BELIEF,
        cache_policy: CachePolicy::Auto,
        root_dir: sandbox.get_root_dir(),
        mountinfo_prefix: prefix,
        proc_sfd_rawfd: sandbox.get_proc_self_fd(),
        proc_mountinfo_rawfd: sandbox.get_mountinfo_fd(),
        xattr: true,
        announce_submounts: true,
        inode_file_handles: InodeFileHandlesMode::Prefer,
        readdirplus: true,
        allow_mmap: true,
        clean_noatime: true,
        uid_map,
        gid_map,
        guest_fd_limit: descriptors.saturating_sub(RESERVED),
        ..Config::default()
    };
    if root {
        drop_capabilities()?;
    }
    let made = |error: io::Error| DeviceError::system("open the share")(error);
    if serving.readonly {
        serve(PassthroughFsRo::new(config).map_err(made)?, listener)
    } else {
        serve(PassthroughFs::new(config).map_err(made)?, listener)
    }
}

/// A user may not change roots; what it may read and write is then all that holds the guest back.
fn mode(root: bool) -> SandboxMode {
    if root {
        SandboxMode::Chroot
    } else {
        SandboxMode::None
    }
}

fn text(path: &Path) -> Result<String, DeviceError> {
    let text = path.to_str().map(str::to_owned);
    text.ok_or_else(|| DeviceError::Usage(path.into()))
}

/// What a user makes of the guest's owners: themselves, all of them.
fn maps(root: bool) -> (Option<Vec<IdMap>>, Option<Vec<IdMap>>) {
    let everyone_is = |id: u32| {
        vec![IdMap::SquashGuest {
            from_guest: 0,
            to_host: id,
            count: u32::MAX,
        }]
    };
    if root {
        (None, None)
    } else {
        (
            Some(everyone_is(rustix::process::geteuid().as_raw())),
            Some(everyone_is(rustix::process::getegid().as_raw())),
        )
    }
}

/// Keeps what serving other people's files takes, as virtiofsd's own program does.
fn drop_capabilities() -> Result<(), DeviceError> {
    use rustix::thread::{CapabilitySet, CapabilitySets, set_capabilities};
    let kept = CapabilitySet::CHOWN
        | CapabilitySet::DAC_OVERRIDE
        | CapabilitySet::DAC_READ_SEARCH
        | CapabilitySet::FOWNER
        | CapabilitySet::FSETID
        | CapabilitySet::SETGID
        | CapabilitySet::SETUID
        | CapabilitySet::MKNOD
        | CapabilitySet::SETFCAP;
    let sets = CapabilitySets {
        effective: kept,
        permitted: kept,
        inheritable: CapabilitySet::empty(),
    };
    set_capabilities(None, sets)
        .map_err(|error| DeviceError::system("drop capabilities")(error.into()))
}

fn serve<F>(files: F, mut listener: Listener) -> Result<(), DeviceError>
where
    F: FileSystem + SerializableFileSystem + Send + Sync + 'static,
{
    let backend = VhostUserFsBackendBuilder::default()
        .set_thread_pool_size(0)
        .build(files)
        .map_err(|error| DeviceError::looped("make the share's device", error))?;
    let memory = GuestMemoryAtomic::new(GuestMemoryMmap::new());
    let mut daemon = VhostUserDaemon::new("share".into(), Arc::new(backend), memory)
        .map_err(|error| DeviceError::looped("make the share's device", error))?;
    daemon
        .start(&mut listener)
        .map_err(|error| DeviceError::looped("meet the machine", error))?;
    // The hypervisor hangs up at its end, which is no error.
    drop(daemon.wait());
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_say_what_is_served() {
        for readonly in [false, true] {
            for path in ["/home/x", "/a b,c/ü", "--readonly"] {
                let serving = Serving {
                    path: path.into(),
                    readonly,
                };
                let back = Serving::from_words(&serving.to_words()).expect("they are ours");
                assert_eq!(back, serving);
            }
        }
        assert!(Serving::from_words(&[]).is_err());
        assert!(Serving::from_words(&["-x".into(), "/".into()]).is_err());
    }
}
