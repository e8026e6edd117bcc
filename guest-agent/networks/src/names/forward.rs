//! Asking elsewhere: one question to several servers, until one of them answers it.

use std::collections::HashMap;
use std::io;
use std::net::SocketAddr;
use std::os::fd::OwnedFd;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use hickory_proto::op::{Metadata, ResponseCode};
use proa_kernel::network::NetworkNamespace;
use rustix::net::{AddressFamily, SocketFlags, SocketType, socket_with};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpSocket, UdpSocket};
use tokio::task::JoinSet;
use tokio::time::{sleep, timeout};

use super::Transport;
use super::message::{Forward, check_reply, fit_bytes, id, set_id};

/// How long one server is waited for before the next is asked as well.
const PACE: Duration = Duration::from_secs(2);
/// How long all of it may take: the C libraries give up after five seconds.
const PATIENCE: Duration = Duration::from_millis(4700);
/// How often a server may be asked: packets get lost.
const ROUNDS: usize = 2;
/// How long a server that did not answer is asked after the others.
const PENANCE: Duration = Duration::from_secs(30);
/// The largest message.
const LARGEST: usize = u16::MAX as usize;

/// Which servers do not answer lately. With the first of three switched off, every look-up would take seconds more.
#[derive(Debug, Default)]
pub(super) struct Health(Mutex<HashMap<SocketAddr, Silence>>);

/// What one server left unanswered in a row, and when it did so last.
#[derive(Clone, Copy, Debug)]
struct Silence {
    questions: u32,
    last: Instant,
}

impl Silence {
    /// One question alone may be about a domain that is broken; the order of servers means something, as where the first
    /// is a company's own and the second is not.
    fn holds(self) -> bool {
        self.questions >= 3 && self.last.elapsed() < PENANCE
    }
}

impl Health {
    /// The servers, those first that may be expected to answer.
    fn order(&self, servers: &[SocketAddr]) -> Vec<SocketAddr> {
        let silent = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let mut servers = servers.to_vec();
        servers.sort_by_key(|server| silent.get(server).is_some_and(|silence| silence.holds()));
        servers
    }

    fn answered(&self, server: SocketAddr) {
        let mut silent = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        silent.remove(&server);
    }

    fn silent(&self, server: SocketAddr) {
        let mut silent = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        silent.retain(|_, silence| silence.last.elapsed() < PENANCE);
        let questions = silent.get(&server).map_or(0, |silence| silence.questions);
        let now = Silence {
            questions: questions + 1,
            last: Instant::now(),
        };
        silent.insert(server, now);
    }
}

/// Whom to ask, and from where.
#[derive(Debug)]
pub(super) struct Servers<'a> {
    pub(super) addresses: Vec<SocketAddr>,
    /// Here if none.
    pub(super) inside: Option<Arc<NetworkNamespace>>,
    pub(super) health: &'a Health,
}

/// The reply with the client's id, and no longer than the client takes; none if nobody gave one.
pub(super) async fn ask(
    forward: &Forward,
    transport: Transport,
    servers: Servers<'_>,
) -> Option<Vec<u8>> {
    let mut refusal = None;
    let found = timeout(PATIENCE, rounds(forward, transport, &servers, &mut refusal)).await;
    let mut reply = found.ok().flatten().or(refusal)?;
    set_id(&mut reply, id(&forward.bytes));
    Some(fit_bytes(reply, forward.limit))
}

/// Asks one server after the other, each a little after the one before unless that one has failed already. A refusal is
/// kept for the case that nobody says better.
async fn rounds(
    forward: &Forward,
    transport: Transport,
    servers: &Servers<'_>,
    refusal: &mut Option<Vec<u8>>,
) -> Option<Vec<u8>> {
    let order = servers.health.order(&servers.addresses);
    let mut turns = order.iter().copied().cycle().take(order.len() * ROUNDS);
    let mut refused = Vec::new();
    let mut asked = JoinSet::new();
    loop {
        let next = turns.by_ref().find(|server| !refused.contains(server));
        if let Some(server) = next {
            let question = Exchange {
                forward: forward.clone(),
                server,
                inside: servers.inside.clone(),
            };
            asked.spawn(async move { (server, question.run(transport).await) });
        } else if asked.is_empty() {
            return None;
        }
        tokio::select! {
            Some(ended) = asked.join_next() => match ended {
                Ok((server, Ok((said, reply)))) => {
                    servers.health.answered(server);
                    if !is_refusal(said.response_code) {
                        return Some(reply);
                    }
                    refused.push(server);
                    refusal.get_or_insert(reply);
                }
                Ok((server, Err(error))) => {
                    tracing::debug!(%server, %error, "a resolver did not answer");
                    servers.health.silent(server);
                }
                Err(_) => {}
            },
            () = sleep(PACE), if next.is_some() => {
                if let Some(server) = next {
                    servers.health.silent(server);
                }
            }
        }
    }
}

/// Codes that say more about the server than about the name.
fn is_refusal(code: ResponseCode) -> bool {
    matches!(
        code,
        ResponseCode::ServFail
            | ResponseCode::Refused
            | ResponseCode::NotImp
            | ResponseCode::FormErr
    )
}

/// One question to one server.
struct Exchange {
    forward: Forward,
    server: SocketAddr,
    inside: Option<Arc<NetworkNamespace>>,
}

impl Exchange {
    async fn run(self, transport: Transport) -> io::Result<(Metadata, Vec<u8>)> {
        if transport == Transport::Tcp {
            return self.over_tcp().await;
        }
        let (said, reply) = self.over_udp().await?;
        if !said.truncation {
            return Ok((said, reply));
        }
        // Old C libraries never ask over TCP: they get what fits of the whole rather than what the server chose to cut.
        Ok(self.over_tcp().await.unwrap_or((said, reply)))
    }

    /// The request under an id that nobody can guess, and so from a port that the kernel chose: who forges replies has to
    /// hit both (RFC 5452).
    fn request(&self) -> (u16, Vec<u8>) {
        let id = rand::random();
        let mut bytes = self.forward.bytes.clone();
        set_id(&mut bytes, id);
        (id, bytes)
    }

    async fn over_udp(&self) -> io::Result<(Metadata, Vec<u8>)> {
        let socket = self.socket(SocketType::DGRAM).await?;
        let socket = UdpSocket::from_std(socket.into())?;
        // From here on the kernel drops what others send.
        socket.connect(self.server).await?;
        let (id, request) = self.request();
        socket.send(&request).await?;
        let mut reply = vec![0; LARGEST];
        loop {
            let length = socket.recv(&mut reply).await?;
            // A wrong one may be forged: the right one may still come.
            if let Some(said) = check_reply(&reply[..length], id, &self.forward.query) {
                reply.truncate(length);
                return Ok((said, reply));
            }
        }
    }

    async fn over_tcp(&self) -> io::Result<(Metadata, Vec<u8>)> {
        let socket = self.socket(SocketType::STREAM).await?;
        let socket = TcpSocket::from_std_stream(socket.into());
        let mut stream = socket.connect(self.server).await?;
        let (id, request) = self.request();
        write_framed(&mut stream, &request).await?;
        let reply = read_framed(&mut stream, LARGEST).await?;
        let reply = reply.ok_or(io::ErrorKind::UnexpectedEof)?;
        let said = check_reply(&reply, id, &self.forward.query);
        let said = said.ok_or_else(|| io::Error::other("the reply is not to the question"))?;
        Ok((said, reply))
    }

    async fn socket(&self, kind: SocketType) -> io::Result<OwnedFd> {
        let family = match self.server {
            SocketAddr::V4(_) => AddressFamily::INET,
            SocketAddr::V6(_) => AddressFamily::INET6,
        };
        let flags = SocketFlags::CLOEXEC | SocketFlags::NONBLOCK;
        let make = move || socket_with(family, kind, flags, None).map_err(io::Error::from);
        let Some(inside) = self.inside.clone() else {
            return make();
        };
        tokio::task::spawn_blocking(move || inside.inside(make))
            .await
            .map_err(io::Error::other)?
    }
}

/// One message with its length in front (RFC 1035, 4.2.2), in one write: some servers want both in one segment.
pub(super) async fn write_framed(
    stream: &mut (impl tokio::io::AsyncWrite + Unpin),
    message: &[u8],
) -> io::Result<()> {
    let length = u16::try_from(message.len()).map_err(io::Error::other)?;
    let mut framed = length.to_be_bytes().to_vec();
    framed.extend_from_slice(message);
    stream.write_all(&framed).await
}

/// The next message; none at the end of the stream. One that is longer than `limit` is an error.
pub(super) async fn read_framed(
    stream: &mut (impl tokio::io::AsyncRead + Unpin),
    limit: usize,
) -> io::Result<Option<Vec<u8>>> {
    let mut length = [0; 2];
    if stream.read(&mut length[..1]).await? == 0 {
        return Ok(None);
    }
    stream.read_exact(&mut length[1..]).await?;
    let length = usize::from(u16::from_be_bytes(length));
    if length > limit {
        return Err(io::Error::other("the message is too long"));
    }
    let mut message = vec![0; length];
    stream.read_exact(&mut message).await?;
    Ok(Some(message))
}
