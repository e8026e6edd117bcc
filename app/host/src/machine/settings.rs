//! What a user set about the machine, in `settings.json`.

use std::io;
use std::path::PathBuf;

use serde::{Deserialize, Serialize};

use super::file;
use super::folders::Folders;
use super::shares::SharedFolder;

const GIB: u64 = 1 << 30;

/// The settings; what a file does not say is the default.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default, deny_unknown_fields)]
pub struct Settings {
    /// Processors.
    pub cpus: u32,
    /// Memory, in bytes.
    pub memory: u64,
    /// How large the data disk may become, in bytes.
    pub disk: u64,
    /// The host's folders that the machine sees.
    pub shares: Vec<SharedFolder>,
    /// After how many minutes without work the machine stops until it is needed; 0: never.
    pub idle_minutes: u64,
    /// What runs the machine's instructions: `auto`, `kvm` or `tcg`.
    pub accelerator: AcceleratorName,
    /// The folder with the boot files; found by itself where it is not said.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub image: Option<PathBuf>,
}

/// What runs the machine's instructions.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum AcceleratorName {
    /// The processor itself where that works, else translation.
    #[default]
    Auto,
    /// KVM or nothing.
    Kvm,
    /// Translation.
    Tcg,
}

/// Why settings were not read or written.
#[derive(Debug, thiserror::Error)]
pub enum SettingsError {
    /// The file is there and cannot be read.
    #[error("read the machine's settings in {}", .0.display())]
    Read(PathBuf, #[source] io::Error),
    /// It is not what we write.
    #[error("understand the machine's settings in {}; mend it, or remove it to start over", .0.display())]
    Parse(PathBuf, #[source] serde_json::Error),
    /// It cannot be written.
    #[error("write the machine's settings to {}", .0.display())]
    Write(PathBuf, #[source] io::Error),
    /// No machine can be made so.
    #[error("{0}")]
    Unfit(String),
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            cpus: processors().clamp(1, 4),
            memory: (host_memory() / 4).clamp(GIB, 8 * GIB),
            disk: 100 * GIB,
            shares: super::shares::usual(),
            idle_minutes: 0,
            accelerator: AcceleratorName::Auto,
            image: None,
        }
    }
}

impl Settings {
    /// Reads them; the defaults where there is no file.
    pub fn read(folders: &Folders) -> Result<Self, SettingsError> {
        let path = folders.settings();
        match std::fs::read(&path) {
            Ok(bytes) => serde_json::from_slice(&bytes).map_err(|e| SettingsError::Parse(path, e)),
            Err(e) if e.kind() == io::ErrorKind::NotFound => Ok(Self::default()),
            Err(e) => Err(SettingsError::Read(path, e)),
        }
    }

    /// Writes them.
    pub fn write(&self, folders: &Folders) -> Result<(), SettingsError> {
        self.check()?;
        let path = folders.settings();
        let text = serde_json::to_vec_pretty(self);
        let text = text.map_err(|e| SettingsError::Parse(path.clone(), e))?;
        file::replace(&path, &text).map_err(|e| SettingsError::Write(path, e))
    }

    fn check(&self) -> Result<(), SettingsError> {
        let (processors, memory) = (processors(), host_memory());
        if self.cpus == 0 || self.cpus > processors {
            return Err(SettingsError::Unfit(format!(
                "a machine cannot have {} processors: give --cpus from 1 to {processors}, which this computer has",
                self.cpus
            )));
        }
        if self.memory < GIB / 4 || self.memory > memory {
            return Err(SettingsError::Unfit(format!(
                "a machine cannot have {} MB of memory: give --memory from 256m to {}m, which this computer has",
                self.memory >> 20,
                memory >> 20
            )));
        }
        if self.disk < GIB {
            return Err(SettingsError::Unfit(format!(
                "a machine's disk cannot have {} MB: give --disk of at least 1g",
                self.disk >> 20
            )));
        }
        Ok(())
    }
}

fn processors() -> u32 {
    std::thread::available_parallelism().map_or(1, |count| count.get() as u32)
}

#[cfg(target_os = "linux")]
fn host_memory() -> u64 {
    let about = rustix::system::sysinfo();
    about.totalram as u64 * u64::from(about.mem_unit)
}

/// Other systems' hypervisors check for themselves.
#[cfg(not(target_os = "linux"))]
fn host_memory() -> u64 {
    8 * GIB
}

#[cfg(test)]
mod tests {
    use super::*;

    fn folders(scratch: &tempfile::TempDir) -> Folders {
        Folders {
            home: scratch.path().into(),
            run: scratch.path().into(),
        }
    }

    #[test]
    fn settings_come_back_as_they_were_written() {
        let scratch = tempfile::tempdir().expect("a scratch folder");
        let folders = folders(&scratch);
        let mut settings = Settings::read(&folders).expect("no file is no error");
        assert_eq!(settings, Settings::default());
        settings.idle_minutes = 5;
        settings.write(&folders).expect("it can be written");
        assert_eq!(Settings::read(&folders).expect("it is there"), settings);
    }

    #[test]
    fn what_is_not_said_is_the_default_and_mistakes_are_told() {
        let scratch = tempfile::tempdir().expect("a scratch folder");
        let folders = folders(&scratch);
        std::fs::write(folders.settings(), r#"{"cpus":1}"#).expect("it can be written");
        let settings = Settings::read(&folders).expect("it is well-formed");
        assert_eq!((settings.cpus, settings.disk), (1, 100 * GIB));
        std::fs::write(folders.settings(), r#"{"cups":1}"#).expect("it can be written");
        assert!(Settings::read(&folders).is_err());
        let none = Settings {
            cpus: 0,
            ..Settings::default()
        };
        assert!(none.write(&folders).is_err());
    }
}
