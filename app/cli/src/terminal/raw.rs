//! Raw mode, and back.

use std::sync::Mutex;

use rustix::termios::{OptionalActions, Termios, tcgetattr, tcsetattr};

use crate::failure::Failure;

/// How the terminal was before; also found by the panic hook, which no value's `drop` reaches.
static BEFORE: Mutex<Option<Termios>> = Mutex::new(None);

/// The terminal of standard input in raw mode, until this is dropped.
pub(crate) struct RawMode(());

impl RawMode {
    /// Switches it on; nothing happens when standard input is no terminal.
    pub(crate) fn enter() -> Result<Self, Failure> {
        let stdin = std::io::stdin();
        let Ok(before) = tcgetattr(&stdin) else {
            return Ok(Self(()));
        };
        let mut raw = before.clone();
        raw.make_raw();
        if let Ok(mut place) = BEFORE.lock() {
            *place = Some(before);
        }
        restore_on_panic();
        tcsetattr(&stdin, OptionalActions::Now, &raw)
            .map_err(|errno| Failure::io("put the terminal into raw mode", errno.into()))?;
        Ok(Self(()))
    }
}

impl Drop for RawMode {
    fn drop(&mut self) {
        restore();
    }
}

fn restore() {
    let before = BEFORE.lock().ok().and_then(|mut place| place.take());
    if let Some(before) = before {
        // The terminal may be gone; then there is nothing to restore.
        let _ = tcsetattr(std::io::stdin(), OptionalActions::Now, &before);
    }
}

fn restore_on_panic() {
    let usual = std::panic::take_hook();
    std::panic::set_hook(Box::new(move |info| {
        restore();
        usual(info);
    }));
}
