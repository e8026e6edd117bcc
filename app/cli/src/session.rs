//! What every verb shares: the engine, found when it is first needed.

use std::cell::OnceCell;

use proa_host::{Endpoint, Engine};

use crate::failure::Failure;

/// One run of `proa`.
pub(crate) struct Session {
    host: Option<String>,
    context: Option<String>,
    engine: OnceCell<Engine>,
}

impl Session {
    pub(crate) fn new(host: Option<String>, context: Option<String>) -> Self {
        Self {
            host,
            context,
            engine: OnceCell::new(),
        }
    }

    /// Where the engine is.
    pub(crate) fn endpoint(&self) -> Result<Endpoint, Failure> {
        Ok(match (&self.host, &self.context) {
            (Some(host), _) => Endpoint::named(host)?,
            (None, Some(context)) => Endpoint::of_context(context)?,
            (None, None) => Endpoint::find()?,
        })
    }

    /// The engine; nothing is connected yet.
    pub(crate) fn engine(&self) -> Result<&Engine, Failure> {
        if self.engine.get().is_none() {
            let engine = Engine::at(self.endpoint()?);
            let _ = self.engine.set(engine);
        }
        self.engine
            .get()
            .ok_or_else(|| Failure::usage("no engine is known"))
    }
}
