//! `restart`: stop and start.

use super::{Container, StopOptions, task::Request};
use crate::{Result, error::Context};

impl Container {
    /// Stops it if it runs, and starts it. Goes on when the caller goes away, which must not leave it stopped.
    pub async fn restart(&self, options: StopOptions) -> Result<()> {
        let container = self.clone();
        let restart = tokio::spawn(async move {
            // One that goes away with its end stays for this one; its task lives as long as it does.
            let _ = container.line.requests.send(Request::KeepOnce);
            container.stop(options).await?;
            container.start(None).await?;
            container.tell("restart", &[]);
            Ok(())
        });
        restart
            .await
            .context(|| format!("restart container {}", self.id))?
    }
}
