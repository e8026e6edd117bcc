//! Which containers there are, by id and by name.

use std::{
    collections::{BTreeMap, HashMap},
    ops::Bound,
    sync::{Arc, Mutex},
};

use crate::{
    Container, Engine, Error, Kind, Result,
    container::Shared,
    engine::lock,
    id::Id,
    user_ids::{self, IdRange},
};

/// Every container of the engine.
#[derive(Default)]
pub(crate) struct Registry(Mutex<Entries>);

#[derive(Default)]
struct Entries {
    by_id: BTreeMap<Id, Arc<Shared>>,
    /// Names are taken before their containers exist.
    names: HashMap<String, Id>,
    /// So are the ids of user namespaces.
    ranges: BTreeMap<Id, IdRange>,
}

impl Registry {
    /// Takes a name for a container to be.
    pub(crate) fn reserve(&self, name: &str, id: &Id) -> Result<()> {
        let mut entries = lock(&self.0);
        if let Some(owner) = entries.names.get(name) {
            return Err(Error::conflict(format!(
                "Conflict. The container name \"/{name}\" is already in use by container \"{owner}\". You have to \
                 remove (or rename) that container to be able to reuse that name."
            )));
        }
        entries.names.insert(name.to_owned(), id.clone());
        Ok(())
    }

    /// Takes ids of the host for the user namespace of a container to be.
    pub(crate) fn reserve_ids(&self, id: &Id, size: u32) -> Result<IdRange> {
        let granted = user_ids::granted();
        let mut entries = lock(&self.0);
        let range = user_ids::pick(size, &granted, &entries.ranges)?;
        entries.ranges.insert(id.clone(), range);
        Ok(range)
    }

    /// Gives a name back, if it is this container's.
    pub(crate) fn release(&self, name: &str, id: &Id) {
        let mut entries = lock(&self.0);
        if entries.names.get(name) == Some(id) {
            entries.names.remove(name);
            entries.ranges.remove(id);
        }
    }

    /// Adds a container whose name it has taken, or takes now.
    pub(crate) fn insert(
        &self,
        engine: &Arc<Engine>,
        id: Id,
        name: String,
        line: crate::container::task::Line,
    ) -> Container {
        let shared = Arc::new(Shared {
            id: id.clone(),
            line,
            engine: Arc::downgrade(engine),
            health: Mutex::default(),
            readiness: Mutex::default(),
        });
        let ids = shared.line.published.borrow().definition.ids;
        let mut entries = lock(&self.0);
        if let Some(ids) = ids {
            entries.ranges.insert(id.clone(), ids);
        }
        entries.names.insert(name, id.clone());
        entries.by_id.insert(id, Arc::clone(&shared));
        Container(shared)
    }

    /// Forgets a container and its name.
    pub(crate) fn remove(&self, id: &Id) {
        let mut entries = lock(&self.0);
        entries.by_id.remove(id);
        entries.ranges.remove(id);
        entries.names.retain(|_, owner| owner != id);
    }

    /// Every container, by id.
    pub(crate) fn all(&self) -> Vec<Container> {
        lock(&self.0)
            .by_id
            .values()
            .map(|shared| Container(Arc::clone(shared)))
            .collect()
    }

    /// One by its id, its name, or a unique prefix of its id.
    pub(crate) fn find(&self, wanted: &str) -> Result<Container> {
        let entries = lock(&self.0);
        let by_name = entries
            .names
            .get(wanted.strip_prefix('/').unwrap_or(wanted));
        let exact = wanted.parse::<Id>().ok();
        let found = exact.as_ref().and_then(|id| entries.by_id.get(id));
        let found = found.or_else(|| entries.by_id.get(by_name?));
        if let Some(shared) = found {
            return Ok(Container(Arc::clone(shared)));
        }
        let from = (Bound::Included(wanted), Bound::Unbounded);
        let mut matching = entries
            .by_id
            .range::<str, _>(from)
            .take_while(|(id, _)| !wanted.is_empty() && id.as_str().starts_with(wanted));
        match (matching.next(), matching.next()) {
            (Some((_, shared)), None) => Ok(Container(Arc::clone(shared))),
            (None, _) => Err(Error::not_found(format!("No such container: {wanted}"))),
            (Some(_), Some(_)) => Err(Error::new(
                Kind::BadParameter,
                format!("Multiple IDs found with provided prefix: {wanted}"),
            )),
        }
    }
}

impl Engine {
    /// A container by its id, a unique prefix of it, or its name.
    pub fn container(&self, id_or_name: &str) -> Result<Container> {
        self.containers.find(id_or_name)
    }
}
