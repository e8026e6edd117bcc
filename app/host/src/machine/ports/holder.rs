//! Who listens at a port of this host already.

use super::wanted::Port;

/// The process, as far as this user may see it (proc_pid_fd(5), `/proc/net/tcp` in proc(5)).
#[cfg(target_os = "linux")]
pub(super) fn of(port: Port) -> Option<String> {
    linux::process(port)
}

/// Other systems tell nobody but root.
#[cfg(not(target_os = "linux"))]
pub(super) fn of(_port: Port) -> Option<String> {
    None
}

#[cfg(target_os = "linux")]
mod linux {
    //! From the socket's inode to the process that has it open.

    use std::path::Path;

    use proa_protocol::tunnel::Carrier;

    use super::Port;

    /// `TCP_LISTEN` and, for UDP, `TCP_CLOSE` (`include/net/tcp_states.h`).
    const LISTENING: [&str; 2] = ["0A", "07"];

    pub(super) fn process(port: Port) -> Option<String> {
        let tables = match port.carrier {
            Carrier::Tcp => ["tcp", "tcp6"],
            Carrier::Udp => ["udp", "udp6"],
        };
        tables
            .iter()
            .filter_map(|table| std::fs::read_to_string(Path::new("/proc/net").join(table)).ok())
            .find_map(|table| inode(&table, port.address.port()))
            .and_then(|inode| having(&inode))
    }

    /// The inode of the socket that listens at `port`.
    pub(super) fn inode(table: &str, port: u16) -> Option<String> {
        let number = format!(":{port:04X}");
        table.lines().skip(1).find_map(|line| {
            let fields: Vec<&str> = line.split_whitespace().collect();
            let listens = fields.get(1)?.ends_with(&number) && LISTENING.contains(fields.get(3)?);
            listens.then(|| fields.get(9).copied())?.map(str::to_owned)
        })
    }

    fn having(inode: &str) -> Option<String> {
        let socket = format!("socket:[{inode}]");
        let processes = std::fs::read_dir("/proc").ok()?.flatten();
        processes
            .filter_map(|entry| entry.file_name().to_str()?.parse::<u32>().ok())
            .find(|pid| has(*pid, &socket))
            .map(|pid| {
                let name = std::fs::read_to_string(format!("/proc/{pid}/comm"));
                let name = name.unwrap_or_default();
                format!("{} (process {pid})", name.trim())
            })
    }

    fn has(pid: u32, socket: &str) -> bool {
        let Ok(open) = std::fs::read_dir(format!("/proc/{pid}/fd")) else {
            return false;
        };
        open.flatten()
            .filter_map(|entry| std::fs::read_link(entry.path()).ok())
            .any(|target| target.as_os_str() == socket)
    }
}

#[cfg(all(test, target_os = "linux"))]
mod tests {
    use std::net::TcpListener;

    use proa_protocol::tunnel::Carrier;

    use super::*;

    #[test]
    fn the_process_that_listens_is_named() {
        let listener = TcpListener::bind("127.0.0.1:0").expect("loopback is there");
        let port = Port {
            carrier: Carrier::Tcp,
            address: listener.local_addr().expect("it is bound"),
        };
        let holder = of(port).expect("it is this process");
        let us = format!("(process {})", std::process::id());
        assert!(holder.ends_with(&us), "{holder}");
        drop(listener);
    }

    #[test]
    fn only_listening_sockets_count() {
        let table = "sl local rem st\n\
             0: 0100007F:1F90 0100007F:0001 01 0:0 0:0 0 0 0 11 1\n\
             1: 0100007F:1F90 00000000:0000 0A 0:0 0:0 0 0 0 12 1\n";
        assert_eq!(linux::inode(table, 8080).as_deref(), Some("12"));
        assert_eq!(linux::inode(table, 8081), None);
    }
}
