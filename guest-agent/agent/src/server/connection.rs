//! Connections: HTTP/1.1 with upgrades, and HTTP/2 with prior knowledge, on the same listener.

use std::convert::Infallible;
use std::os::fd::OwnedFd;
use std::sync::Arc;
use std::sync::atomic::Ordering;

use hyper::body::Incoming;
use hyper::header::{HeaderValue, SERVER};
use hyper::service::service_fn;
use hyper::{Method, Request, Response};
use hyper_util::rt::{TokioExecutor, TokioIo};
use hyper_util::server::conn::auto::Builder;
use proa_kernel::vsock;
use proa_protocol::query::percent_decode;
use proa_protocol::{API_VERSION, ApiVersion, MIN_API_VERSION, Query};
use rustix::net::SocketFlags;
use tokio::io::unix::AsyncFd;
use tokio::io::{AsyncRead, AsyncWrite, Interest};
use tokio::net::{TcpListener, UnixListener, UnixStream};
use tokio::sync::watch;
use tokio_rustls::TlsAcceptor;

use super::{ApiError, Body, Call, Server};
use crate::{routes, tls};

impl Server {
    /// Serves clients at a unix socket until told to stop.
    pub(crate) fn accept_unix(
        self: &Arc<Self>,
        listener: UnixListener,
    ) -> impl Future<Output = ()> + use<> {
        let server = self.clone();
        async move {
            let mut stopping = server.stopping.subscribe();
            loop {
                let accepted = tokio::select! {
                    accepted = listener.accept() => accepted,
                    () = told(&mut stopping) => return,
                };
                match accepted {
                    Ok((stream, _)) => drop(tokio::spawn(server.clone().converse(stream))),
                    Err(e) => out_of_descriptors(&e).await,
                }
            }
        }
    }

    /// Serves clients at a TCP socket until told to stop.
    pub(crate) fn accept_tcp(
        self: &Arc<Self>,
        listener: TcpListener,
        tls: Option<TlsAcceptor>,
    ) -> impl Future<Output = ()> + use<> {
        let server = self.clone();
        async move {
            let mut stopping = server.stopping.subscribe();
            loop {
                let accepted = tokio::select! {
                    accepted = listener.accept() => accepted,
                    () = told(&mut stopping) => return,
                };
                match (accepted, &tls) {
                    (Ok((stream, _)), None) => drop(tokio::spawn(server.clone().converse(stream))),
                    (Ok((stream, _)), Some(tls)) => {
                        let (handshake, server) = (tls.accept(stream), server.clone());
                        tokio::spawn(async move {
                            match handshake.await {
                                Ok(stream) => server.converse(stream).await,
                                Err(e) => tracing::info!("{}", tls::refused(&e)),
                            }
                        });
                    }
                    (Err(e), _) => out_of_descriptors(&e).await,
                }
            }
        }
    }

    /// Serves the host of the machine that this is, by vsock, until told to stop. Containers can dial that too, since no
    /// namespace holds them back, and are turned away.
    pub(crate) fn accept_host(
        self: &Arc<Self>,
        listener: AsyncFd<OwnedFd>,
    ) -> impl Future<Output = ()> + use<> {
        let server = self.clone();
        async move {
            let mut stopping = server.stopping.subscribe();
            loop {
                let accepted = tokio::select! {
                    accepted = listener.async_io(Interest::READABLE, from_host) => accepted,
                    () = told(&mut stopping) => return,
                };
                match accepted {
                    Ok(Some(stream)) => match UnixStream::from_std(stream) {
                        Ok(stream) => drop(tokio::spawn(server.clone().converse(stream))),
                        Err(e) => tracing::warn!("talk to the host: {e}"),
                    },
                    Ok(None) => tracing::warn!("somebody who is not the host dialled its port"),
                    Err(e) => out_of_descriptors(&e).await,
                }
            }
        }
    }

    /// One connection's life.
    async fn converse(
        self: Arc<Self>,
        stream: impl AsyncRead + AsyncWrite + Unpin + Send + 'static,
    ) {
        let _counted = Counted::new(&self);
        let server = self.clone();
        let service = service_fn(move |request| {
            let server = server.clone();
            async move { Ok::<_, Infallible>(answer(server, request).await) }
        });
        let mut builder = Builder::new(TokioExecutor::new());
        builder
            .http1()
            .title_case_headers(true)
            .max_buf_size(64 << 10);
        let connection = builder.serve_connection_with_upgrades(TokioIo::new(stream), service);
        let mut connection = std::pin::pin!(connection);
        let mut stopping = self.stopping.subscribe();
        let ended = tokio::select! {
            ended = &mut connection => ended,
            () = told(&mut stopping) => {
                connection.as_mut().graceful_shutdown();
                connection.await
            }
        };
        if let Err(e) = ended {
            tracing::debug!("a connection broke: {e}");
        }
    }
}

/// The next connection by vsock, if it is the host's. A connected stream socket is used alike whatever its family.
fn from_host(listener: &OwnedFd) -> std::io::Result<Option<std::os::unix::net::UnixStream>> {
    let flags = SocketFlags::CLOEXEC | SocketFlags::NONBLOCK;
    let stream = rustix::net::accept_with(listener, flags)?;
    let is_host = vsock::peer(&stream)? == vsock::HOST;
    Ok(is_host.then(|| stream.into()))
}

/// One of the connections that an orderly stop waits for, however it ends.
struct Counted(Arc<Server>);

impl Counted {
    fn new(server: &Arc<Server>) -> Self {
        server.connections.fetch_add(1, Ordering::AcqRel);
        Counted(Arc::clone(server))
    }
}

impl Drop for Counted {
    fn drop(&mut self) {
        self.0.connections.fetch_sub(1, Ordering::AcqRel);
    }
}

/// Returns when the server is to stop.
async fn told(stopping: &mut watch::Receiver<bool>) {
    // A lost sender means the same.
    let _ = stopping.wait_for(|stop| *stop).await;
}

/// A failed accept mends itself when others close; until then it must not spin.
async fn out_of_descriptors(error: &std::io::Error) {
    tracing::warn!("accept a client: {error}");
    tokio::time::sleep(std::time::Duration::from_millis(100)).await;
}

/// Answers one request: version, route, headers.
async fn answer(server: Arc<Server>, request: Request<Incoming>) -> Response<Body> {
    let path = percent_decode(request.uri().path(), false);
    let (version, path) = match split_version(&path) {
        Ok(split) => split,
        Err(refused) => return stamped(refused.response()),
    };
    let segments: Vec<&str> = path
        .split('/')
        .filter(|segment| !segment.is_empty())
        .collect();
    let query = Query::parse(request.uri().query().unwrap_or_default());
    let (head, body) = request.into_parts();
    let method = head.method.clone();
    tracing::debug!("{method} {path}");
    if method == Method::OPTIONS {
        return stamped(Response::new(Body::EMPTY));
    }
    let call = Call {
        server,
        version,
        query,
        head,
        body,
    };
    match routes::answer(&method, &segments, call).await {
        Ok(response) => stamped(response),
        Err(refused) => stamped(refused.response()),
    }
}

/// Takes `/v1.NN` off the path and refuses what we do not speak, in the words that clients look for.
fn split_version(path: &str) -> Result<(ApiVersion, &str), ApiError> {
    let Some((version, rest)) = path
        .strip_prefix("/v")
        .and_then(|rest| rest.split_once('/'))
    else {
        return Ok((API_VERSION, path));
    };
    let Some((major, minor)) = version.split_once('.') else {
        return Ok((API_VERSION, path));
    };
    let (Ok(major), Ok(minor)) = (major.parse::<u16>(), minor.parse::<u16>()) else {
        return Ok((API_VERSION, path));
    };
    if (major, minor) > (1, API_VERSION.0) {
        let words = format!(
            "client version {version} is too new. Maximum supported API version is {API_VERSION}"
        );
        return Err(ApiError::bad(words));
    }
    if (major, minor) < (1, MIN_API_VERSION.0) {
        return Err(ApiError::bad(format!(
            "client version {version} is too old. Minimum supported API version is {MIN_API_VERSION}, \
             please upgrade your client to a newer version"
        )));
    }
    Ok((ApiVersion(minor), &path[path.len() - rest.len() - 1..]))
}

/// Adds what every answer of Docker's says about the server.
fn stamped(mut response: Response<Body>) -> Response<Body> {
    let headers = response.headers_mut();
    headers.insert(
        "api-version",
        HeaderValue::from_static(routes::API_VERSION_TEXT),
    );
    headers.insert("docker-experimental", HeaderValue::from_static("false"));
    headers.insert("ostype", HeaderValue::from_static("linux"));
    headers.insert(SERVER, HeaderValue::from_static(routes::SERVER_TEXT));
    response
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(path: &str, expected: &str) {
        let told = match split_version(path) {
            Ok((version, rest)) => format!("{version} {rest}"),
            Err(refused) => refused.message,
        };
        assert_eq!(told, expected);
    }

    #[test]
    fn the_version_comes_off_the_path() {
        check("/v1.41/containers/json", "1.41 /containers/json");
        check("/containers/json", "1.53 /containers/json");
        check("/v1.24/_ping", "1.24 /_ping");
        check("/volumes/v1", "1.53 /volumes/v1");
        check(
            "/v1.99/info",
            "client version 1.99 is too new. Maximum supported API version is 1.53",
        );
        check(
            "/v1.10/info",
            "client version 1.10 is too old. Minimum supported API version is 1.24, please upgrade your client to a \
             newer version",
        );
    }

    #[test]
    fn the_announced_version_is_ours() {
        assert_eq!(routes::API_VERSION_TEXT, API_VERSION.to_string());
    }
}
