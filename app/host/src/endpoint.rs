//! Where the engine is: `unix://`, `tcp://`, `ssh://`, and how a user says so.

use std::path::{Path, PathBuf};

use crate::{contexts, machine};

/// An address at which an engine listens.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Endpoint {
    /// A unix socket.
    Unix(PathBuf),
    /// TCP, `host:port`, with TLS when files for it are named.
    Tcp {
        /// `host:port`.
        address: String,
        /// The certificates to use, if the connection is to be encrypted.
        tls: Option<TlsFiles>,
    },
    /// Another machine, reached by running `docker system dial-stdio` there.
    Ssh {
        /// `[user@]host`, as `ssh` takes it.
        destination: String,
        /// A port other than ssh's own.
        port: Option<u16>,
    },
    /// The engine in this user's machine, past the socket that the supervisor offers.
    Machine(proa_vm::Dialer),
}

/// The PEM files of a TLS connection; a file that does not exist is not used.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TlsFiles {
    /// Folder with `ca.pem`, `cert.pem` and `key.pem`.
    pub folder: PathBuf,
    /// Whether the server's certificate is checked.
    pub verify: bool,
}

/// Why no endpoint is known.
#[derive(Debug, thiserror::Error)]
pub enum FindError {
    /// The text is no address.
    #[error(
        "{0:?} is not an engine's address: expected unix:///path, tcp://host:port or ssh://user@host"
    )]
    Malformed(String),
    /// The chosen context is not there.
    #[error("the context {name:?} chosen by {by} does not exist")]
    NoContext {
        /// Its name.
        name: String,
        /// What named it.
        by: &'static str,
    },
}

/// The environment variables and files that decide; a value, so that tests need neither.
#[derive(Debug, Default)]
pub(crate) struct Surroundings {
    pub(crate) proa_host: Option<String>,
    pub(crate) docker_host: Option<String>,
    pub(crate) docker_context: Option<String>,
    pub(crate) cert_path: Option<PathBuf>,
    pub(crate) tls_verify: bool,
    pub(crate) docker_folder: PathBuf,
    pub(crate) runtime_folder: Option<PathBuf>,
    /// Where the machine's supervisor serves the API.
    pub(crate) machine: Option<PathBuf>,
}

impl Surroundings {
    fn here() -> Self {
        let text = |name| std::env::var(name).ok().filter(|value| !value.is_empty());
        Self {
            proa_host: text("PROA_HOST"),
            docker_host: text("DOCKER_HOST"),
            docker_context: text("DOCKER_CONTEXT"),
            cert_path: text("DOCKER_CERT_PATH").map(PathBuf::from),
            tls_verify: text("DOCKER_TLS_VERIFY").is_some(),
            docker_folder: docker_folder(),
            runtime_folder: text("XDG_RUNTIME_DIR").map(PathBuf::from),
            machine: machine::Folders::here()
                .ok()
                .map(|folders| folders.docker_socket()),
        }
    }
}

/// The folder in which Docker's command line keeps its settings.
pub(crate) fn docker_folder() -> PathBuf {
    if let Some(folder) = std::env::var_os("DOCKER_CONFIG").filter(|folder| !folder.is_empty()) {
        return folder.into();
    }
    directories::BaseDirs::new().map_or_else(
        || PathBuf::from("/root/.docker"),
        |dirs| dirs.home_dir().join(".docker"),
    )
}

impl Endpoint {
    /// The socket that a system-wide engine listens on.
    pub const SYSTEM_SOCKET: &str = "/run/proa/proa.sock";

    /// The endpoint the user means: `PROA_HOST`, `DOCKER_HOST`, the chosen Docker context, the default sockets, the
    /// machine.
    pub fn find() -> Result<Self, FindError> {
        Self::find_in(&Surroundings::here(), Path::exists)
    }

    /// The endpoint of an address given by hand, with the environment's TLS settings.
    pub fn named(address: &str) -> Result<Self, FindError> {
        Self::parse(address, &Surroundings::here())
    }

    /// The endpoint of one of Docker's contexts.
    pub fn of_context(name: &str) -> Result<Self, FindError> {
        let around = Surroundings {
            docker_context: Some(name.to_owned()),
            ..Surroundings::here()
        };
        Ok(contexts::current(&around)?.unwrap_or_else(|| Self::Unix(Self::SYSTEM_SOCKET.into())))
    }

    fn find_in(around: &Surroundings, exists: impl Fn(&Path) -> bool) -> Result<Self, FindError> {
        if let Some(address) = around.proa_host.as_ref().or(around.docker_host.as_ref()) {
            return Self::parse(address, around);
        }
        if let Some(endpoint) = contexts::current(around)? {
            return Ok(endpoint);
        }
        let system = PathBuf::from(Self::SYSTEM_SOCKET);
        let own = around
            .runtime_folder
            .as_ref()
            .map(|folder| folder.join("proa/proa.sock"));
        // Where the engine can run by itself, the machine is for those who asked for it.
        let places = [Some(system.clone()), own, around.machine.clone()];
        let found = places.into_iter().flatten().find(|place| exists(place));
        let nowhere = match &around.machine {
            Some(machine) if !cfg!(target_os = "linux") => machine.clone(),
            _ => system,
        };
        Ok(Self::Unix(found.unwrap_or(nowhere)))
    }

    pub(crate) fn parse(address: &str, around: &Surroundings) -> Result<Self, FindError> {
        let malformed = || FindError::Malformed(address.to_owned());
        let (scheme, rest) = match address.split_once("://") {
            Some(parts) => parts,
            None if address.starts_with('/') => ("unix", address),
            None => ("tcp", address),
        };
        if rest.is_empty() {
            return Err(malformed());
        }
        match scheme {
            "unix" => Ok(Self::Unix(rest.into())),
            "tcp" | "http" | "https" => Ok(Self::tcp(rest, scheme == "https", around)),
            "ssh" => Self::ssh(rest).ok_or_else(malformed),
            _ => Err(malformed()),
        }
    }

    fn tcp(rest: &str, encrypted: bool, around: &Surroundings) -> Self {
        let encrypted = encrypted || around.tls_verify;
        let authority = rest.trim_end_matches('/');
        let has_port = authority
            .rsplit_once(':')
            .is_some_and(|(host, _)| !host.contains(':') || host.ends_with(']'));
        let address = match (has_port, encrypted) {
            (true, _) => authority.to_owned(),
            (false, true) => format!("{authority}:2376"),
            (false, false) => format!("{authority}:2375"),
        };
        let folder = around
            .cert_path
            .clone()
            .unwrap_or_else(|| around.docker_folder.clone());
        Self::Tcp {
            address,
            tls: encrypted.then_some(TlsFiles {
                folder,
                verify: around.tls_verify,
            }),
        }
    }

    fn ssh(rest: &str) -> Option<Self> {
        let authority = rest
            .split('/')
            .next()
            .filter(|authority| !authority.is_empty() && !authority.starts_with('-'))?;
        let (destination, port) = match authority.rsplit_once(':') {
            Some((destination, port)) => (destination, Some(port.parse().ok()?)),
            None => (authority, None),
        };
        Some(Self::Ssh {
            destination: destination.to_owned(),
            port,
        })
    }
}

impl std::fmt::Display for Endpoint {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Unix(path) => write!(f, "unix://{}", path.display()),
            Self::Tcp { address, .. } => write!(f, "tcp://{address}"),
            Self::Ssh {
                destination,
                port: Some(port),
            } => write!(f, "ssh://{destination}:{port}"),
            Self::Ssh {
                destination,
                port: None,
            } => write!(f, "ssh://{destination}"),
            Self::Machine(dialer) => write!(f, "the machine ({dialer})"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn around() -> Surroundings {
        Surroundings {
            docker_folder: "/nowhere/.docker".into(),
            ..Surroundings::default()
        }
    }

    fn check(address: &str, expected: &str) {
        let found = Endpoint::parse(address, &around())
            .map_or_else(|error| format!("error: {error}"), |e| e.to_string());
        assert!(found.starts_with(expected), "{address}: {found}");
    }

    #[test]
    fn addresses_are_those_that_docker_takes() {
        check("unix:///run/x.sock", "unix:///run/x.sock");
        check("/run/x.sock", "unix:///run/x.sock");
        check("tcp://localhost", "tcp://localhost:2375");
        check("localhost:99", "tcp://localhost:99");
        check("tcp://[::1]:99", "tcp://[::1]:99");
        check("tcp://[::1]", "tcp://[::1]:2375");
        check("https://h", "tcp://h:2376");
        check("ssh://me@box:22", "ssh://me@box:22");
        check("ssh://-oProxyCommand=x", "error:");
        check("fd://", "error:");
        check("ftp://x", "error:");
    }

    #[test]
    fn our_own_variable_wins_over_dockers() {
        let both = Surroundings {
            proa_host: Some("unix:///a".into()),
            docker_host: Some("unix:///b".into()),
            ..around()
        };
        let found = Endpoint::find_in(&both, |_| false).map(|endpoint| endpoint.to_string());
        assert_eq!(found.ok().as_deref(), Some("unix:///a"));
    }

    #[test]
    fn without_a_word_it_is_the_system_socket_and_else_the_users() {
        let around = Surroundings {
            runtime_folder: Some("/run/user/7".into()),
            ..around()
        };
        let find = |exists: fn(&Path) -> bool| {
            Endpoint::find_in(&around, exists)
                .map(|e| e.to_string())
                .ok()
        };
        assert_eq!(
            find(|_| false).as_deref(),
            Some("unix:///run/proa/proa.sock")
        );
        assert_eq!(
            find(|_| true).as_deref(),
            Some("unix:///run/proa/proa.sock")
        );
        let only_users = |path: &Path| path.starts_with("/run/user");
        assert_eq!(
            find(only_users).as_deref(),
            Some("unix:///run/user/7/proa/proa.sock")
        );
    }

    #[test]
    fn tls_is_used_when_verification_is_asked_for() {
        let around = Surroundings {
            tls_verify: true,
            cert_path: Some("/certs".into()),
            ..around()
        };
        let expected = Endpoint::Tcp {
            address: "h:2376".into(),
            tls: Some(TlsFiles {
                folder: "/certs".into(),
                verify: true,
            }),
        };
        assert_eq!(Endpoint::parse("tcp://h", &around).ok(), Some(expected));
    }
}
