//! `restart`: stop and start.

use super::{Container, StopOptions};
use crate::{Result, error::Context};

impl Container {
    /// Stops it if it runs, and starts it. Goes on when the caller goes away, which must not leave it stopped.
    pub async fn restart(&self, options: StopOptions) -> Result<()> {
        let container = self.clone();
        let restart = tokio::spawn(async move {
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
