//! Where a user's machine lives: what lasts, and what ends with the login.

use std::io;
use std::os::unix::fs::{DirBuilderExt, MetadataExt};
use std::path::{Path, PathBuf};

/// The two folders of a machine, and the names in them.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Folders {
    /// Settings and the data disk.
    pub home: PathBuf,
    /// Sockets and the lock.
    pub run: PathBuf,
}

/// Why there is no place for a machine.
#[derive(Debug, thiserror::Error)]
pub enum FoldersError {
    /// Nobody said where, and there is no home folder.
    #[error("there is no home folder to keep the machine in: set PROA_HOME")]
    NoHome,
    /// It cannot be made.
    #[error("create the folder {}", .0.display())]
    Create(PathBuf, #[source] io::Error),
    /// Somebody else could put sockets into it.
    #[error("the folder {} belongs to somebody else or is open to others; remove it, or set PROA_RUN", .0.display())]
    Foreign(PathBuf),
    /// A socket's address holds 107 bytes (unix(7)).
    #[error("the folder {} has too long a name for sockets; set PROA_RUN to a shorter one", .0.display())]
    TooLong(PathBuf),
}

/// `sun_path` less its zero, and the longest name below the folder.
const LONGEST: usize = 107 - "/supervisor.sock".len();

impl Folders {
    /// Those of this user: `PROA_HOME` and `PROA_RUN`, else where the operating system keeps such things. Nothing is made.
    pub fn here() -> Result<Self, FoldersError> {
        let said = |name| std::env::var_os(name).filter(|value| !value.is_empty());
        let home = match said("PROA_HOME") {
            Some(home) => home.into(),
            None => directories::BaseDirs::new()
                .ok_or(FoldersError::NoHome)?
                .data_dir()
                .join("proa/machine"),
        };
        let run = match (said("PROA_RUN"), said("XDG_RUNTIME_DIR")) {
            (Some(run), _) => run.into(),
            (None, Some(runtime)) => PathBuf::from(runtime).join("proa"),
            (None, None) => without_runtime_folder(rustix::process::getuid().as_raw()),
        };
        Ok(Self { home, run })
    }

    /// Makes both, for this user alone.
    pub fn create(&self) -> Result<(), FoldersError> {
        for folder in [&self.home, &self.run] {
            std::fs::DirBuilder::new()
                .recursive(true)
                .mode(0o700)
                .create(folder)
                .map_err(|e| FoldersError::Create(folder.clone(), e))?;
        }
        let about = std::fs::symlink_metadata(&self.run);
        let about = about.map_err(|e| FoldersError::Create(self.run.clone(), e))?;
        let ours = about.uid() == rustix::process::geteuid().as_raw();
        if !ours || !about.is_dir() || about.mode() & 0o022 != 0 {
            return Err(FoldersError::Foreign(self.run.clone()));
        }
        if self.run.as_os_str().len() > LONGEST {
            return Err(FoldersError::TooLong(self.run.clone()));
        }
        Ok(())
    }

    /// Where Docker's clients find the engine.
    pub fn docker_socket(&self) -> PathBuf {
        self.run.join("docker.sock")
    }

    /// Where the supervisor takes orders.
    pub fn control_socket(&self) -> PathBuf {
        self.run.join("supervisor.sock")
    }

    /// What a supervisor holds while it lives.
    pub fn lock(&self) -> PathBuf {
        self.run.join("supervisor.lock")
    }

    /// What a supervisor says.
    pub fn supervisor_log(&self) -> PathBuf {
        self.home.join("supervisor.log")
    }

    /// What the guest's kernel and its agent say.
    pub fn console(&self) -> PathBuf {
        self.home.join("console.log")
    }

    /// The data disk.
    pub fn disk(&self) -> PathBuf {
        self.home.join("data.raw")
    }

    /// What the user set.
    pub fn settings(&self) -> PathBuf {
        self.home.join("settings.json")
    }
}

fn without_runtime_folder(user: u32) -> PathBuf {
    let runtime = Path::new("/run/user").join(user.to_string());
    if runtime.is_dir() {
        return runtime.join("proa");
    }
    std::env::temp_dir().join(format!("proa-{user}"))
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt;

    use super::*;

    #[test]
    fn a_folder_that_others_may_write_to_is_refused() {
        let scratch = tempfile::tempdir().expect("a scratch folder");
        let folders = Folders {
            home: scratch.path().join("home"),
            run: scratch.path().join("run"),
        };
        folders.create().expect("both are made");
        folders.create().expect("twice is no harm");
        let open = std::fs::Permissions::from_mode(0o777);
        std::fs::set_permissions(&folders.run, open).expect("it is ours");
        assert!(matches!(folders.create(), Err(FoldersError::Foreign(_))));
    }

    #[test]
    fn a_name_too_long_for_sockets_is_told() {
        let scratch = tempfile::tempdir().expect("a scratch folder");
        let folders = Folders {
            home: scratch.path().join("home"),
            run: scratch.path().join("r".repeat(100)),
        };
        assert!(matches!(folders.create(), Err(FoldersError::TooLong(_))));
    }
}
