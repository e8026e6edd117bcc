//! The settings file, `/etc/proa/agent.json`, with the names of Docker's own; the command line wins.

use std::collections::BTreeMap;
use std::io;
use std::path::{Path, PathBuf};

use serde::Deserialize;

use crate::cli::ServeArguments;

/// Where the file is looked for if nobody names one.
const DEFAULT: &str = "/etc/proa/agent.json";

/// What can be set.
#[derive(Clone, Debug, Default, PartialEq, Deserialize)]
#[serde(rename_all = "kebab-case", default, deny_unknown_fields)]
pub(crate) struct Settings {
    /// Where to listen.
    pub hosts: Vec<String>,
    /// The group that may use unix sockets.
    pub group: Option<String>,
    /// What to log.
    pub log_level: Option<String>,
    /// Registries without TLS or with a certificate nobody vouches for.
    pub insecure_registries: Vec<String>,
    /// Mirrors of Docker Hub.
    pub registry_mirrors: Vec<String>,
    /// The log driver of containers that name none.
    pub log_driver: Option<String>,
    /// Its options.
    pub log_opts: BTreeMap<String, String>,
    /// Images that no container was made of for so many days are taken away.
    pub image_keep_days: Option<f64>,
    /// The longest unused images are taken away while layers take more gigabytes.
    pub image_keep_gigabytes: Option<f64>,
    /// Other firewalls on this host get no rule that lets packets of our networks pass.
    pub leave_firewalls: bool,
    /// Demand certificates of clients that come by TCP.
    pub tlsverify: bool,
    /// The authority of the clients' certificates.
    pub tlscacert: Option<PathBuf>,
    /// The server's certificate.
    pub tlscert: Option<PathBuf>,
    /// Its key.
    pub tlskey: Option<PathBuf>,
}

/// Why there are no settings.
#[derive(Debug, thiserror::Error)]
pub(crate) enum BadSettings {
    #[error("read the settings in {}", .0.display())]
    Read(PathBuf, #[source] io::Error),
    #[error("understand the settings in {}", .0.display())]
    Parse(PathBuf, #[source] serde_json::Error),
    #[error("log option {0:?} is not of the form KEY=VALUE")]
    LogOption(String),
}

impl Settings {
    /// What the file says, overlaid with the command line. Only a file that was asked for must exist.
    pub(crate) fn read(arguments: &ServeArguments) -> Result<Self, BadSettings> {
        let file = arguments.config.as_deref().unwrap_or(Path::new(DEFAULT));
        let settings = match std::fs::read(file) {
            Ok(bytes) => {
                serde_json::from_slice(&bytes).map_err(|e| BadSettings::Parse(file.into(), e))?
            }
            Err(e) if e.kind() == io::ErrorKind::NotFound && arguments.config.is_none() => {
                Self::default()
            }
            Err(e) => return Err(BadSettings::Read(file.into(), e)),
        };
        settings.overlaid(arguments)
    }

    fn overlaid(mut self, arguments: &ServeArguments) -> Result<Self, BadSettings> {
        let said = arguments.clone();
        if !said.socket.is_empty() {
            self.hosts = said.socket;
        }
        if self.hosts.is_empty() {
            self.hosts = vec![format!("unix://{}/proa.sock", said.run.display())];
        }
        self.group = said.group.or(self.group);
        self.log_level = said.log_level.or(self.log_level);
        self.insecure_registries.extend(said.insecure_registry);
        self.registry_mirrors.extend(said.registry_mirror);
        self.log_driver = said.log_driver.or(self.log_driver);
        for option in said.log_opt {
            let (key, value) = option
                .split_once('=')
                .ok_or_else(|| BadSettings::LogOption(option.clone()))?;
            self.log_opts.insert(key.to_owned(), value.to_owned());
        }
        self.image_keep_days = said.image_keep_days.or(self.image_keep_days);
        self.image_keep_gigabytes = said.image_keep_gigabytes.or(self.image_keep_gigabytes);
        self.leave_firewalls |= said.leave_firewalls;
        self.tlsverify |= said.tlsverify;
        self.tlscacert = said.tlscacert.or(self.tlscacert);
        self.tlscert = said.tlscert.or(self.tlscert);
        self.tlskey = said.tlskey.or(self.tlskey);
        Ok(self)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn arguments(words: &[&str]) -> ServeArguments {
        let words = std::iter::once("serve").chain(words.iter().copied());
        crate::cli::serve_arguments(words.map(Into::into)).unwrap()
    }

    #[test]
    fn the_command_line_wins_over_the_file() {
        let file = r#"{"hosts":["unix:///a"],"log-level":"debug","insecure-registries":["a"],"log-opts":{"max-size":"1m"}}"#;
        let settings: Settings = serde_json::from_str(file).unwrap();
        let said = arguments(&[
            "-H",
            "unix:///b",
            "--insecure-registry",
            "b",
            "--log-opt",
            "max-file=2",
        ]);
        let settings = settings.overlaid(&said).unwrap();
        assert_eq!(settings.hosts, ["unix:///b"]);
        assert_eq!(settings.log_level.as_deref(), Some("debug"));
        assert_eq!(settings.insecure_registries, ["a", "b"]);
        assert_eq!(settings.log_opts.len(), 2);
    }

    #[test]
    fn the_socket_lies_in_the_run_folder_unless_told() {
        let settings = Settings::default()
            .overlaid(&arguments(&["--run", "/r"]))
            .unwrap();
        assert_eq!(settings.hosts, ["unix:///r/proa.sock"]);
    }

    #[test]
    fn an_unknown_setting_is_refused() {
        assert!(serde_json::from_str::<Settings>(r#"{"log-levle":"debug"}"#).is_err());
    }
}
