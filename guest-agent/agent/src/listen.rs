//! Where the API is served: unix sockets, TCP, vsock, sockets that a service manager opened.

use std::fs;
use std::io;
use std::net::{SocketAddr, TcpListener, ToSocketAddrs};
use std::os::fd::OwnedFd;
use std::os::unix::fs::{PermissionsExt, chown};
use std::os::unix::net::{UnixListener, UnixStream};
use std::path::{Path, PathBuf};
use std::str::FromStr;

/// An address to listen at.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Address {
    /// A path.
    Unix(PathBuf),
    /// `host:port`.
    Tcp(String),
    /// A port for the host of the machine that this is.
    Vsock(u32),
    /// Whatever the service manager opened for us.
    Inherited,
}

/// Why we cannot listen.
#[derive(Debug, thiserror::Error)]
pub(crate) enum ListenError {
    #[error(
        "{0:?} is no address to listen at: use unix://PATH, tcp://HOST:PORT, vsock://PORT or fd://"
    )]
    Address(String),
    #[error(
        "{0} is not on this machine alone: it needs --tlsverify, --tlscacert, --tlscert and --tlskey"
    )]
    Open(SocketAddr),
    #[error("another engine listens at {}", .0.display())]
    Taken(PathBuf),
    #[error("listen at {0}")]
    Bind(String, #[source] io::Error),
    #[error("there is no group {0}")]
    Group(String),
    #[error("the service manager opened no sockets")]
    NothingInherited,
}

impl FromStr for Address {
    type Err = ListenError;
    fn from_str(text: &str) -> Result<Self, ListenError> {
        match text.split_once("://") {
            Some(("unix", path)) if path.starts_with('/') => Ok(Self::Unix(path.into())),
            Some(("tcp", address)) if address.contains(':') => Ok(Self::Tcp(address.into())),
            Some(("vsock", port)) => {
                let port = port.parse();
                port.map(Self::Vsock)
                    .map_err(|_| ListenError::Address(text.to_owned()))
            }
            Some(("fd", _)) => Ok(Self::Inherited),
            _ => Err(ListenError::Address(text.to_owned())),
        }
    }
}

/// Opens every address. `safe` says that clients by TCP must show a certificate.
pub(crate) fn open(
    hosts: &[String],
    group: Option<&str>,
    safe: bool,
) -> Result<Vec<OwnedFd>, ListenError> {
    let mut sockets = Vec::new();
    for host in hosts {
        match host.parse()? {
            Address::Unix(path) => sockets.push(unix(&path, group)?),
            Address::Tcp(address) => tcp(&address, safe, &mut sockets)?,
            Address::Vsock(port) => sockets.push(
                proa_kernel::vsock::listen(port).map_err(|e| ListenError::Bind(host.clone(), e))?,
            ),
            Address::Inherited => inherited(&mut sockets)?,
        }
    }
    Ok(sockets)
}

/// A socket of mode 0660. One that nobody listens at any more is replaced.
fn unix(path: &Path, group: Option<&str>) -> Result<OwnedFd, ListenError> {
    let failed = |e| ListenError::Bind(path.display().to_string(), e);
    if UnixStream::connect(path).is_ok() {
        return Err(ListenError::Taken(path.to_owned()));
    }
    if let Some(folder) = path.parent() {
        fs::create_dir_all(folder).map_err(failed)?;
    }
    match fs::remove_file(path) {
        Err(e) if e.kind() != io::ErrorKind::NotFound => return Err(failed(e)),
        _ => {}
    }
    let listener = UnixListener::bind(path).map_err(failed)?;
    // Nobody else connects between bind and here with more than the umask allows them.
    fs::set_permissions(path, fs::Permissions::from_mode(0o660)).map_err(failed)?;
    if let Some(gid) = group_of_clients(group)? {
        chown(path, None, Some(gid)).map_err(failed)?;
    }
    Ok(listener.into())
}

/// Removes the unix sockets, once nobody will listen at them.
pub(crate) fn remove(hosts: &[String]) {
    for host in hosts {
        if let Ok(Address::Unix(path)) = host.parse() {
            // What is gone already needs no removal.
            let _ = fs::remove_file(path);
        }
    }
}

/// The group that may use the socket: the one asked for, or `proa`, or `docker`.
fn group_of_clients(asked: Option<&str>) -> Result<Option<u32>, ListenError> {
    let groups = fs::read_to_string("/etc/group").unwrap_or_default();
    match asked {
        None => Ok(["proa", "docker"]
            .iter()
            .find_map(|name| group_id(&groups, name))),
        Some("") => Ok(None),
        Some(name) => match name.parse().ok().or_else(|| group_id(&groups, name)) {
            Some(gid) => Ok(Some(gid)),
            None => Err(ListenError::Group(name.to_owned())),
        },
    }
}

/// Looks a name up in `/etc/group`: a static program has no name service to ask.
fn group_id(groups: &str, name: &str) -> Option<u32> {
    groups.lines().find_map(|line| {
        let mut fields = line.split(':');
        (fields.next()? == name).then_some(())?;
        fields.nth(1)?.parse().ok()
    })
}

/// Every address of a TCP name. Without certificates only loopback will do.
fn tcp(address: &str, safe: bool, sockets: &mut Vec<OwnedFd>) -> Result<(), ListenError> {
    let failed = |e| ListenError::Bind(format!("tcp://{address}"), e);
    for at in address.to_socket_addrs().map_err(failed)? {
        if !safe && !at.ip().is_loopback() {
            return Err(ListenError::Open(at));
        }
        sockets.push(TcpListener::bind(at).map_err(failed)?.into());
    }
    Ok(())
}

/// The sockets that systemd and its like pass from descriptor 3 on.
fn inherited(sockets: &mut Vec<OwnedFd>) -> Result<(), ListenError> {
    let number = |name| {
        std::env::var(name)
            .ok()
            .and_then(|text| text.parse::<u32>().ok())
    };
    if number("LISTEN_PID") != Some(std::process::id()) {
        return Err(ListenError::NothingInherited);
    }
    let count = number("LISTEN_FDS").unwrap_or(0);
    for fd in 3..3 + count as i32 {
        sockets.push(
            proa_kernel::inherit::take(fd).map_err(|e| ListenError::Bind("fd://".to_owned(), e))?,
        );
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_are_of_four_kinds() {
        assert_eq!(
            "vsock://1024".parse::<Address>().unwrap(),
            Address::Vsock(1024)
        );
        assert_eq!(
            "unix:///a".parse::<Address>().unwrap(),
            Address::Unix("/a".into())
        );
        assert_eq!(
            "tcp://[::1]:1".parse::<Address>().unwrap(),
            Address::Tcp("[::1]:1".into())
        );
        assert_eq!("fd://".parse::<Address>().unwrap(), Address::Inherited);
        for bad in ["unix://a", "tcp://a", "vsock://a", "http://a", "/a"] {
            assert!(bad.parse::<Address>().is_err(), "{bad}");
        }
    }

    #[test]
    fn a_port_open_to_others_needs_certificates() {
        let opened = open(&["tcp://0.0.0.0:0".to_owned()], None, false);
        assert!(matches!(opened, Err(ListenError::Open(_))));
        assert_eq!(
            open(&["tcp://127.0.0.1:0".to_owned()], None, false)
                .unwrap()
                .len(),
            1
        );
    }

    #[test]
    fn a_group_is_found_by_its_name() {
        let groups = "root:x:0:\ndocker:x:999:a,b\n";
        assert_eq!(group_id(groups, "docker"), Some(999));
        assert_eq!(group_id(groups, "proa"), None);
    }
}
