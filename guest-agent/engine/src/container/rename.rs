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
        self.renamed(engine);
        self.tell(engine, "rename", &[("oldName", format!("/{old}"))]);
        Ok(())
    }

    /// Its networks know it by its new name.
    fn renamed(&self, engine: &Engine) {
        let definition = &self.definition;
        engine.networks.renamed(&definition.id, &definition.name);
    }
}
