//! Becoming the keeper, and what it and `serve` are born with.

use std::convert::Infallible;
use std::ffi::{OsStr, OsString};
use std::io;
use std::os::fd::{AsFd, OwnedFd};
use std::os::unix::ffi::OsStrExt;

use proa_kernel::process::{Strings, execve_fd};
use proa_kernel::{inherit, memfd};

use super::serve::Serve;
use super::watch::Keeper;
use crate::client;

/// Tells the next program what it is: `keeper` or `serve`, then numbers of open descriptors.
const VARIABLE: &str = "PROA_ROLE";

/// The static build's allocator takes memory in large pieces and keeps what is freed; the keeper and the server idle most
/// of their lives.
const THRIFT: [&str; 2] = ["MIMALLOC_ARENA_EAGER_COMMIT=0", "MIMALLOC_PURGE_DELAY=0"];

fn is_thrift(name: &OsStr) -> bool {
    let name = name.to_str().unwrap_or_default();
    THRIFT
        .iter()
        .any(|setting| setting.split('=').next() == Some(name))
}

/// What this process is, by what the keeper put into its environment.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Role {
    /// The keeper, after it re-executed itself: call [`super::run`].
    Keeper,
    /// The API server: call [`Inherited::take`], then parse the command line as it was given to the keeper.
    Serve,
}

/// What this process is; `None`: started by a user.
pub fn role() -> Option<Role> {
    let value = std::env::var(VARIABLE).ok()?;
    match value.split(' ').next() {
        Some("keeper") => Some(Role::Keeper),
        Some("serve") => Some(Role::Serve),
        _ => None,
    }
}

/// Becomes the keeper: makes a sealed copy of the running program, executes it, hands the listeners on. `arguments` are
/// those of `serve` (without the program's name), given to it each time it is started.
#[expect(
    clippy::needless_pass_by_value,
    reason = "the listeners live on in the next program"
)]
pub fn enter(listeners: Vec<OwnedFd>, arguments: &[OsString]) -> io::Result<Infallible> {
    Err(execute("keeper", listeners.iter(), arguments))
}

/// What `serve` inherits.
#[derive(Debug)]
pub struct Inherited {
    /// The listeners, in the order they were given to [`enter`]. Close-on-exec is set again.
    pub listeners: Vec<OwnedFd>,
    /// The keeper.
    pub keeper: client::Keeper,
}

impl Inherited {
    /// Takes over what the keeper handed down. To be called once, at the start of `main`, in the role [`Role::Serve`].
    pub fn take() -> io::Result<Inherited> {
        let mut fds = descriptors()?;
        if fds.is_empty() {
            return Err(io::ErrorKind::InvalidData.into());
        }
        let keeper = client::Keeper::new(fds.remove(0))?;
        Ok(Inherited {
            listeners: fds,
            keeper,
        })
    }
}

/// The keeper, from what [`enter`] handed on.
pub(super) fn keeper() -> io::Result<Keeper> {
    let arguments = std::env::args_os().skip(1).collect();
    Keeper::new(descriptors()?, Serve::new(arguments))
}

/// Replaces the program by a sealed copy of itself in another role.
pub(super) fn execute<'a>(
    role: &str,
    fds: impl Iterator<Item = &'a OwnedFd>,
    arguments: &[OsString],
) -> io::Error {
    match prepare(role, fds, arguments) {
        Ok((program, arguments, environment)) => {
            execve_fd(program.as_fd(), &arguments, &environment)
        }
        Err(error) => error,
    }
}

fn prepare<'a>(
    role: &str,
    fds: impl Iterator<Item = &'a OwnedFd>,
    arguments: &[OsString],
) -> io::Result<(OwnedFd, Strings, Strings)> {
    let program = own_program()?;
    let mut value = format!("{VARIABLE}={role}");
    for fd in fds {
        value.push(' ');
        value.push_str(&inherit::leave_open(fd)?.to_string());
    }
    let name = std::env::args_os()
        .next()
        .unwrap_or_else(|| "proa-agent".into());
    let arguments = std::iter::once(&name)
        .chain(arguments)
        .map(|argument| argument.as_bytes());
    let arguments = Strings::new(arguments)?;
    let others = std::env::vars_os()
        .filter(|(name, _)| name != VARIABLE && !is_thrift(name))
        .map(|(name, value)| {
            let mut variable = name;
            variable.push("=");
            variable.push(value);
            variable
        });
    let environment: Vec<OsString> = others
        .chain([OsString::from(value)])
        .chain(THRIFT.map(OsString::from))
        .collect();
    let environment = Strings::new(environment.iter().map(|variable| variable.as_bytes()))?;
    Ok((program, arguments, environment))
}

/// `EROFS_SUPER_MAGIC_V1` of `linux/magic.h`: the machine's image, which has no way of being written to.
const EROFS: u64 = 0xE0F5_E1E2;

/// A sealed copy of the running program, or the running program if nobody can write to it.
fn own_program() -> io::Result<OwnedFd> {
    let path = std::fs::read_link("/proc/self/exe")?;
    let program = std::fs::File::open("/proc/self/exe")?;
    let is_read_only = rustix::fs::fstatfs(&program)?.f_type as u64 == EROFS;
    if is_read_only || path.as_os_str().as_bytes().starts_with(b"/memfd:") {
        return Ok(program.into());
    }
    match memfd::own_program("proa-agent") {
        Ok(copy) => Ok(copy),
        // `vm.memfd_noexec=2` forbids executable ones.
        Err(error) if error.kind() == io::ErrorKind::PermissionDenied => {
            eprintln!(
                "proa: the kernel forbids a sealed copy of the program (vm.memfd_noexec): {error}"
            );
            Ok(std::fs::File::open("/proc/self/exe")?.into())
        }
        Err(error) => Err(error),
    }
}

/// The descriptors this program was started with, in order.
fn descriptors() -> io::Result<Vec<OwnedFd>> {
    let value = std::env::var_os(VARIABLE).unwrap_or_default();
    numbers(&value).into_iter().map(inherit::take).collect()
}

fn numbers(value: &OsStr) -> Vec<i32> {
    let text = value.to_str().unwrap_or_default();
    text.split(' ')
        .skip(1)
        .filter_map(|number| number.parse().ok())
        .collect()
}
