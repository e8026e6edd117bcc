//! The engine: everything below one root folder.

use std::{
    collections::{HashMap, HashSet},
    io,
    os::fd::OwnedFd,
    path::{Path, PathBuf},
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};

use proa_images::{Digest, HeldBy, Store};
use proa_kernel::cgroup::Hierarchy;
use proa_protocol::LogConfig;
use proa_runtime::client::{Keeper, Notice};
use tokio::{
    io::unix::AsyncFd,
    sync::{broadcast, watch},
    task::JoinSet,
};

use crate::{
    Container, Result,
    container::{
        StopOptions,
        definition::Definition,
        folder::{self, Spares},
        reopen,
        state::Ended,
        task,
    },
    db::{Db, Stored},
    error::Context,
    events::Events,
    exec::Execs,
    machine::Host,
    network::{self, Networks},
    paths::Paths,
    pollable::{self, Pollable},
    registry::Registry,
    volumes::Volumes,
};

/// Where the engine lives.
#[derive(Clone, Debug)]
pub struct Config {
    /// What survives a boot: `/var/lib/proa`.
    pub root: PathBuf,
    /// What does not: `/run/proa`.
    pub run: PathBuf,
    /// The log driver of containers that name none, and its options.
    pub log: LogConfig,
    /// Whether other firewalls on this host get a rule that lets packets of its networks pass.
    pub foreign_firewalls: bool,
    /// The unix sockets at which its API is served.
    pub sockets: Vec<PathBuf>,
    /// How long a start may take from the moment on that everything for it is decided.
    pub start_limit: Duration,
    /// What `host-gateway` stands for where it is not the engine's own host: in a machine, the computer around it.
    pub host_gateway: Option<std::net::IpAddr>,
}

/// The engine. Cheap to share: always behind an [`Arc`].
pub struct Engine {
    config: Config,
    images: Store,
    pub(crate) paths: Paths,
    pub(crate) keeper: Arc<AsyncFd<Pollable<Keeper>>>,
    pub(crate) cgroups: Hierarchy,
    pub(crate) host: Host,
    pub(crate) db: Db,
    pub(crate) events: Events,
    pub(crate) containers: Registry,
    pub(crate) execs: Execs,
    pub(crate) volumes: Volumes,
    pub(crate) networks: Arc<Networks>,
    pub(crate) spares: Spares,
    /// Ids of containers whose monitors have ended, and what they left is cleared.
    pub(crate) monitors_ended: broadcast::Sender<String>,
    /// When images were last used.
    pub(crate) image_uses: crate::image::Uses,
    stop: watch::Sender<bool>,
    going_down: AtomicBool,
}

impl Engine {
    /// Opens the engine: reads the state, finds again what runs, sweeps what a crash left, applies restart policies.
    /// Monitors are made by `keeper`; its notices are read by the engine from now on.
    pub async fn open(config: Config, images: Store, keeper: Keeper) -> Result<Arc<Engine>> {
        let paths = Paths::new(&config.root, &config.run);
        for folder in [paths.containers(), paths.run_containers()] {
            std::fs::create_dir_all(&folder).context(|| format!("make {}", folder.display()))?;
        }
        let ground = paths.ground();
        folder::make_ground(&ground).context(|| format!("make {}", ground.display()))?;
        let spare = paths.spare();
        let spares = Spares::open(spare.clone()).context(|| format!("make {}", spare.display()))?;
        let (db, stored) = Db::open(&paths.state_db())?;
        let cgroups = Hierarchy::detect().context(|| "look at the host's cgroups".into())?;
        let keeper = pollable::watch(keeper).context(|| "listen to the keeper".into())?;
        let keeper = Arc::new(keeper);
        let kept = kept(&keeper).await?;
        let settings = network::settings::of_engine(&config.root, config.foreign_firewalls);
        let networks = Networks::open(settings, Arc::clone(&keeper), db.clone(), &stored.networks)?;
        let engine = Arc::new(Engine {
            host: Host::look(&cgroups),
            volumes: Volumes::open(paths.volumes(), db.clone(), &stored.volumes)?,
            keeper,
            networks,
            events: Events::open(paths.events()),
            containers: Registry::default(),
            execs: Execs::default(),
            monitors_ended: broadcast::channel(64).0,
            image_uses: crate::image::Uses::default(),
            stop: watch::channel(false).0,
            going_down: AtomicBool::new(false),
            spares,
            config,
            images,
            paths,
            cgroups,
            db,
        });
        engine.reopen(stored, kept).await;
        tokio::spawn(listen(Arc::clone(&engine)));
        Ok(engine)
    }

    /// Where it lives.
    pub fn config(&self) -> &Config {
        &self.config
    }

    /// What a container gets that asks for Docker's socket: this engine's, whether or not there is such a file on the
    /// host. Tools that look after containers from inside of one (Testcontainers' Ryuk, Portainer) ask for it.
    pub(crate) fn socket_for<'a>(&'a self, asked: &'a Path) -> &'a Path {
        let dockers = ["/var/run/docker.sock", "/run/docker.sock"];
        let own = self.config.sockets.first();
        own.filter(|_| dockers.iter().any(|docker| asked == Path::new(docker)))
            .map_or(asked, PathBuf::as_path)
    }

    /// The images its containers are made of.
    pub fn images(&self) -> &Store {
        &self.images
    }

    /// Its volumes.
    pub fn volumes(&self) -> &Volumes {
        &self.volumes
    }

    /// The host's cgroups.
    pub fn cgroups(&self) -> &Hierarchy {
        &self.cgroups
    }

    /// A container made of this image, if there is one; a running one before others. For `images().remove` and
    /// `prune`.
    pub fn holder(&self, image: &Digest) -> Option<HeldBy> {
        let mut users = self
            .containers
            .all()
            .into_iter()
            .filter(|user| user.seen().definition.image == image.as_str());
        let first = users.next()?;
        let live = |user: &Container| user.seen().state.live().is_some();
        let user = if live(&first) {
            first
        } else {
            users.find(live).unwrap_or(first)
        };
        Some(HeldBy {
            container: user.id().as_str().to_owned(),
            running: live(&user),
        })
    }

    /// Resolves when the keeper asks for an orderly stop.
    pub async fn stop_asked(&self) {
        // The sender lives as long as the engine.
        let _ = self.stop.subscribe().wait_for(|asked| *asked).await;
    }

    /// Tells the keeper that connections are accepted.
    pub fn serving(&self) -> Result<()> {
        self.keeper
            .get_ref()
            .serving()
            .context(|| "tell the keeper that the API is served".into())
    }

    /// Stops every container, each with its own patience, because the machine goes down: what the restart policies want
    /// is started again when it comes up.
    pub async fn stop_all(&self) {
        self.going_down.store(true, Ordering::Relaxed);
        let mut stopping = JoinSet::new();
        for container in self.containers.all() {
            stopping.spawn(async move {
                if let Err(error) = container.stop(StopOptions::default()).await {
                    tracing::warn!(id = %container.id(), error = error.told(), "stopping a container failed");
                }
            });
        }
        while stopping.join_next().await.is_some() {}
    }

    /// Whether containers end because the machine does.
    pub(crate) fn is_going_down(&self) -> bool {
        self.going_down.load(Ordering::Relaxed)
    }

    /// Ends orderly: containers go on; what was noted is on disk.
    pub async fn close(&self) {
        if let Err(error) = self.db.flush().await {
            tracing::error!(error = error.told(), "writing the state at the end failed");
        }
    }

    /// Containers as they were kept, and as they are found.
    async fn reopen(self: &Arc<Self>, stored: Stored, kept: Kept) {
        let records = reopen::collect(&self.paths, stored.containers);
        let known: HashSet<String> = records
            .iter()
            .map(|(definition, _)| definition.id.to_string())
            .collect();
        // At once: a monitor that does not answer is asked for seconds.
        let mut reopening = JoinSet::new();
        for (definition, history) in records {
            let engine = Arc::clone(self);
            reopening.spawn(async move { engine.reopen_one(definition, history).await });
        }
        while reopening.join_next().await.is_some() {}
        reopen::sweep(&self.paths, &known);
        self.reopen_networks(kept).await;
        for container in self.containers.all() {
            // The task lives as long as the container.
            let _ = container.line.requests.send(task::Request::Resume);
        }
    }

    async fn reopen_one(
        self: &Arc<Self>,
        definition: Definition,
        history: crate::container::state::History,
    ) {
        let id = definition.id.clone();
        let digest = definition.image.parse::<Digest>();
        let hold = match digest
            .map_err(|error| error.to_string())
            .and_then(|digest| self.images.hold(&digest).map_err(|error| error.to_string()))
        {
            Ok(hold) => Some(hold),
            Err(error) => {
                tracing::warn!(%id, error, "the image of a container is not there any more");
                None
            }
        };
        let mut beginning = reopen::find(self, definition, history, hold).await;
        let execs = std::mem::take(&mut beginning.execs);
        let ended = beginning.state.ended();
        let name = beginning.definition.name.clone();
        let gone = beginning.definition.auto_remove() && matches!(ended, Some(Ended::Exited(_)));
        let line = task::begin(self, beginning);
        let folder = self.paths.run_container(&id);
        let container = self.containers.insert(self, id, name, line);
        self.execs.reopen(&container, &folder, &execs);
        if gone {
            let _ = container.line.requests.send(task::Request::Remove {
                volumes: true,
                answer: task::nobody(),
            });
        }
    }
}

/// Descriptors that the keeper held for the process before this one, by name.
pub(crate) type Kept = HashMap<String, OwnedFd>;

/// How long the keeper may take to hand them over.
const HANDING_OVER: Duration = Duration::from_secs(10);

/// Takes over what the keeper held: it says so first, and then that this is all.
async fn kept(keeper: &AsyncFd<Pollable<Keeper>>) -> Result<Kept> {
    let mut kept = Kept::new();
    let all = async {
        loop {
            let mut ready = keeper.readable().await?;
            match keeper.get_ref().receive() {
                Ok(Some(Notice::Kept { name, fd })) => drop(kept.insert(name, fd)),
                Ok(Some(Notice::Ready)) => return Ok(()),
                // A container that ended is found when it is looked for.
                Ok(Some(Notice::MonitorEnded { .. } | Notice::Stop)) => {}
                Ok(None) => ready.clear_ready(),
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => ready.clear_ready(),
                Err(error) => return Err(error),
            }
        }
    };
    match tokio::time::timeout(HANDING_OVER, all).await {
        Ok(outcome) => outcome.context(|| "take over what the keeper holds".into())?,
        Err(_) => tracing::warn!("the keeper does not say what it holds"),
    }
    Ok(kept)
}

/// Hears the keeper until it is gone.
async fn listen(engine: Arc<Engine>) {
    loop {
        let Ok(mut ready) = engine.keeper.readable().await else {
            return;
        };
        match engine.keeper.get_ref().receive() {
            Ok(Some(notice)) => hear(&engine, notice),
            Ok(None) => ready.clear_ready(),
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => ready.clear_ready(),
            Err(error) => {
                tracing::error!(%error, "the keeper is gone: no container can be started any more");
                engine.stop.send_replace(true);
                return;
            }
        }
    }
}

fn hear(engine: &Engine, notice: Notice) {
    match notice {
        Notice::Stop => drop(engine.stop.send_replace(true)),
        // The connection to the monitor ends with it, which is heard there; nearly always nobody waits for this.
        Notice::MonitorEnded { id, .. } => drop(engine.monitors_ended.send(id)),
        // All of it came before anything else.
        Notice::Kept { .. } | Notice::Ready => {}
    }
}

/// A lock whose holder panicked still guards consistent state here: every change is one assignment.
pub(crate) fn lock<T>(mutex: &Mutex<T>) -> std::sync::MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
