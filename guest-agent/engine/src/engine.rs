//! The engine: everything below one root folder.

use std::{path::PathBuf, sync::Arc};

use proa_images::{Digest, HeldBy, Store};
use proa_protocol::{
    ContainerCreateBody, ContainerCreateResponse, ContainerPruneResponse, ContainerSummary,
};

use proa_runtime::client::Keeper;

use crate::{Container, Exec, Filters, Result, container::unimplemented};

/// Where the engine lives.
#[derive(Clone, Debug)]
pub struct Config {
    /// What survives a boot: `/var/lib/proa`.
    pub root: PathBuf,
    /// What does not: `/run/proa`.
    pub run: PathBuf,
}

/// The engine. Cheap to share: always behind an [`Arc`].
pub struct Engine {
    pub(crate) config: Config,
    images: Store,
}

/// Which containers to list.
#[derive(Clone, Debug, Default)]
pub struct ListOptions {
    /// Those that do not run, too.
    pub all: bool,
    /// At most so many, the newest first; implies `all`.
    pub limit: Option<usize>,
    /// With what their roots take.
    pub size: bool,
    /// Which of them.
    pub filters: Filters,
}

impl Engine {
    /// Opens the engine: reads the state, finds again what runs, sweeps what a crash left, applies restart policies.
    /// Monitors are made by `keeper`; its notices are read by the engine from now on.
    pub async fn open(config: Config, images: Store, keeper: Keeper) -> Result<Arc<Engine>> {
        let _ = keeper;
        Ok(Arc::new(Engine { config, images }))
    }

    /// The images its containers are made of.
    pub fn images(&self) -> &Store {
        &self.images
    }

    /// Whether a container was made of this image, and which: for `images().remove` and `prune`.
    pub fn holder(&self, image: &Digest) -> Option<HeldBy> {
        let _ = image;
        None
    }

    /// Resolves when the keeper asks for an orderly stop.
    pub async fn stop_asked(&self) {
        std::future::pending().await
    }

    /// Where it lives.
    pub fn config(&self) -> &Config {
        &self.config
    }

    /// Makes a container. `platform` is `os/arch/variant`.
    pub async fn create(
        self: &Arc<Self>,
        name: Option<&str>,
        platform: Option<&str>,
        body: ContainerCreateBody,
    ) -> Result<ContainerCreateResponse> {
        let _ = (name, platform, body);
        Err(unimplemented("create"))
    }

    /// A container by its id, a unique prefix of it, or its name.
    pub fn container(&self, id_or_name: &str) -> Result<Container> {
        Err(crate::Error::not_found(format!(
            "No such container: {id_or_name}"
        )))
    }

    /// An exec by its id.
    pub fn exec(&self, id: &str) -> Result<Exec> {
        Err(crate::Error::not_found(format!(
            "No such exec instance: {id}"
        )))
    }

    /// Containers, the newest first.
    pub async fn list(&self, options: ListOptions) -> Result<Vec<ContainerSummary>> {
        let _ = options;
        Err(unimplemented("list"))
    }

    /// Removes containers that do not run.
    pub async fn prune_containers(&self, filters: Filters) -> Result<ContainerPruneResponse> {
        let _ = filters;
        Err(unimplemented("prune"))
    }

    /// Ends orderly: containers go on.
    pub async fn close(&self) {}
}
