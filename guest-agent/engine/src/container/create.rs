//! `create`: everything that can be decided before a container runs is decided and made here.

use std::{
    collections::BTreeMap,
    sync::{Arc, OnceLock},
};

use proa_images::{Hold, Image, Platform};
use proa_protocol::{
    ContainerConfig, ContainerCreateBody, ContainerCreateResponse, EndpointSettings, HostConfig,
};

use super::{
    check, defaults,
    definition::{Definition, Models},
    files, links, log_config, merge, mounts,
    state::{History, State},
    task::{self, Beginning},
};
use crate::{
    Engine, Error, Result, clock,
    error::Context,
    id::Id,
    names,
    network::{connect, join, ports},
    rootfs::Layers,
    spec::{self, request},
    user_ids,
};

impl Engine {
    /// Makes a container. `platform` is `os/arch/variant`. Goes on when the caller goes away.
    pub async fn create(
        self: &Arc<Self>,
        name: Option<&str>,
        platform: Option<&str>,
        body: ContainerCreateBody,
    ) -> Result<ContainerCreateResponse> {
        let engine = Arc::clone(self);
        let name = name.filter(|name| !name.is_empty()).map(str::to_owned);
        let platform = platform
            .filter(|platform| !platform.is_empty())
            .map(str::to_owned);
        let creation = async move {
            engine
                .create_whole(name.as_deref(), platform.as_deref(), body)
                .await
        };
        tokio::spawn(creation)
            .await
            .context(|| "create a container".into())?
    }

    async fn create_whole(
        self: &Arc<Self>,
        name: Option<&str>,
        platform: Option<&str>,
        body: ContainerCreateBody,
    ) -> Result<ContainerCreateResponse> {
        let image = self.image_for(&body.config.image, platform)?;
        let (draft, warnings) = Draft::new(self, body, &image)?;
        let id = Id::random().context(|| "make an id".into())?;
        let name = self.take_name(name, &id)?;
        let mut made = Made {
            engine: Arc::clone(self),
            id: id.clone(),
            name: name.clone(),
            volumes: Vec::new(),
        };
        match self.furnish(draft, &image, &mut made).await {
            Ok(()) => Ok(ContainerCreateResponse {
                id: id.to_string(),
                warnings,
            }),
            Err(error) => {
                made.undo().await;
                Err(error)
            }
        }
    }

    fn image_for(&self, name: &str, platform: Option<&str>) -> Result<Image> {
        if name.is_empty() {
            return Err(Error::bad("no image specified"));
        }
        let image = self.images().find(name)?;
        let Some(wanted) = platform else {
            return Ok(image);
        };
        let wanted: Platform = wanted
            .parse()
            .map_err(|error| Error::bad(format!("{error}")))?;
        if wanted.suitability(&image.config().platform()).is_none() {
            return Err(Error::not_found(format!(
                "image with reference {name} was found but does not provide the specified platform ({wanted})"
            )));
        }
        Ok(image)
    }

    fn take_name(&self, asked: Option<&str>, id: &Id) -> Result<String> {
        if let Some(asked) = asked {
            let name = names::check(asked)?;
            self.containers.reserve(name, id)?;
            return Ok(name.to_owned());
        }
        for attempt in 0..16 {
            let name = names::random(attempt).context(|| "make a name".into())?;
            if self.containers.reserve(&name, id).is_ok() {
                return Ok(name);
            }
        }
        // As Docker does when its names run out.
        let name = id.short().to_owned();
        self.containers.reserve(&name, id)?;
        Ok(name)
    }

    /// Makes what the container needs on disk, writes it down and brings it to life.
    async fn furnish(self: &Arc<Self>, draft: Draft, image: &Image, made: &mut Made) -> Result<()> {
        let Draft {
            mut config,
            host,
            endpoints,
            command,
            requested,
            mut models,
        } = draft;
        defaults::container(&mut config, &host, made.id.short(), &self.host.name);
        let ids = user_ids::wanted(&host.userns_mode)?;
        let ids = ids.map(|size| self.containers.reserve_ids(&made.id, size));
        let ids = ids.transpose()?;
        let hold = self.images().hold(image.id())?;
        let folder = self.paths.container(&made.id);
        self.spares
            .furnish(&folder)
            .and_then(|()| files::write(&folder, &config, &host))
            .context(|| format!("make {}", folder.display()))?;
        let root = Layers::new(image.lowers().iter().cloned());
        working_dir(&root, &config.working_dir)?;
        let mounts = mounts::resolve(self, requested, &host, &root, &mut made.volumes).await?;
        let definition = Definition {
            id: made.id.clone(),
            name: made.name.clone(),
            created: clock::now(),
            image: image.id().to_string(),
            lowers: image.lowers().to_vec(),
            platform: image.config().os.clone(),
            command,
            config,
            host,
            endpoints,
            left_its_network: false,
            mounts,
            ids,
            models: OnceLock::new(),
        };
        models.0.hostname = Some(definition.config.hostname.clone());
        // It was empty.
        let _ = definition.models.set(Arc::new(models));
        let history = History::default();
        task::keep(self, &definition, &history).await?;
        self.bring_to_life(definition, history, hold);
        Ok(())
    }

    fn bring_to_life(self: &Arc<Self>, definition: Definition, history: History, hold: Hold) {
        let (id, name) = (definition.id.clone(), definition.name.clone());
        self.image_uses.note(&definition.image);
        let beginning = Beginning {
            definition,
            state: State::Created(None),
            history,
            hold: Some(hold),
            execs: Vec::new(),
            out_of_reach: None,
        };
        let line = task::begin(self, beginning);
        self.containers
            .insert(self, id, name, line)
            .tell("create", &[]);
    }
}

/// A configuration that was checked and completed, before anything is made for it.
struct Draft {
    config: ContainerConfig,
    host: HostConfig,
    endpoints: BTreeMap<String, EndpointSettings>,
    command: Vec<String>,
    requested: Vec<request::Requested>,
    models: Models,
}

impl Draft {
    fn new(
        engine: &Engine,
        body: ContainerCreateBody,
        image: &Image,
    ) -> Result<(Self, Vec<String>)> {
        let ContainerCreateBody {
            mut config,
            host_config: mut host,
            networking_config,
        } = body;
        merge::merge(&mut config, &image.config().config);
        let command = merge::command_line(&mut config)?;
        let warnings = check::all(
            &config,
            &host,
            check::Facts {
                cpus: engine.host.cpus,
            },
        )?;
        log_config::inherit(&mut host.log_config, &engine.config().log);
        defaults::host(
            &mut host,
            defaults::Facts {
                cgroup_v2: engine.host.machine.cgroup_v2,
            },
        );
        network(engine, &host)?;
        links::check(engine, &host)?;
        log_config::check(&host.log_config)?;
        let models = as_models(&config, &host)?;
        security(engine, &host, &models)?;
        let requested = request::requested(&models.0, &models.1)
            .map_err(|error| Error::bad(error.to_string()))?;
        let endpoints = endpoints(
            &config,
            &host,
            networking_config.endpoints_config.unwrap_or_default(),
        )?;
        Ok((
            Draft {
                config,
                host,
                endpoints,
                command,
                requested,
                models,
            },
            warnings,
        ))
    }
}

/// The same documents as the types that specs are written from.
pub(super) fn as_models(config: &ContainerConfig, host: &HostConfig) -> Result<Models> {
    fn convert<T: serde::de::DeserializeOwned>(document: &impl serde::Serialize) -> Result<T> {
        let wrong = |error: serde_json::Error| {
            Error::bad(format!("invalid container configuration: {error}"))
        };
        serde_json::to_vec(document)
            .and_then(|text| serde_json::from_slice(&text))
            .map_err(wrong)
    }
    Ok((convert(config)?, convert(host)?))
}

/// Refuses capabilities, security options and resource limits that cannot be given.
fn security(engine: &Engine, host: &HostConfig, models: &Models) -> Result<()> {
    let bad = |error: &dyn std::fmt::Display| Error::bad(error.to_string());
    let held = |list: &Option<proa_protocol::Words>| list.as_deref().unwrap_or_default().to_vec();
    spec::effective_capabilities(
        &held(&host.cap_add),
        &held(&host.cap_drop),
        host.privileged,
        &engine.host.machine.capabilities,
    )
    .map_err(|error| bad(&error))?;
    let options = host.security_opt.as_deref().unwrap_or_default();
    spec::SecurityOptions::parse(options).map_err(|error| bad(&error))?;
    spec::rlimits(models.1.ulimits.as_deref().unwrap_or_default()).map_err(|error| bad(&error))?;
    Ok(())
}

/// Whose network is shared must exist now; a network must when the container is started.
fn network(engine: &Engine, host: &HostConfig) -> Result<()> {
    match host.network_mode.strip_prefix("container:") {
        Some(other) => engine.container(other).map(|_| ()),
        None => Ok(()),
    }
}

/// What is asked of each network, that of the container's mode always among them.
fn endpoints(
    config: &ContainerConfig,
    host: &HostConfig,
    asked: BTreeMap<String, EndpointSettings>,
) -> Result<BTreeMap<String, EndpointSettings>> {
    let mode = host.network_mode.as_str();
    let mut endpoints: BTreeMap<_, _> = asked
        .into_iter()
        .map(|(name, settings)| (connect::key_of(&name).to_owned(), settings))
        .collect();
    if mode.starts_with("container:") {
        return Ok(BTreeMap::new());
    }
    if endpoints.len() > 1 && matches!(mode, "host" | "none") {
        return Err(Error::bad(
            "conflicting options: cannot attach both user-defined and non-user-defined network-modes",
        ));
    }
    let own = endpoints.entry(mode.to_owned()).or_default();
    if own.mac_address.is_empty() {
        own.mac_address.clone_from(&config.mac_address);
    }
    join::check(host, &endpoints)?;
    ports::wanted(config, host)?;
    Ok(endpoints)
}

/// A working directory that is missing is made at the start; one that is something else cannot be.
fn working_dir(root: &Layers, path: &str) -> Result<()> {
    let found = if path.is_empty() {
        None
    } else {
        root.find(std::path::Path::new(path)).ok().flatten()
    };
    match found {
        Some(found) if !found.metadata.is_dir() => Err(Error::internal(format!(
            "Cannot mkdir: {path} is not a directory"
        ))),
        Some(_) | None => Ok(()),
    }
}

/// What exists of a container that is not finished.
struct Made {
    engine: Arc<Engine>,
    id: Id,
    name: String,
    volumes: Vec<String>,
}

impl Made {
    async fn undo(self) {
        self.engine.containers.release(&self.name, &self.id);
        mounts::undo(&self.engine, &self.volumes).await;
        for folder in [
            self.engine.paths.container(&self.id),
            self.engine.paths.run_container(&self.id),
        ] {
            if let Err(error) = mounts::remove_folder(&folder) {
                tracing::warn!(id = %self.id, error = error.told(), "taking back a container failed");
            }
        }
    }
}
