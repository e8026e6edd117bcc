//! One container: its verbs, one file each.

pub mod archive;
pub mod attach;
mod changes;
mod check;
pub mod commit;
mod create;
mod defaults;
pub(crate) mod definition;
pub(crate) mod detach;
mod exit;
pub(crate) mod files;
pub(crate) mod folder;
mod health;
mod inspect;
mod kill;
pub(crate) mod launch;
pub(crate) mod link;
pub(crate) mod links;
mod list;
mod log_config;
mod logs;
mod merge;
mod mounts;
mod network;
mod pause;
mod prune;
mod readiness;
mod remove;
mod rename;
pub(crate) mod reopen;
mod resize;
mod restart;
mod shm;
mod signal;
mod start;
pub(crate) mod state;
mod stats;
mod status;
mod stop;
pub(crate) mod task;
mod top;
mod update;
pub(crate) mod view;
mod wait;

use std::{
    ops::Deref,
    sync::{Arc, Mutex, Weak},
};

use proa_protocol::TextMap;

pub use attach::{AttachOptions, Attached, Input};
pub use list::ListOptions;
pub use logs::{LogOptions, Logs};
pub use remove::RemoveOptions;
pub use start::Started;
pub use stop::{StopOptions, Stopped};
pub use wait::{WaitCondition, Waiting};

use crate::{Engine, Error, Result, id::Id};
use definition::Definition;
use task::{Line, Published};

/// A handle to one container.
#[derive(Clone)]
pub struct Container(pub(crate) Arc<Shared>);

/// What all handles of one container share.
pub struct Shared {
    pub(crate) id: Id,
    pub(crate) line: Line,
    pub(crate) engine: Weak<Engine>,
    /// What its health checks found in this run, if it has any.
    pub(crate) health: Mutex<Option<health::Health>>,
    /// How long its latest start took.
    pub(crate) readiness: Mutex<readiness::Measured>,
}

impl Deref for Container {
    type Target = Shared;

    fn deref(&self) -> &Shared {
        &self.0
    }
}

impl Container {
    /// The container's id.
    pub fn id(&self) -> &Id {
        &self.id
    }

    /// Its name, without a slash.
    pub fn name(&self) -> String {
        self.seen().definition.name.clone()
    }

    /// Whether its streams are a terminal's.
    pub fn tty(&self) -> bool {
        self.seen().definition.tty()
    }

    /// What can be seen of it now.
    pub(crate) fn seen(&self) -> Published {
        self.line.published.borrow().clone()
    }

    pub(crate) fn engine(&self) -> Result<Arc<Engine>> {
        self.engine
            .upgrade()
            .ok_or_else(|| Error::internal("the engine has ended"))
    }

    /// Asks its task.
    pub(crate) async fn ask<T>(
        &self,
        request: impl FnOnce(task::Answer<T>) -> task::Request,
    ) -> Result<T> {
        task::ask(&self.line, request, self.id.as_str()).await
    }

    pub(crate) fn tell(&self, action: &str, more: &[(&str, String)]) {
        if let Some(engine) = self.engine.upgrade() {
            engine.tell_container(&self.seen().definition, action, more);
        }
    }
}

impl Engine {
    /// Tells what happened to a container: its labels, image and name go along.
    pub(crate) fn tell_container(
        &self,
        definition: &Definition,
        action: &str,
        more: &[(&str, String)],
    ) {
        let mut attributes: TextMap = definition.labels().clone();
        attributes.insert("image".to_owned(), definition.config.image.clone());
        attributes.insert("name".to_owned(), definition.name.clone());
        attributes.extend(
            more.iter()
                .map(|(key, value)| ((*key).to_owned(), value.clone())),
        );
        self.events
            .tell("container", action, definition.id.as_str(), attributes);
    }
}
