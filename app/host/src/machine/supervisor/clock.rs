//! The machine's clock follows this computer's: it stands still while the computer sleeps.

use std::io;
use std::sync::Arc;
use std::time::Duration;

use super::super::guest::Guest;
use crate::error::told;

/// How often it is set where nothing else asks for it.
const EVERY: Duration = Duration::from_secs(30);

/// Sets the clock now and then, and whenever this computer's own makes a jump.
pub(super) async fn keep(guest: Arc<Guest>) {
    let jumps = Jumps::new();
    if let Err(e) = &jumps {
        tracing::info!("jumps of the clock are not seen: {e}");
    }
    loop {
        tokio::select! {
            () = tokio::time::sleep(EVERY) => {}
            () = jumped(jumps.as_ref().ok()) => tracing::info!("the clock jumped"),
        }
        if let Err(e) = guest.set_clock().await {
            tracing::warn!("set the machine's clock: {}", told(&e));
        }
    }
}

async fn jumped(jumps: Option<&Jumps>) {
    match jumps {
        Some(jumps) => jumps.next().await,
        None => std::future::pending().await,
    }
}

/// A timer far away, which the kernel cancels when the clock is set, or has been asleep
/// (`TFD_TIMER_CANCEL_ON_SET`, timerfd_create(2)).
#[cfg(target_os = "linux")]
struct Jumps {
    timer: tokio::io::unix::AsyncFd<std::os::fd::OwnedFd>,
}

#[cfg(target_os = "linux")]
impl Jumps {
    fn new() -> io::Result<Self> {
        use rustix::time::{TimerfdClockId, TimerfdFlags, timerfd_create};
        let flags = TimerfdFlags::CLOEXEC | TimerfdFlags::NONBLOCK;
        let timer = timerfd_create(TimerfdClockId::Realtime, flags)?;
        arm(&timer)?;
        #[expect(
            deprecated,
            reason = "its safe successor is not there yet, and an owned descriptor stays what it is"
        )]
        let timer = tokio::io::unix::AsyncFd::new(timer)?;
        Ok(Self { timer })
    }

    /// Returns after a jump.
    async fn next(&self) {
        loop {
            let Ok(mut ready) = self.timer.readable().await else {
                return std::future::pending().await;
            };
            let mut count = [0; 8];
            let read = rustix::io::read(self.timer.get_ref(), &mut count);
            ready.clear_ready();
            if read == Err(rustix::io::Errno::CANCELED) {
                return;
            }
            if read.is_ok() && arm(self.timer.get_ref()).is_err() {
                return std::future::pending().await;
            }
        }
    }
}

#[cfg(target_os = "linux")]
fn arm(timer: &std::os::fd::OwnedFd) -> io::Result<()> {
    use rustix::time::{
        ClockId, Itimerspec, TimerfdTimerFlags, Timespec, clock_gettime, timerfd_settime,
    };
    const YEAR: i64 = 365 * 24 * 3600;
    let now = clock_gettime(ClockId::Realtime);
    let far = Itimerspec {
        it_interval: Timespec::default(),
        it_value: Timespec {
            tv_sec: now.tv_sec + YEAR,
            tv_nsec: 0,
        },
    };
    let flags = TimerfdTimerFlags::ABSTIME | TimerfdTimerFlags::CANCEL_ON_SET;
    timerfd_settime(timer, flags, &far)?;
    Ok(())
}

#[cfg(not(target_os = "linux"))]
struct Jumps;

#[cfg(not(target_os = "linux"))]
impl Jumps {
    fn new() -> io::Result<Self> {
        Err(io::ErrorKind::Unsupported.into())
    }

    async fn next(&self) {
        std::future::pending().await
    }
}
