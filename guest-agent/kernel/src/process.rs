//! Making processes, waiting for them, and what a process may say about itself.
//!
//! [`clone3`] and [`fork`] return twice. They are for single-threaded programs (the keeper, a monitor, the command
//! line): in a threaded one the child would inherit locks whose owners do not exist.

use std::ffi::CString;
use std::io;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, FromRawFd, OwnedFd};
use std::ptr;

use rustix::process::{Pid, WaitId, WaitIdOptions, WaitIdStatus};

use crate::namespace::Namespaces;
use crate::sys::{check, check_long};

/// What [`clone3`] makes beside a copy of the caller.
#[derive(Clone, Copy, Debug, Default)]
pub struct CloneOptions<'a> {
    /// Namespaces the child gets of its own.
    pub namespaces: Namespaces,
    /// Directory of a version 2 cgroup that the child is born in (`CLONE_INTO_CGROUP`, Linux 5.7).
    pub cgroup: Option<BorrowedFd<'a>>,
    /// The child becomes the caller's sibling (`CLONE_PARENT`): its parent is the caller's parent.
    pub sibling: bool,
}

/// Which side of [`clone3`] this is.
#[derive(Debug)]
pub enum Cloned {
    /// The new process.
    Child,
    /// The caller, with the child's id in the caller's PID namespace and a descriptor for it.
    Parent {
        /// The child's id.
        pid: i32,
        /// Refers to the child for good, whatever becomes of the number.
        pidfd: OwnedFd,
    },
}

/// Makes a process with `clone3(2)` (Linux 5.3), its signal handlers reset to their defaults.
///
/// The child starts with a copy of the caller's memory and descriptors and continues from here.
pub fn clone3(options: &CloneOptions<'_>) -> io::Result<Cloned> {
    let mut raw_pidfd: libc::c_int = -1;
    let mut flags =
        libc::CLONE_PIDFD as u64 | CLONE_CLEAR_SIGHAND | u64::from(options.namespaces.bits());
    if options.cgroup.is_some() {
        flags |= CLONE_INTO_CGROUP;
    }
    if options.sibling {
        flags |= libc::CLONE_PARENT as u64;
    }
    let args = CloneArgs {
        flags,
        pidfd: (&raw mut raw_pidfd) as u64,
        // A sibling inherits the exit signal of the process that makes it.
        exit_signal: if options.sibling {
            0
        } else {
            libc::SIGCHLD as u64
        },
        cgroup: options.cgroup.map_or(0, |fd| fd.as_raw_fd() as u64),
        ..CloneArgs::default()
    };
    // SAFETY: `args` and `raw_pidfd` outlive the call; without CLONE_VM the child works on a copy of this memory, so
    // returning twice disturbs nobody.
    let pid = check_long(unsafe {
        libc::syscall(libc::SYS_clone3, &raw const args, size_of::<CloneArgs>())
    })?;
    if pid == 0 {
        return Ok(Cloned::Child);
    }
    // SAFETY: with CLONE_PIDFD the kernel has stored a new descriptor there, known to nobody else.
    let pidfd = unsafe { OwnedFd::from_raw_fd(raw_pidfd) };
    Ok(Cloned::Parent {
        pid: pid as i32,
        pidfd,
    })
}

const CLONE_CLEAR_SIGHAND: u64 = 0x1_0000_0000;
const CLONE_INTO_CGROUP: u64 = 0x2_0000_0000;

/// `struct clone_args` of `linux/sched.h`, version 2.
#[repr(C, align(8))]
#[derive(Default)]
struct CloneArgs {
    flags: u64,
    pidfd: u64,
    child_tid: u64,
    parent_tid: u64,
    exit_signal: u64,
    stack: u64,
    stack_size: u64,
    tls: u64,
    set_tid: u64,
    set_tid_size: u64,
    cgroup: u64,
}

/// Forks through the C library, which leaves its own locks usable in the child even if the caller has threads.
///
/// `None` is the child.
pub fn fork() -> io::Result<Option<i32>> {
    // SAFETY: the child gets a copy of this memory and, by the library's fork, usable allocator locks.
    let pid = check(unsafe { libc::fork() })?;
    Ok((pid != 0).then_some(pid))
}

/// Ends the process at once: no destructors, no flushing of buffers that belong to the parent.
pub fn exit_now(code: i32) -> ! {
    // SAFETY: `_exit` does not return and runs no code of ours.
    unsafe { libc::_exit(code) }
}

/// How a process ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Ended {
    /// It exited with this code.
    Exited(i32),
    /// This signal killed it.
    Signaled(i32),
}

impl Ended {
    /// The exit code as shells and Docker tell it: 128 + signal for a killed process.
    pub fn code(self) -> i32 {
        match self {
            Self::Exited(code) => code,
            Self::Signaled(signal) => 128 + signal,
        }
    }

    fn from_status(status: &WaitIdStatus) -> Self {
        match (status.exit_status(), status.terminating_signal()) {
            (Some(code), _) => Self::Exited(code),
            (None, Some(signal)) => Self::Signaled(signal),
            (None, None) => Self::Signaled(0),
        }
    }
}

/// Waits for the child behind `pidfd` to end and reaps it.
pub fn wait(pidfd: impl AsFd) -> io::Result<Ended> {
    loop {
        match rustix::process::waitid(WaitId::PidFd(pidfd.as_fd()), WaitIdOptions::EXITED) {
            Ok(Some(status)) => return Ok(Ended::from_status(&status)),
            Ok(None) | Err(rustix::io::Errno::INTR) => {}
            Err(errno) => return Err(errno.into()),
        }
    }
}

/// Reaps the child behind `pidfd` if it has ended; `None` if it is still running.
pub fn try_wait(pidfd: impl AsFd) -> io::Result<Option<Ended>> {
    let options = WaitIdOptions::EXITED | WaitIdOptions::NOHANG;
    let status = rustix::process::waitid(WaitId::PidFd(pidfd.as_fd()), options)?;
    Ok(status.map(|status| Ended::from_status(&status)))
}

/// Reaps any child that has ended: its id and how it ended; `None` if none has, `ECHILD` if there is no child.
pub fn reap_any() -> io::Result<Option<(i32, Ended)>> {
    let ended = rustix::process::wait(rustix::process::WaitOptions::NOHANG)?;
    Ok(ended.map(|(pid, status)| {
        let how = match (status.exit_status(), status.terminating_signal()) {
            (Some(code), _) => Ended::Exited(code),
            (None, signal) => Ended::Signaled(signal.unwrap_or(0)),
        };
        (pid.as_raw_nonzero().get(), how)
    }))
}

/// A descriptor for the running process `pid` (`pidfd_open(2)`, Linux 5.3).
pub fn open(pid: i32) -> io::Result<OwnedFd> {
    let pid = Pid::from_raw(pid).ok_or_else(|| io::Error::from_raw_os_error(libc::ESRCH))?;
    Ok(rustix::process::pidfd_open(
        pid,
        rustix::process::PidfdFlags::empty(),
    )?)
}

/// Sends a signal to the process behind `pidfd`; any number the kernel knows, real-time signals included.
pub fn signal(pidfd: impl AsFd, signal: i32) -> io::Result<()> {
    let fd = pidfd.as_fd().as_raw_fd();
    // SAFETY: three integers and a null pointer, which stands for "as kill(2) would".
    check_long(unsafe {
        libc::syscall(
            libc::SYS_pidfd_send_signal,
            fd,
            signal,
            ptr::null::<()>(),
            0,
        )
    })
    .map(drop)
}

/// Sends a signal to a process by number.
pub fn signal_pid(pid: i32, signal: i32) -> io::Result<()> {
    // SAFETY: two integers.
    check(unsafe { libc::kill(pid, signal) }).map(drop)
}

/// Orphaned descendants become children of the caller (`PR_SET_CHILD_SUBREAPER`).
pub fn become_subreaper() -> io::Result<()> {
    Ok(rustix::process::set_child_subreaper(Some(
        rustix::process::getpid(),
    ))?)
}

/// No later `execve` gives privileges the caller lacks (`PR_SET_NO_NEW_PRIVS`).
pub fn set_no_new_privileges() -> io::Result<()> {
    Ok(rustix::thread::set_no_new_privs(true)?)
}

/// Whether processes of the same user may read the caller's memory and descriptors through `/proc`.
pub fn set_dumpable(dumpable: bool) -> io::Result<()> {
    use rustix::process::DumpableBehavior::{Dumpable, NotDumpable};
    Ok(rustix::process::set_dumpable_behavior(if dumpable {
        Dumpable
    } else {
        NotDumpable
    })?)
}

/// The caller is sent `signal` when its parent ends; 0 undoes that.
pub fn set_parent_death_signal(signal: i32) -> io::Result<()> {
    // SAFETY: integers only.
    check(unsafe { libc::prctl(libc::PR_SET_PDEATHSIG, signal as libc::c_ulong) }).map(drop)
}

/// The name that `ps` and `/proc/PID/comm` show, cut to 15 bytes.
pub fn set_name(name: &str) -> io::Result<()> {
    let name = CString::new(name)?;
    Ok(rustix::thread::set_name(&name)?)
}

/// Execution domain of the caller (`personality(2)`).
pub fn set_personality(persona: u64) -> io::Result<()> {
    // SAFETY: an integer.
    check(unsafe { libc::personality(persona as libc::c_ulong) }).map(drop)
}

/// Every descriptor from `first` on is closed by the next `execve` (`close_range(2)`, Linux 5.11 for the flag).
pub fn close_on_exec_from(first: u32) -> io::Result<()> {
    let flags = libc::CLOSE_RANGE_CLOEXEC;
    // SAFETY: integers only, and no descriptor is closed by the call itself.
    check_long(unsafe { libc::syscall(libc::SYS_close_range, first, u32::MAX, flags) }).map(drop)
}

/// Closes every descriptor from `first` to `last`. What still owns one of them must never use or close it again: the
/// child of a clone calls this for what belongs to its parent.
pub fn close_range(first: u32, last: u32) -> io::Result<()> {
    // SAFETY: integers only; the documented duty of the caller keeps dangling owners unused.
    check_long(unsafe { libc::syscall(libc::SYS_close_range, first, last, 0) }).map(drop)
}

/// Gives `fd` the number `number`, closed on exec, and closes every descriptor above it. As for [`close_range`], owners
/// of what is closed must never be used again.
pub fn keep_only(fd: OwnedFd, number: i32) -> io::Result<OwnedFd> {
    let raw = fd.as_raw_fd();
    let kept = if raw == number {
        fd
    } else {
        // SAFETY: integers only; a number above those that `execve` keeps has no owner that is used again.
        check(unsafe { libc::dup3(raw, number, libc::O_CLOEXEC) })?;
        // Closed just below if it is above, and then not to be closed twice.
        if raw > number {
            std::mem::forget(fd);
        }
        // SAFETY: the descriptor has just been made.
        unsafe { OwnedFd::from_raw_fd(number) }
    };
    close_range(number as u32 + 1, u32::MAX)?;
    Ok(kept)
}

/// Makes `fd` the descriptor `number`, open across `execve`, closing whatever had that number.
pub fn place_fd(fd: impl AsFd, number: i32) -> io::Result<()> {
    let raw = fd.as_fd().as_raw_fd();
    if raw == number {
        return Ok(rustix::io::fcntl_setfd(
            fd.as_fd(),
            rustix::io::FdFlags::empty(),
        )?);
    }
    // SAFETY: integers only; numbers handed to this function are the stdio numbers and those after them, which no
    // owned descriptor of this program has.
    check(unsafe { libc::dup2(raw, number) }).map(drop)
}

/// Arguments or environment as `execve` takes them: made once, used for every candidate of a PATH search.
#[derive(Debug)]
pub struct Strings {
    pointers: Vec<*const libc::c_char>,
    _owned: Vec<CString>,
}

impl Strings {
    /// Fails on a string with a NUL byte inside.
    pub fn new<S: AsRef<[u8]>>(strings: impl IntoIterator<Item = S>) -> io::Result<Self> {
        let owned: Vec<CString> = strings
            .into_iter()
            .map(|s| CString::new(s.as_ref()))
            .collect::<Result<_, _>>()?;
        let mut pointers: Vec<_> = owned.iter().map(|s| s.as_ptr()).collect();
        pointers.push(ptr::null());
        Ok(Self {
            pointers,
            _owned: owned,
        })
    }
}

/// Replaces the program (`execve(2)`); returns only to say why it could not.
pub fn execve(path: &std::ffi::CStr, arguments: &Strings, environment: &Strings) -> io::Error {
    // SAFETY: both arrays end in a null pointer and point to strings that `Strings` owns.
    unsafe {
        libc::execve(
            path.as_ptr(),
            arguments.pointers.as_ptr(),
            environment.pointers.as_ptr(),
        )
    };
    io::Error::last_os_error()
}

/// Replaces the program by the one behind `fd` (`fexecve`), such as a sealed copy of the own binary.
pub fn execve_fd(fd: impl AsFd, arguments: &Strings, environment: &Strings) -> io::Error {
    let raw = fd.as_fd().as_raw_fd();
    let (argv, envp) = (arguments.pointers.as_ptr(), environment.pointers.as_ptr());
    // SAFETY: the path is an empty C string; both arrays end in a null pointer and point to owned strings.
    unsafe {
        libc::syscall(
            libc::SYS_execveat,
            raw,
            c"".as_ptr(),
            argv,
            envp,
            libc::AT_EMPTY_PATH,
        )
    };
    io::Error::last_os_error()
}

/// A limit of `getrlimit(2)` by number, for the caller. `u64::MAX` means none.
pub fn set_limit(resource: u32, soft: u64, hard: u64) -> io::Result<()> {
    set_limit_of(0, resource, soft, hard)
}

/// The same for another process (`prlimit(2)`).
pub fn set_limit_of(pid: i32, resource: u32, soft: u64, hard: u64) -> io::Result<()> {
    let limit = libc::rlimit64 {
        rlim_cur: soft,
        rlim_max: hard,
    };
    // SAFETY: `limit` outlives the call; the old limit is not asked for.
    check_long(unsafe {
        libc::syscall(
            libc::SYS_prlimit64,
            pid,
            resource,
            &raw const limit,
            ptr::null_mut::<libc::rlimit64>(),
        )
    })
    .map(drop)
}

/// Scheduling class, nice value and deadlines (`sched_setattr(2)`), for the caller.
#[derive(Clone, Copy, Debug, Default)]
#[repr(C)]
pub struct Scheduling {
    /// Filled in by [`set_scheduling`].
    pub size: u32,
    /// `SCHED_*`.
    pub policy: u32,
    /// `SCHED_FLAG_*`.
    pub flags: u64,
    /// For the ordinary classes.
    pub nice: i32,
    /// For the real-time classes.
    pub priority: u32,
    /// Nanoseconds, for `SCHED_DEADLINE`.
    pub runtime: u64,
    /// Nanoseconds, for `SCHED_DEADLINE`.
    pub deadline: u64,
    /// Nanoseconds, for `SCHED_DEADLINE`.
    pub period: u64,
}

/// Applies `scheduling` to the caller.
pub fn set_scheduling(scheduling: &Scheduling) -> io::Result<()> {
    let attr = Scheduling {
        size: size_of::<Scheduling>() as u32,
        ..*scheduling
    };
    // SAFETY: `attr` outlives the call and says its own size.
    check_long(unsafe { libc::syscall(libc::SYS_sched_setattr, 0, &raw const attr, 0) }).map(drop)
}

/// I/O scheduling class (1 real time, 2 best effort, 3 idle) and priority of the caller (`ioprio_set(2)`).
pub fn set_io_priority(class: u32, priority: u32) -> io::Result<()> {
    const WHO_PROCESS: i32 = 1;
    let value = class << 13 | priority;
    // SAFETY: integers only.
    check_long(unsafe { libc::syscall(libc::SYS_ioprio_set, WHO_PROCESS, 0, value) }).map(drop)
}
