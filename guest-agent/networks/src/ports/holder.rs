//! Which process has a port (`proc_net(5)`, `proc_pid_fd(5)`).

use std::fs;

use crate::Protocol;

/// The state of a listening TCP socket in `/proc/net/tcp`, and of a bound UDP socket in `/proc/net/udp`.
const LISTENING: &str = "0A";
const UNCONNECTED: &str = "07";

/// Its name and process id, if it can be found.
pub(super) fn of(protocol: Protocol, port: u16) -> Option<String> {
    let (tables, state) = match protocol {
        Protocol::Tcp => (["tcp", "tcp6"], LISTENING),
        Protocol::Udp => (["udp", "udp6"], UNCONNECTED),
        Protocol::Sctp => return None,
    };
    // The calling thread's: /proc/net would be that of the process' first thread.
    let inode = tables
        .iter()
        .filter_map(|table| fs::read_to_string(format!("/proc/thread-self/net/{table}")).ok())
        .find_map(|table| inode_of(&table, port, state))?;
    holder_of(&format!("socket:[{inode}]"))
}

/// The inode of the socket that is bound to a port.
fn inode_of(table: &str, port: u16, state: &str) -> Option<String> {
    let suffix = format!(":{port:04X}");
    table.lines().skip(1).find_map(|line| {
        let fields: Vec<&str> = line.split_whitespace().collect();
        let found = fields.get(1)?.ends_with(&suffix) && *fields.get(3)? == state;
        found.then(|| fields.get(9).map(|inode| (*inode).to_owned()))?
    })
}

fn holder_of(socket: &str) -> Option<String> {
    let processes = fs::read_dir("/proc").ok()?.flatten().filter(|entry| {
        let name = entry.file_name();
        name.as_encoded_bytes().iter().all(u8::is_ascii_digit)
    });
    for process in processes {
        let Ok(descriptors) = fs::read_dir(process.path().join("fd")) else {
            continue;
        };
        let holds = descriptors
            .flatten()
            .filter_map(|entry| fs::read_link(entry.path()).ok())
            .any(|link| link.as_os_str() == socket);
        if holds {
            let name = fs::read_to_string(process.path().join("comm")).unwrap_or_default();
            let id = process.file_name();
            return Some(format!(
                "{} (process {})",
                name.trim_end(),
                id.to_string_lossy()
            ));
        }
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_listening_socket_is_found() {
        let table = "  sl  local_address rem_address   st tx_queue rx_queue tr tm->when retrnsmt   uid  timeout inode\n   \
             0: 0100007F:1F90 00000000:0000 01 00000000:00000000 00:00000000 00000000     0        0 11 1 0 100 0 0 10 0\n   \
             1: 00000000:1F90 00000000:0000 0A 00000000:00000000 00:00000000 00000000     0        0 12 1 0 100 0 0 10 0\n";
        assert_eq!(inode_of(table, 8080, LISTENING).as_deref(), Some("12"));
        assert_eq!(inode_of(table, 8081, LISTENING), None);
    }

    #[test]
    fn a_port_of_this_process_is_ours() {
        let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
        let holder = of(Protocol::Tcp, listener.local_addr().unwrap().port()).unwrap();
        let me = format!("(process {})", std::process::id());
        assert!(holder.ends_with(&me), "{holder}");
    }
}
