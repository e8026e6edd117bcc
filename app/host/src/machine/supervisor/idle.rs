//! When the machine may stop: nobody has asked it for anything but how it is, and no container runs.

use std::sync::Arc;
use std::time::Duration;

use tokio::time::Instant;

use super::super::guest::Guest;
use super::Activity;

/// Returns once the machine was idle for `limit`. Nothing is asked before it can be so.
pub(super) async fn wait(activity: Activity, guest: Arc<Guest>, limit: Duration) {
    let mut quiet_from = Instant::now();
    loop {
        tokio::time::sleep_until(quiet_from + limit).await;
        match activity.quiet_since() {
            Some(since) if since > quiet_from => quiet_from = since,
            Some(_) => {
                // A container is work as long as it runs, and so is an engine that cannot say.
                if matches!(guest.running().await, Ok(0)) && activity.open() == 0 {
                    return;
                }
                quiet_from = Instant::now();
            }
            None => quiet_from = Instant::now(),
        }
    }
}
