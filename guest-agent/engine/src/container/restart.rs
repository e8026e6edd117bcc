//! `restart`: stop and start.

use super::{Container, StopOptions};
use crate::Result;

impl Container {
    /// Stops it if it runs, and starts it.
    pub async fn restart(&self, options: StopOptions) -> Result<()> {
        self.stop(options).await?;
        self.start(None).await?;
        self.tell("restart", &[]);
        Ok(())
    }
}
