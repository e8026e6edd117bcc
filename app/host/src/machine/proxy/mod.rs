//! Docker's API on a socket of this host, carried to the engine in the machine.
//!
//! What passes is the client's own request and the engine's own answer, streamed; four kinds are looked at on the way:
//! creating a container (its binds must be folders that the machine sees), starting one (its ports must be free here),
//! upgrades (they travel in frames), and questions that poll (they do not count as work, and while the machine is asleep
//! they are answered with what was last known).

mod binds;
mod body;
mod create;
mod forward;
mod hijack;
mod known;
mod route;
mod start;

use std::convert::Infallible;
use std::io;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use bytes::Bytes;
use hyper::body::Incoming;
use hyper::header::{CONTENT_TYPE, HeaderValue};
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper::{Method, Request, Response, StatusCode};
use hyper_util::rt::TokioIo;
use tokio::net::{UnixListener, UnixStream};

use self::body::Body;
use self::forward::Upstream;
use self::known::Known;
use self::route::Route;
use super::ports::Ports;
use super::supervisor::{Activity, Door, Up};

/// What every client's connection shares.
pub(super) struct Proxy {
    door: Door,
    ports: Ports,
    activity: Activity,
    upstream: Upstream,
    known: Known,
    /// Where clients find us: a bind of it means the engine's own socket.
    socket: PathBuf,
}

/// An answer that we give ourselves, in the shape of Docker's errors.
#[derive(Debug, thiserror::Error)]
#[error("{message}")]
pub(super) struct Refusal {
    status: StatusCode,
    message: String,
}

impl Refusal {
    pub(super) fn new(status: StatusCode, message: impl Into<String>) -> Self {
        let message = message.into();
        Self { status, message }
    }

    fn response(&self) -> Response<Body> {
        let text = serde_json::json!({ "message": self.message }).to_string();
        let mut response = Response::new(Body::whole(Bytes::from(text + "\n")));
        *response.status_mut() = self.status;
        let json = HeaderValue::from_static("application/json");
        response.headers_mut().insert(CONTENT_TYPE, json);
        response
    }
}

/// Opens the socket, for this user alone. One that was left behind is replaced: the caller holds the supervisor's lock.
pub(super) fn listen(socket: &Path) -> io::Result<UnixListener> {
    match std::fs::remove_file(socket) {
        Err(e) if e.kind() != io::ErrorKind::NotFound => return Err(e),
        _ => {}
    }
    let listener = UnixListener::bind(socket)?;
    std::fs::set_permissions(socket, std::fs::Permissions::from_mode(0o600))?;
    Ok(listener)
}

impl Proxy {
    pub(super) fn new(door: Door, ports: Ports, activity: Activity, socket: PathBuf) -> Arc<Self> {
        Arc::new(Self {
            door,
            ports,
            activity,
            upstream: Upstream::default(),
            known: Known::default(),
            socket,
        })
    }

    /// Serves clients for good.
    pub(super) async fn serve(self: Arc<Self>, listener: UnixListener) {
        loop {
            match listener.accept().await {
                Ok((stream, _)) => drop(tokio::spawn(self.clone().converse(stream))),
                Err(e) => {
                    // Out of descriptors, most likely: others must close some first.
                    tracing::warn!("accept a client: {e}");
                    tokio::time::sleep(std::time::Duration::from_millis(100)).await;
                }
            }
        }
    }

    async fn converse(self: Arc<Self>, stream: UnixStream) {
        let service = service_fn(move |request| {
            let proxy = self.clone();
            async move { Ok::<_, Infallible>(proxy.answer(request).await) }
        });
        let connection = http1::Builder::new()
            .title_case_headers(true)
            .serve_connection(TokioIo::new(stream), service)
            .with_upgrades();
        if let Err(e) = connection.await {
            tracing::debug!("a client's connection broke: {e}");
        }
    }

    async fn answer(self: Arc<Self>, request: Request<Incoming>) -> Response<Body> {
        let route = Route::of(&request);
        let answered = self.pass(request, route).await;
        answered.unwrap_or_else(|refusal| refusal.response())
    }

    async fn pass(
        self: Arc<Self>,
        request: Request<Incoming>,
        route: Route,
    ) -> Result<Response<Body>, Refusal> {
        if let Route::Poll(question) = &route
            && self.door.is_asleep()
            && let Some(answer) = self.known.answer(question)
        {
            return Ok(answer);
        }
        let busy = self.activity.begin(!matches!(route, Route::Poll(_)));
        if request.method() != Method::GET && request.method() != Method::HEAD {
            self.known.forget_lists();
        }
        let up = self.up().await?;
        let response = match route {
            Route::Poll(question) => {
                let response = self.upstream.send(&up, request.map(Body::from)).await?;
                return Ok(self.known.learn(question, response, busy).await);
            }
            Route::Upgrade => return hijack::pass(&up, request, busy).await,
            Route::Create => {
                let request = create::checked(request, &up, &self.socket).await?;
                self.upstream.send(&up, request).await?
            }
            Route::Start(container) => {
                // A client that hangs up must not leave a container started and its ports shut.
                let started = tokio::spawn(start::start(self, up, request, container));
                let broken = |_| Refusal::new(StatusCode::BAD_GATEWAY, "the start was broken off");
                started.await.map_err(broken)??
            }
            Route::Other => self.upstream.send(&up, request.map(Body::from)).await?,
        };
        Ok(response.map(|body| Body::busy(body, busy)))
    }

    /// The running machine; one that sleeps is woken.
    async fn up(&self) -> Result<Arc<Up>, Refusal> {
        let up = self.door.up().await;
        up.map_err(|down| Refusal::new(StatusCode::SERVICE_UNAVAILABLE, down.to_string()))
    }
}
