//! Who listens on a port: the kernel's tables of sockets and the processes' tables of descriptors (`proc_pid_net(5)`,
//! `proc_pid_fd(5)`).

use std::fs;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::os::unix::fs::MetadataExt;

use proa_networks::Protocol;

/// A socket that waits for requests.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Listening {
    pub(super) address: IpAddr,
    pub(super) port: u16,
    /// Connections that wait to be accepted, or bytes that wait to be read.
    pub(super) waiting: u64,
    pub(super) inode: u64,
}

impl Listening {
    /// Whether packets to `address` reach it.
    pub(super) fn takes(&self, address: IpAddr) -> bool {
        // A socket of `::` takes IPv4 too, unless it said otherwise, which no table tells.
        self.address == address
            || self.address == IpAddr::V6(Ipv6Addr::UNSPECIFIED)
            || (self.address.is_unspecified() && address.is_ipv4())
    }
}

/// What listens on a port in the network namespace of a process.
pub(super) fn on_port(pid: u32, protocol: Protocol, port: u16) -> Vec<Listening> {
    let tables = match protocol {
        Protocol::Tcp => ["tcp", "tcp6"],
        Protocol::Udp => ["udp", "udp6"],
        // Its table has another form, and not every kernel has the protocol.
        Protocol::Sctp => return Vec::new(),
    };
    let mut found = Vec::new();
    for table in tables {
        let text = fs::read_to_string(format!("/proc/{pid}/net/{table}")).unwrap_or_default();
        found.extend(parse(&text, protocol));
    }
    found.retain(|socket| socket.port == port);
    found
}

/// The lines of a table that are about waiting sockets.
fn parse(text: &str, protocol: Protocol) -> Vec<Listening> {
    // TCP_LISTEN, and TCP_CLOSE, in which UDP's sockets are that are not connected (include/net/tcp_states.h).
    let state = if protocol == Protocol::Tcp {
        "0A"
    } else {
        "07"
    };
    let line = |line: &str| {
        let words: Vec<&str> = line.split_ascii_whitespace().collect();
        let (address, port) = words.get(1)?.split_once(':')?;
        let (_, waiting) = words.get(4)?.split_once(':')?;
        (*words.get(3)? == state).then_some(())?;
        Some(Listening {
            address: self::address(address)?,
            port: u16::from_str_radix(port, 16).ok()?,
            waiting: u64::from_str_radix(waiting, 16).ok()?,
            inode: words.get(9)?.parse().ok()?,
        })
    };
    text.lines().skip(1).filter_map(line).collect()
}

/// Words of 32 bits in network order, printed as numbers of this machine.
fn address(text: &str) -> Option<IpAddr> {
    let word = |at: usize| {
        let digits = text.get(at * 8..at * 8 + 8)?;
        Some(u32::from_str_radix(digits, 16).ok()?.to_ne_bytes())
    };
    if text.len() == 8 {
        return Some(Ipv4Addr::from(word(0)?).into());
    }
    let mut octets = [0; 16];
    for (at, bytes) in octets.chunks_exact_mut(4).enumerate() {
        bytes.copy_from_slice(&word(at)?);
    }
    Some(Ipv6Addr::from(octets).into())
}

/// The processes that hold a socket, lowest first. Only those in the network namespace of `pid` are looked at: a socket
/// may be handed to others, but hardly one that listens.
pub(super) fn holders(pid: u32, inode: u64) -> Vec<u32> {
    let namespace = |pid: u32| {
        let found = fs::metadata(format!("/proc/{pid}/ns/net")).ok()?;
        Some((found.dev(), found.ino()))
    };
    let home = namespace(pid);
    let link = format!("socket:[{inode}]");
    let holds = |pid: &u32| {
        let open = fs::read_dir(format!("/proc/{pid}/fd"))
            .into_iter()
            .flatten();
        open.flatten().any(|entry| {
            fs::read_link(entry.path()).is_ok_and(|target| target.as_os_str() == link.as_str())
        })
    };
    let processes = fs::read_dir("/proc").into_iter().flatten().flatten();
    let mut found: Vec<u32> = processes
        .filter_map(|entry| entry.file_name().to_str()?.parse().ok())
        .filter(|other| home.is_some() && namespace(*other) == home)
        .filter(holds)
        .collect();
    found.sort_unstable();
    found
}

/// A process' words.
pub(super) fn command(pid: u32) -> String {
    let bytes = fs::read(format!("/proc/{pid}/cmdline")).unwrap_or_default();
    let words = String::from_utf8_lossy(&bytes);
    words.trim_end_matches('\0').replace('\0', " ")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn listening_sockets_are_told_from_others() {
        let table = "  sl  local_address rem_address   st tx_queue rx_queue tr tm->when retrnsmt   uid  timeout inode\n\
            0: 0100007F:1F90 00000000:0000 0A 00000000:00000003 00:00000000 00000000  0  0 4711 1 0 100 0 0 10 0\n\
            1: 0200000A:0050 0300000A:D431 01 00000000:00000000 00:00000000 00000000  0  0 4712 1 0 100 0 0 10 0\n\
            2: nonsense\n";
        let expected = Listening {
            address: [127, 0, 0, 1].into(),
            port: 8080,
            waiting: 3,
            inode: 4711,
        };
        assert_eq!(parse(table, Protocol::Tcp), [expected]);
        assert_eq!(parse("", Protocol::Udp), []);
        assert_eq!(
            address("B80D0120000000000000000001000000"),
            "2001:db8::1".parse().ok()
        );
        assert_eq!(address("0100"), None);
    }

    #[test]
    fn a_socket_of_ones_own_is_found() {
        let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
        let port = listener.local_addr().unwrap().port();
        let own = std::process::id();
        let found = on_port(own, Protocol::Tcp, port);
        assert_eq!(found.len(), 1);
        assert!(found[0].takes([127, 0, 0, 1].into()) && !found[0].takes([10, 0, 0, 1].into()));
        assert!(holders(own, found[0].inode).contains(&own));
        assert!(!command(own).is_empty());
    }
}
