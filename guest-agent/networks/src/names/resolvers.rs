//! The host's resolvers, as they are now (`resolv.conf(5)`).

use std::fs;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, SocketAddrV6};
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};

use tokio::sync::Semaphore;

use super::forward::Health;

/// Where DNS is spoken.
const PORT: u16 = 53;
/// More servers than the C library asks (`MAXNS` is 3): with so few of them, what a list of several networks holds last
/// would never be asked.
const MOST_SERVERS: usize = 6;
/// Questions of all containers that may be on their way at one time. Each holds a socket.
const MOST_FORWARDS: usize = 2048;

/// What a `resolv.conf` says.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Resolvers {
    /// Who is asked, in this order.
    pub servers: Vec<SocketAddr>,
    /// What is put behind short names.
    pub search: Vec<String>,
    /// As they are written there.
    pub options: Vec<String>,
}

impl Resolvers {
    /// Reads the file's text. What makes no sense is left out, as the C library does.
    pub fn parse(text: &str) -> Self {
        let mut found = Self::default();
        for line in text.lines() {
            let mut words = line.split_ascii_whitespace();
            match words.next() {
                Some("nameserver") => found.servers.extend(words.next().and_then(server)),
                // The last of either word wins.
                Some("search" | "domain") => found.search = words.map(str::to_owned).collect(),
                Some("options") => found.options.extend(words.map(str::to_owned)),
                _ => {}
            }
        }
        found.servers.truncate(MOST_SERVERS);
        found
    }
}

/// An address, maybe with the interface that a link-local one belongs to (`fe80::1%eth0`).
fn server(word: &str) -> Option<SocketAddr> {
    let Some((address, zone)) = word.split_once('%') else {
        return Some(SocketAddr::new(word.parse::<IpAddr>().ok()?, PORT));
    };
    let address: Ipv6Addr = address.parse().ok()?;
    let scope = zone.parse().ok().or_else(|| {
        let index = fs::read_to_string(Path::new("/sys/class/net").join(zone).join("ifindex"));
        index.ok()?.trim().parse().ok()
    })?;
    Some(SocketAddrV6::new(address, PORT, 0, scope).into())
}

/// The host's resolvers. The file is read again when it has changed, so a laptop's containers follow it from one network
/// to the next. A stub on the host's loopback interface, as systemd-resolved's, is asked like any other.
#[derive(Debug)]
pub struct Upstreams {
    file: PathBuf,
    seen: Mutex<(Option<Version>, Arc<Resolvers>)>,
    pub(super) health: Health,
    pub(super) slots: Arc<Semaphore>,
}

/// What tells one content of the file from the next. It is replaced, or a link to it is, or it is written to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Version {
    device: u64,
    inode: u64,
    size: u64,
    changed: (i64, i64),
}

impl Upstreams {
    /// Those of this host.
    pub fn of_host() -> Self {
        Self::from_file("/etc/resolv.conf")
    }

    /// Those in another file.
    pub fn from_file(file: impl Into<PathBuf>) -> Self {
        Self {
            file: file.into(),
            seen: Mutex::default(),
            health: Health::default(),
            slots: Arc::new(Semaphore::new(MOST_FORWARDS)),
        }
    }

    /// What the file says now. If it is gone, what it said last.
    pub fn resolvers(&self) -> Arc<Resolvers> {
        let mut seen = self.seen.lock().unwrap_or_else(PoisonError::into_inner);
        let version = self.version();
        if version.is_some()
            && seen.0 != version
            && let Ok(text) = fs::read_to_string(&self.file)
        {
            *seen = (version, Arc::new(Resolvers::parse(&text)));
        }
        seen.1.clone()
    }

    /// Who is asked now; the host itself if the file names nobody, as the C library does.
    pub(super) fn servers(&self) -> Vec<SocketAddr> {
        let servers = self.resolvers().servers.clone();
        if servers.is_empty() {
            return vec![SocketAddr::new(Ipv4Addr::LOCALHOST.into(), PORT)];
        }
        servers
    }

    fn version(&self) -> Option<Version> {
        let found = fs::metadata(&self.file).ok()?;
        Some(Version {
            device: found.dev(),
            inode: found.ino(),
            size: found.size(),
            changed: (found.ctime(), found.ctime_nsec()),
        })
    }
}
