//! Whether somebody needs the machine: answers under way, open streams, when there last was one.

use std::sync::{Arc, Mutex, PoisonError};

use tokio::time::Instant;

/// What is going on. Copies are the same.
#[derive(Clone)]
pub(crate) struct Activity(Arc<Mutex<Going>>);

struct Going {
    open: usize,
    last: Instant,
}

/// Something under way, until it is dropped.
pub(crate) struct Busy {
    /// None for a question that polls: it is answered, and is no work.
    counted: Option<Activity>,
}

impl Default for Activity {
    fn default() -> Self {
        let going = Going {
            open: 0,
            last: Instant::now(),
        };
        Self(Arc::new(Mutex::new(going)))
    }
}

impl Activity {
    /// Something begins; `is_work` if it keeps the machine awake.
    pub(crate) fn begin(&self, is_work: bool) -> Busy {
        if is_work {
            self.change(|going| going.open += 1);
        }
        Busy {
            counted: is_work.then(|| self.clone()),
        }
    }

    /// How much is under way.
    pub(super) fn open(&self) -> usize {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).open
    }

    /// Since when nothing was; none while something is.
    pub(super) fn quiet_since(&self) -> Option<Instant> {
        let going = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        (going.open == 0).then_some(going.last)
    }

    fn change(&self, change: impl FnOnce(&mut Going)) {
        let mut going = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        change(&mut going);
        going.last = Instant::now();
    }
}

impl Drop for Busy {
    fn drop(&mut self) {
        if let Some(activity) = &self.counted {
            activity.change(|going| going.open -= 1);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn work_counts_until_it_is_done_and_polls_never() {
        let activity = Activity::default();
        let before = activity.quiet_since();
        drop(activity.begin(false));
        assert_eq!(activity.quiet_since(), before);
        let busy = activity.begin(true);
        assert_eq!((activity.open(), activity.quiet_since()), (1, None));
        drop(busy);
        assert!(activity.quiet_since() >= before);
    }
}
