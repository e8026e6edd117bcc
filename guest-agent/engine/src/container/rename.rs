//! `rename`.

use std::sync::Arc;

use super::{
    Container,
    task::{Request, Task},
};
use crate::{Engine, Error, Result, names};

impl Container {
    /// Gives it another name.
    pub async fn rename(&self, name: &str) -> Result<()> {
        if name.is_empty() {
            return Err(Error::bad("Neither old nor new names may be empty"));
        }
        let name = names::check(name)?.to_owned();
        self.ask(|answer| Request::Rename { name, answer }).await
    }
}

impl Task {
    pub(super) async fn rename(&mut self, engine: &Arc<Engine>, name: String) -> Result<()> {
        let (id, old) = (self.definition.id.clone(), self.definition.name.clone());
        if name == old {
            return Err(Error::bad(
                "Renaming a container with the same name as its current name",
            ));
        }
        engine.containers.reserve(&name, &id)?;
        let mut definition = self.definition.as_ref().clone();
        definition.name.clone_from(&name);
        if let Err(error) = self.redefine(engine, definition).await {
            engine.containers.release(&name, &id);
            return Err(error);
        }
        engine.containers.release(&old, &id);
        self.renamed(engine, &old);
        self.tell(engine, "rename", &[("oldName", format!("/{old}"))]);
        Ok(())
    }

    /// Its networks know it by its new name.
    fn renamed(&mut self, engine: &Engine, old: &str) {
        let definition = Arc::clone(&self.definition);
        engine.networks.renamed(&definition.id, &definition.name);
        let Some(running) = self.state.live() else {
            return;
        };
        let mut place = running.place.as_ref().clone();
        for joint in &mut place.joints {
            for name in joint.names.iter_mut().filter(|name| *name == old) {
                name.clone_from(&definition.name);
            }
        }
        if let Err(error) = self.moved(engine, place) {
            tracing::warn!(
                id = self.id(),
                error = error.told(),
                "writing down a container's new name failed"
            );
        }
    }
}
