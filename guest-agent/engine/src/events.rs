//! What happens, told to whoever listens; the last of it is kept for those who ask later.

use futures_util::stream::BoxStream;
use proa_protocol::{Event, TextMap};

use crate::{Engine, Filters, Result};

/// Which events.
#[derive(Clone, Debug, Default)]
pub struct EventOptions {
    /// From this Unix time on (`1.5`), from the kept ones.
    pub since: Option<String>,
    /// Until then; the stream ends there.
    pub until: Option<String>,
    /// Which of them.
    pub filters: Filters,
}

impl Engine {
    /// Tells an event: `kind` is `image`, `volume`, …; `id` names the actor.
    pub fn tell(&self, kind: &str, action: &str, id: &str, attributes: TextMap) {
        let _ = (kind, action, id, attributes);
    }

    /// Events as they come.
    pub fn events(&self, options: EventOptions) -> Result<BoxStream<'static, Event>> {
        let _ = options;
        Err(crate::container::unimplemented("events"))
    }
}
