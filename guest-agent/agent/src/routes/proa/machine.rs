//! The upkeep of a machine by its host. An engine that is no machine's refuses it: its clock, its power and its folders are
//! not ours.

use hyper::StatusCode;
use proa_protocol::proa::{Clock, Shares};
use rustix::time::{ClockId, Timespec, clock_settime};

use crate::init::state::State;
use crate::server::{Answer, ApiError, Call, json, no_content, status};
use crate::shares;

/// `POST /proa/v1/clock`
pub(super) async fn clock(mut call: Call) -> Answer {
    in_machine()?;
    let clock: Clock = call.json().await?;
    if clock.unix_nanoseconds <= 0 {
        return Err(ApiError::bad(
            "set the clock: unix_nanoseconds must be greater than 0",
        ));
    }
    let time = Timespec {
        tv_sec: clock.unix_nanoseconds / 1_000_000_000,
        tv_nsec: clock.unix_nanoseconds % 1_000_000_000,
    };
    clock_settime(ClockId::Realtime, time)
        .map_err(|e| ApiError::internal(format!("set the clock: {e}")))?;
    no_content()
}

/// `POST /proa/v1/shutdown`: stops every container with its own patience, and then the machine; answered before that.
pub(super) async fn shutdown(call: &Call) -> Answer {
    in_machine()?;
    let engine = call.engine().clone();
    tokio::spawn(async move {
        engine.stop_all().await;
        // The keeper is the first process: its end is the machine's.
        if let Err(error) = proa_kernel::process::signal_pid(1, libc::SIGTERM) {
            tracing::error!("turn the machine off: {error}");
        }
    });
    status(StatusCode::ACCEPTED)
}

/// `GET /proa/v1/shares`
pub(super) fn shares() -> Answer {
    let mounted = shares::mounted().map_err(|e| ApiError::internal(crate::log::told(&e)))?;
    json(StatusCode::OK, &Shares { shares: mounted })
}

/// `PUT /proa/v1/shares`
pub(super) async fn share(mut call: Call) -> Answer {
    in_machine()?;
    let wanted: Shares = call.json().await?;
    let mounted = tokio::task::spawn_blocking(move || shares::set(&wanted.shares)).await;
    let mounted = mounted.map_err(|e| ApiError::internal(format!("mount the shares: {e}")))?;
    match mounted {
        Ok(()) => shares(),
        Err(error) => {
            let status = match error {
                shares::ShareError::Path(_) => StatusCode::BAD_REQUEST,
                shares::ShareError::Busy(..) => StatusCode::CONFLICT,
                shares::ShareError::Mount(..) | shares::ShareError::List(_) => {
                    StatusCode::INTERNAL_SERVER_ERROR
                }
            };
            Err(ApiError::new(status, crate::log::told(&error)))
        }
    }
}

pub(super) fn in_machine() -> Result<(), ApiError> {
    if State::read().is_some() {
        return Ok(());
    }
    Err(ApiError::new(
        StatusCode::NOT_IMPLEMENTED,
        "this engine runs on its host, not in a machine: there is nothing to do",
    ))
}
