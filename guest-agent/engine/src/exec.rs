//! Execs: further processes in a running container.

use std::sync::Arc;

use proa_protocol::{ExecInspect, ExecStartBody};

use crate::{Result, container::attach::Attached, id::Id};

/// A handle to one exec.
#[derive(Clone)]
pub struct Exec {
    pub(crate) id: Arc<Id>,
}

impl Exec {
    /// The exec's id.
    pub fn id(&self) -> &Id {
        &self.id
    }

    /// Starts it with its output to be read and its input to be written by the caller. `detach_keys` end the
    /// attachment from the input side.
    pub async fn start_attached(&self, config: ExecStartBody) -> Result<Attached> {
        let _ = config;
        Err(crate::container::unimplemented("exec start"))
    }

    /// Starts it and leaves it alone.
    pub async fn start_detached(&self, config: ExecStartBody) -> Result<()> {
        let _ = config;
        Err(crate::container::unimplemented("exec start"))
    }

    /// Sets the size of its terminal.
    pub async fn resize(&self, height: u16, width: u16) -> Result<()> {
        let _ = (height, width);
        Err(crate::container::unimplemented("exec resize"))
    }

    /// Its document.
    pub fn inspect(&self) -> Result<ExecInspect> {
        Err(crate::container::unimplemented("exec inspect"))
    }
}
