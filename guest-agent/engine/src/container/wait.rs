//! `wait`: until it does not run, exits, or is gone.

use std::pin::Pin;

use proa_protocol::ContainerWaitResponse;

use super::{Container, state::State, task::Published};

/// What to wait for.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum WaitCondition {
    /// Until it does not run, be it for a moment only; at once if it does not.
    #[default]
    NotRunning,
    /// Until it exits the next time.
    NextExit,
    /// Until it is removed.
    Removed,
}

/// An accepted wait; the answer comes later.
pub type Waiting = Pin<Box<dyn Future<Output = ContainerWaitResponse> + Send>>;

impl Container {
    /// Waits until `condition` holds; counts from this call on, not from when the future is first polled.
    pub fn wait(&self, condition: WaitCondition) -> Waiting {
        let mut published = self.line.published.clone();
        let exits = published.borrow().exits;
        Box::pin(async move {
            let mut last = published.borrow_and_update().clone();
            while !holds(condition, &last, exits) {
                match published.changed().await {
                    Ok(()) => last = published.borrow_and_update().clone(),
                    // Its task ends with the container.
                    Err(_) => break,
                }
            }
            answer(&last)
        })
    }
}

fn holds(condition: WaitCondition, seen: &Published, exits: u64) -> bool {
    if seen.removed {
        return true;
    }
    match condition {
        WaitCondition::NotRunning => match &seen.state {
            // It was away for a moment if a policy has started it again.
            State::Running(_) | State::Paused(_) | State::Restarting(_) => seen.exits > exits,
            State::Created(_) | State::Exited(_) | State::Removing(_) => true,
        },
        WaitCondition::NextExit => seen.exits > exits,
        WaitCondition::Removed => false,
    }
}

/// Why a start failed is told by the start and by the container's state; Docker's wait says the code only.
fn answer(seen: &Published) -> ContainerWaitResponse {
    ContainerWaitResponse {
        status_code: seen
            .state
            .ended()
            // It may have been started again already.
            .map_or(i64::from(seen.last_code), |ended| i64::from(ended.code())),
        error: None,
    }
}
