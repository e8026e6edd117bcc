//! Signals as a mask and as a descriptor.

use std::io;
use std::mem::MaybeUninit;
use std::os::fd::{AsFd, OwnedFd};
use std::ptr;

use crate::sys::{check, owned_fd};

/// A set of signals.
#[derive(Clone, Copy)]
pub struct Signals(libc::sigset_t);

impl Signals {
    /// No signal.
    pub fn none() -> Self {
        let mut set = MaybeUninit::uninit();
        // SAFETY: `sigemptyset` fills the set it is given.
        unsafe { libc::sigemptyset(set.as_mut_ptr()) };
        // SAFETY: it has just been filled.
        Self(unsafe { set.assume_init() })
    }

    /// Every signal that can be blocked.
    pub fn all() -> Self {
        let mut set = MaybeUninit::uninit();
        // SAFETY: `sigfillset` fills the set it is given.
        unsafe { libc::sigfillset(set.as_mut_ptr()) };
        // SAFETY: it has just been filled.
        Self(unsafe { set.assume_init() })
    }

    /// Exactly these signals.
    pub fn of(signals: &[i32]) -> Self {
        let mut set = Self::none();
        for &signal in signals {
            // SAFETY: the set is initialised; a number out of range only makes the call fail.
            unsafe { libc::sigaddset(&raw mut set.0, signal) };
        }
        set
    }

    /// These are blocked from now on, and no others.
    pub fn block_only(&self) -> io::Result<()> {
        // SAFETY: the set is initialised and the old mask is not asked for.
        let ret =
            unsafe { libc::pthread_sigmask(libc::SIG_SETMASK, &raw const self.0, ptr::null_mut()) };
        if ret == 0 {
            Ok(())
        } else {
            Err(io::Error::from_raw_os_error(ret))
        }
    }

    /// A descriptor that becomes readable when one of these, which must be blocked, is pending.
    pub fn descriptor(&self) -> io::Result<OwnedFd> {
        // SAFETY: the set is initialised; -1 asks for a new descriptor.
        owned_fd(unsafe {
            libc::signalfd(
                -1,
                &raw const self.0,
                libc::SFD_CLOEXEC | libc::SFD_NONBLOCK,
            )
        })
    }

    /// Waits for one of these, which must be blocked, and takes it.
    pub fn wait(&self) -> io::Result<i32> {
        let mut signal = 0;
        // SAFETY: the set is initialised and `signal` outlives the call.
        let ret = unsafe { libc::sigwait(&raw const self.0, &raw mut signal) };
        if ret == 0 {
            Ok(signal)
        } else {
            Err(io::Error::from_raw_os_error(ret))
        }
    }
}

impl std::fmt::Debug for Signals {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Signals(..)")
    }
}

/// Takes the next pending signal of a [`Signals::descriptor`]; `None` if there is none.
pub fn take(descriptor: impl AsFd) -> io::Result<Option<i32>> {
    let mut raw = [0; size_of::<libc::signalfd_siginfo>()];
    match rustix::io::read(descriptor.as_fd(), &mut raw) {
        // The number is the first field.
        Ok(_) => Ok(Some(i32::from_ne_bytes([raw[0], raw[1], raw[2], raw[3]]))),
        Err(rustix::io::Errno::AGAIN | rustix::io::Errno::INTR) => Ok(None),
        Err(errno) => Err(errno.into()),
    }
}

/// What a signal does to the caller.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Action {
    /// What the kernel does by itself.
    Default,
    /// Nothing.
    Ignore,
}

/// Sets what `signal` does.
pub fn set_action(signal: i32, action: Action) -> io::Result<()> {
    let handler = match action {
        Action::Default => libc::SIG_DFL,
        Action::Ignore => libc::SIG_IGN,
    };
    // SAFETY: neither action runs code of ours.
    let old = unsafe { libc::signal(signal, handler) };
    if old == libc::SIG_ERR {
        Err(io::Error::last_os_error())
    } else {
        Ok(())
    }
}

/// Sends `signal` to every process of a process group.
pub fn send_group(group: i32, signal: i32) -> io::Result<()> {
    // SAFETY: two integers.
    check(unsafe { libc::kill(-group, signal) }).map(drop)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_blocked_signal_is_read_from_its_descriptor() {
        let signals = Signals::of(&[libc::SIGUSR2]);
        signals.block_only().unwrap();
        let descriptor = signals.descriptor().unwrap();
        assert_eq!(take(&descriptor).unwrap(), None);
        // SAFETY: raises a blocked signal in this thread.
        unsafe { libc::raise(libc::SIGUSR2) };
        assert_eq!(take(&descriptor).unwrap(), Some(libc::SIGUSR2));
    }
}
