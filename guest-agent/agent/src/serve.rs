//! `proa-agent serve`: first the keeper, then beneath it the engine and its API.

use std::ffi::OsString;
use std::io;
use std::os::fd::{AsFd, OwnedFd};
use std::process::ExitCode;
use std::sync::Arc;
use std::time::Duration;

use proa_engine::Engine;
use proa_engine::Keeping;
use proa_engine::images::Store;
use proa_protocol::LogConfig;
use proa_runtime::keeper;
use tokio::io::unix::AsyncFd;
use tokio::net::{TcpListener, UnixListener};
use tokio::signal::unix::{SignalKind, signal};
use tracing::{info, warn};

use crate::cli::{self, ServeArguments};
use crate::listen::{self, ListenError};
use crate::log;
use crate::server::Server;
use crate::settings::{BadSettings, Settings};
use crate::tls::{self, TlsError};

/// Why the engine does not run.
#[derive(Debug, thiserror::Error)]
enum ServeError {
    #[error(transparent)]
    Settings(#[from] BadSettings),
    #[error(transparent)]
    Listen(#[from] ListenError),
    #[error(transparent)]
    Tls(#[from] TlsError),
    #[error("understand the arguments passed on by the keeper")]
    Arguments(#[from] clap::Error),
    #[error("{0}")]
    System(&'static str, #[source] io::Error),
    #[error("open the images")]
    Images(#[source] proa_engine::images::Error),
    #[error("open the engine")]
    Engine(#[from] proa_engine::Error),
}

/// How long requests that are under way may take once the engine is to stop.
const PATIENCE: Duration = Duration::from_secs(5);

/// What a user starts: opens the sockets and becomes the keeper.
pub(crate) fn start(arguments: &ServeArguments) -> ExitCode {
    ended(begin(arguments))
}

fn begin(arguments: &ServeArguments) -> Result<(), ServeError> {
    let settings = Settings::read(arguments)?;
    log::begin(settings.log_level.as_deref());
    // Mistakes in certificates are told before anything is opened.
    let safe = tls::acceptor(&settings)?.is_some();
    let listeners = listen::open(&settings.hosts, settings.group.as_deref(), safe)?;
    let words: Vec<OsString> = std::env::args_os().skip(1).collect();
    match keeper::enter(listeners, &words) {
        Ok(never) => match never {},
        Err(e) => Err(ServeError::System("become the keeper", e)),
    }
}

/// What the keeper starts: the engine and its API.
pub(crate) fn as_child() -> ExitCode {
    ended(run())
}

fn ended(result: Result<(), ServeError>) -> ExitCode {
    match result {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            log::begin(None);
            tracing::error!("{}", log::told(&error));
            ExitCode::FAILURE
        }
    }
}

fn run() -> Result<(), ServeError> {
    let inherited = keeper::Inherited::take()
        .map_err(|e| ServeError::System("take over from the keeper", e))?;
    let arguments = cli::serve_arguments(std::env::args_os().skip(1))?;
    let settings = Settings::read(&arguments)?;
    log::begin(settings.log_level.as_deref());
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(2)
        .thread_name("proa-serve")
        .enable_all()
        .build()
        .map_err(|e| ServeError::System("start the async runtime", e))?;
    let served = runtime.block_on(serve(arguments, settings, inherited));
    // A reader of a file may still be blocked; nobody waits for it.
    runtime.shutdown_timeout(Duration::from_millis(100));
    served
}

async fn serve(
    arguments: ServeArguments,
    settings: Settings,
    inherited: keeper::Inherited,
) -> Result<(), ServeError> {
    let acceptor = tls::acceptor(&settings)?;
    let images = open_images(&arguments, &settings)?;
    let config = proa_engine::Config {
        root: arguments.root,
        run: arguments.run,
        log: LogConfig {
            kind: settings
                .log_driver
                .clone()
                .unwrap_or_else(|| "json-file".into()),
            config: Some(settings.log_opts.clone()),
        },
        foreign_firewalls: !settings.leave_firewalls,
        sockets: settings
            .hosts
            .iter()
            .filter_map(|host| Some(host.strip_prefix("unix://")?.into()))
            .collect(),
        start_limit: Duration::from_secs(arguments.start_limit),
        host_gateway: arguments.host_gateway_ip,
    };
    let engine = Engine::open(config, images, inherited.keeper).await?;
    let server = Arc::new(Server::new(engine.clone()));
    for listener in inherited.listeners {
        accept(listener, &server, acceptor.clone())
            .map_err(|e| ServeError::System("listen at an inherited socket", e))?;
    }
    tokio::spawn(collect_images(engine.clone(), keeping(&settings)));
    engine.serving()?;
    info!("serving the API at {}", settings.hosts.join(", "));
    // A signal ends this process only, and the keeper starts it again; the keeper's word ends the engine.
    let for_good = tokio::select! {
        told = stopped() => told.map(|()| false).map_err(|e| ServeError::System("wait for signals", e))?,
        () = engine.stop_asked() => true,
    };
    if for_good {
        listen::remove(&settings.hosts);
    }
    info!("stopping; containers go on");
    if !server.drain(PATIENCE).await {
        warn!("requests under way were cut off");
    }
    engine.close().await;
    Ok(())
}

/// What the settings say of images that nobody uses. Nonsense, such as a negative number, means nothing.
fn keeping(settings: &Settings) -> Keeping {
    let days = |days: f64| Duration::try_from_secs_f64(days * 86_400.0).ok();
    Keeping {
        age: settings.image_keep_days.and_then(days),
        bytes: settings
            .image_keep_gigabytes
            .map(|most| (most * 1e9) as u64),
    }
}

/// How soon after the start, and how often, images are looked through.
const FIRST_COLLECTION: Duration = Duration::from_secs(20);
const COLLECTION: Duration = Duration::from_secs(600);

/// Takes away images that need not stay, for as long as the engine runs.
async fn collect_images(engine: Arc<Engine>, keep: Keeping) {
    if keep == Keeping::default() {
        return;
    }
    let mut wait = FIRST_COLLECTION;
    loop {
        tokio::time::sleep(wait).await;
        wait = COLLECTION;
        let engine = engine.clone();
        match tokio::task::spawn_blocking(move || engine.collect_images(keep)).await {
            Ok(Ok(gone)) => info!("took away {gone} unused images"),
            Ok(Err(error)) => warn!("take away unused images: {}", error.told()),
            Err(error) => warn!("take away unused images: {error}"),
        }
    }
}

/// Opens the images, with the settings about registries.
fn open_images(arguments: &ServeArguments, settings: &Settings) -> Result<Store, ServeError> {
    let wanted = proa_engine::images::Settings {
        insecure: settings.insecure_registries.clone(),
        mirrors: settings.registry_mirrors.clone(),
        ..proa_engine::images::Settings::default()
    };
    Store::open(&arguments.root.join("images"), wanted).map_err(ServeError::Images)
}

/// Has the reactor watch a listener.
#[expect(
    deprecated,
    reason = "its successor is unsafe; an OwnedFd never changes its descriptor"
)]
fn watched(listener: OwnedFd) -> io::Result<AsyncFd<OwnedFd>> {
    AsyncFd::new(listener)
}

/// Accepts clients at one listener, whatever family it is of.
fn accept(
    listener: OwnedFd,
    server: &Arc<Server>,
    tls: Option<tokio_rustls::TlsAcceptor>,
) -> io::Result<()> {
    let server = server.clone();
    let family = rustix::net::getsockname(listener.as_fd())?.address_family();
    if family == rustix::net::AddressFamily::VSOCK {
        rustix::io::ioctl_fionbio(&listener, true)?;
        tokio::spawn(server.accept_host(watched(listener)?));
    } else if family == rustix::net::AddressFamily::UNIX {
        let listener = std::os::unix::net::UnixListener::from(listener);
        listener.set_nonblocking(true)?;
        tokio::spawn(server.accept_unix(UnixListener::from_std(listener)?));
    } else {
        let listener = std::net::TcpListener::from(listener);
        listener.set_nonblocking(true)?;
        tokio::spawn(server.accept_tcp(TcpListener::from_std(listener)?, tls));
    }
    Ok(())
}

/// Returns when somebody wants the engine to stop.
async fn stopped() -> io::Result<()> {
    let mut terminate = signal(SignalKind::terminate())?;
    let mut interrupt = signal(SignalKind::interrupt())?;
    tokio::select! {
        _ = terminate.recv() => {}
        _ = interrupt.recv() => {}
    }
    Ok(())
}
