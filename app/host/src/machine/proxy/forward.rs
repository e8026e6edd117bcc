//! Sending a request on to the engine in the machine.

use std::sync::{Mutex, PoisonError};

use hyper::body::Incoming;
use hyper::client::conn::http1::{self, SendRequest};
use hyper::header::{CONNECTION, EXPECT, HeaderMap, HeaderName, TE, TRANSFER_ENCODING, UPGRADE};
use hyper::{Request, Response, StatusCode};
use hyper_util::rt::TokioIo;
use proa_vm::Dialer;

use super::Refusal;
use super::body::Body;
use crate::error::told;
use crate::machine::CONTROL_PORT;
use crate::machine::supervisor::Up;

/// Connections are kept for the next request; more than these are not.
const KEPT: usize = 16;

/// The connections to the engine that wait for a request.
#[derive(Default)]
pub(super) struct Upstream {
    idle: Mutex<Vec<(Dialer, SendRequest<Body>)>>,
}

impl Upstream {
    /// Sends a request; the answer's body still streams. Dropping the answer, or the future of it, hangs up there too.
    pub(super) async fn send(
        &self,
        up: &Up,
        mut request: Request<Body>,
    ) -> Result<Response<Incoming>, Refusal> {
        strip(request.headers_mut());
        // We have said "100 Continue" already when the body was asked for.
        request.headers_mut().remove(EXPECT);
        let mut response = self.exchange(up, request).await?;
        strip(response.headers_mut());
        Ok(response)
    }

    async fn exchange(
        &self,
        up: &Up,
        mut request: Request<Body>,
    ) -> Result<Response<Incoming>, Refusal> {
        loop {
            let kept = self.kept(&up.dialer);
            let fresh = kept.is_none();
            let mut sender = match kept {
                Some(sender) => sender,
                None => connect(&up.dialer).await?,
            };
            match sender.try_send_request(request).await {
                Ok(response) => {
                    self.keep(up.dialer.clone(), sender);
                    return Ok(response);
                }
                // A kept connection had been closed before anything was sent.
                Err(mut failed) => match failed.take_message() {
                    Some(unsent) if !fresh => request = unsent,
                    _ => return Err(broken(failed.error())),
                },
            }
        }
    }

    fn kept(&self, dialer: &Dialer) -> Option<SendRequest<Body>> {
        let mut idle = self.idle.lock().unwrap_or_else(PoisonError::into_inner);
        // Those of a machine that ended are of no use.
        idle.retain(|(to, sender)| to == dialer && !sender.is_closed());
        let ready = idle.iter().position(|(_, sender)| sender.is_ready())?;
        Some(idle.swap_remove(ready).1)
    }

    /// It is ready again when its answer's body was read to the end.
    fn keep(&self, dialer: Dialer, sender: SendRequest<Body>) {
        let mut idle = self.idle.lock().unwrap_or_else(PoisonError::into_inner);
        if idle.len() < KEPT {
            idle.push((dialer, sender));
        }
    }
}

/// A connection of its own.
pub(super) async fn connect(dialer: &Dialer) -> Result<SendRequest<Body>, Refusal> {
    let stream = dialer.dial(CONTROL_PORT).await.map_err(|e| {
        let words = format!(
            "the machine does not answer: {}; `proa machine status` tells how it is",
            told(&e)
        );
        Refusal::new(StatusCode::SERVICE_UNAVAILABLE, words)
    })?;
    let (sender, connection) = http1::Builder::new()
        .title_case_headers(true)
        .handshake(TokioIo::new(stream))
        .await
        .map_err(|e| broken(&e))?;
    tokio::spawn(connection.with_upgrades());
    Ok(sender)
}

pub(super) fn broken(error: &hyper::Error) -> Refusal {
    let words = format!("the engine in the machine broke off: {}", told(error));
    Refusal::new(StatusCode::BAD_GATEWAY, words)
}

/// Takes out what is about one connection only (RFC 9110, section 7.6.1).
pub(super) fn strip(headers: &mut HeaderMap) {
    let named: Vec<HeaderName> = headers
        .get_all(CONNECTION)
        .iter()
        .filter_map(|value| value.to_str().ok())
        .flat_map(|value| value.split(','))
        .filter_map(|name| name.trim().parse().ok())
        .collect();
    for name in named {
        headers.remove(name);
    }
    for name in [CONNECTION, TRANSFER_ENCODING, UPGRADE, TE] {
        headers.remove(name);
    }
    headers.remove("keep-alive");
    headers.remove("proxy-connection");
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_about_one_connection_does_not_pass() {
        let mut headers = HeaderMap::new();
        for (name, value) in [
            ("connection", "close, X-Own"),
            ("x-own", "1"),
            ("transfer-encoding", "chunked"),
            ("content-type", "a/b"),
        ] {
            headers.insert(name, value.parse().expect("a value"));
        }
        strip(&mut headers);
        let left: Vec<_> = headers.keys().map(HeaderName::as_str).collect();
        assert_eq!(left, ["content-type"]);
    }
}
