//! Calls that old 32-bit x86 programs make through one number: sockets by `socketcall(2)`, System V IPC by `ipc(2)`.

/// The call's place among the sub-calls of `socketcall`, its first argument.
const SOCKET: [&str; 20] = [
    "socket",
    "bind",
    "connect",
    "listen",
    "accept",
    "getsockname",
    "getpeername",
    "socketpair",
    "send",
    "recv",
    "sendto",
    "recvfrom",
    "shutdown",
    "setsockopt",
    "getsockopt",
    "sendmsg",
    "recvmsg",
    "accept4",
    "recvmmsg",
    "sendmmsg",
];

const IPC: [(&str, u64); 11] = [
    ("semop", 1),
    ("semget", 2),
    ("semctl", 3),
    ("semtimedop", 4),
    ("msgsnd", 11),
    ("msgrcv", 12),
    ("msgget", 13),
    ("msgctl", 14),
    ("shmat", 21),
    ("shmdt", 22),
    ("shmget", 23),
];

/// The multiplexing call for `name`, and the number there.
pub(super) fn multiplexed(name: &str) -> Option<(&'static str, u64)> {
    if let Some(at) = SOCKET.iter().position(|socket| *socket == name) {
        return Some(("socketcall", at as u64 + 1));
    }
    if name == "shmctl" {
        return Some(("ipc", 24));
    }
    IPC.iter()
        .find(|(call, _)| *call == name)
        .map(|(_, number)| ("ipc", *number))
}
