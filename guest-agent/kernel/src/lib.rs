//! Safe Linux: namespaces, mounts, cgroups, capabilities, seccomp, descriptors.
//!
//! Every wrapper is one system call: borrowed descriptors in, owned ones out, `errno` as `io::Error`. Where rustix has
//! a safe call already (`poll`, `openat`, `setsid` …) it is used directly by the crates above.
//!
//! Does not know: containers, images, Docker, async. The guest's only `unsafe` is here.

#![expect(unsafe_code, reason = "this crate is where system calls are made safe")]

mod bpf;
pub mod capability;
pub mod cgroup;
pub mod conntrack;
pub mod disk;
pub mod filter;
pub mod inherit;
pub mod keyring;
pub mod loopback;
pub mod memfd;
pub mod message;
pub mod modules;
pub mod mount;
pub mod namespace;
pub mod netlink;
pub mod network;
pub mod nftables;
pub mod process;
pub mod remove;
pub mod resolve;
pub mod seccomp;
pub mod signal;
mod sys;
pub mod tcp;
pub mod terminal;
pub mod tree;
pub mod unix;
pub mod user;
pub mod vsock;
