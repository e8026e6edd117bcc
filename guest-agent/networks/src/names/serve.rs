//! Answering at a container's sockets.

use std::io;
use std::net::{IpAddr, SocketAddr};
use std::sync::{Arc, PoisonError, RwLock};
use std::time::Duration;

use hickory_proto::op::ResponseCode;
use proa_kernel::network::NetworkNamespace;
use tokio::net::{TcpListener, TcpStream, UdpSocket};
use tokio::sync::{Mutex, Semaphore};
use tokio::task::{JoinHandle, JoinSet};
use tokio::time::{sleep, timeout};

use super::forward::{Health, Servers, ask, read_framed, write_framed};
use super::message::{Forward, LARGEST_REQUEST, failure};
use super::{ADDRESS, Answer, Client, Names, Sockets, Transport, Upstreams, answer};

/// Questions of one container that may be on their way to servers at one time.
const MOST_FORWARDS: usize = 256;
/// Streams of one container that are served at one time; further ones wait to be accepted.
const MOST_STREAMS: usize = 64;
/// Questions of one stream that are worked on at one time; further ones wait to be read.
const MOST_QUESTIONS: usize = 32;
/// How long a stream may be silent (RFC 7766, 6.2.3).
const IDLE: Duration = Duration::from_secs(10);
/// How long to wait where the kernel has no memory or descriptors for us.
const RECOVERY: Duration = Duration::from_millis(100);

/// What answers one container's questions, until it is dropped.
#[derive(Debug)]
pub struct Server {
    service: Arc<Service>,
    task: JoinHandle<()>,
}

#[derive(Debug)]
struct Service {
    client: RwLock<Arc<Client>>,
    names: Arc<Names>,
    upstreams: Arc<Upstreams>,
    /// Where the client's own servers are asked from.
    inside: Arc<NetworkNamespace>,
    health: Health,
    slots: Semaphore,
}

/// Answers at these sockets. Must be called in a tokio runtime.
pub fn serve(
    sockets: Sockets,
    client: Client,
    names: Arc<Names>,
    upstreams: Arc<Upstreams>,
) -> io::Result<Server> {
    let service = Arc::new(Service {
        client: RwLock::new(Arc::new(client)),
        names,
        upstreams,
        inside: Arc::new(sockets.namespace()?),
        health: Health::default(),
        slots: Semaphore::new(MOST_FORWARDS),
    });
    let (udp, tcp) = sockets.into_tokio()?;
    let task = tokio::spawn(service.clone().run(Arc::new(udp), tcp));
    Ok(Server { service, task })
}

impl Server {
    /// Answers from now on as this client sees the names: its container joined a network, or left one.
    pub fn change(&self, client: Client) {
        *self
            .service
            .client
            .write()
            .unwrap_or_else(PoisonError::into_inner) = Arc::new(client);
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        self.task.abort();
    }
}

impl Service {
    /// Everything that this starts ends with it.
    async fn run(self: Arc<Self>, udp: Arc<UdpSocket>, tcp: TcpListener) {
        let mut packets = JoinSet::new();
        let mut streams = JoinSet::new();
        // One byte more than may be: what fills it is too long.
        let mut buffer = vec![0; LARGEST_REQUEST + 1];
        loop {
            tokio::select! {
                received = udp.recv_from(&mut buffer) => match received {
                    Ok((length, from)) => {
                        self.packet(&udp, &buffer[..length], from, &mut packets);
                    }
                    Err(_) => sleep(RECOVERY).await,
                },
                accepted = tcp.accept(), if streams.len() < MOST_STREAMS => match accepted {
                    Ok((stream, _)) => {
                        streams.spawn(self.clone().stream(stream));
                    }
                    Err(_) => sleep(RECOVERY).await,
                },
                Some(_) = packets.join_next() => {}
                Some(_) = streams.join_next() => {}
            }
        }
    }

    fn packet(
        self: &Arc<Self>,
        udp: &Arc<UdpSocket>,
        request: &[u8],
        from: SocketAddr,
        packets: &mut JoinSet<()>,
    ) {
        match self.decide(request, Transport::Udp) {
            // A client that does not make room for its replies asks again.
            Answer::Reply(reply) => drop(udp.try_send_to(&reply, from)),
            Answer::Forward(forward) => {
                let (service, udp) = (self.clone(), udp.clone());
                packets.spawn(async move {
                    let reply = service.forward(&forward, Transport::Udp).await;
                    drop(udp.send_to(&reply, from).await);
                });
            }
            Answer::Nothing => {}
        }
    }

    fn client(&self) -> Arc<Client> {
        self.client
            .read()
            .unwrap_or_else(PoisonError::into_inner)
            .clone()
    }

    fn decide(&self, request: &[u8], transport: Transport) -> Answer {
        let client = self.client();
        answer(request, transport, &client, &self.names, rand::random())
    }

    async fn forward(&self, forward: &Forward, transport: Transport) -> Vec<u8> {
        let failed = || failure(forward, ResponseCode::ServFail);
        // Who asks too much is told so at once, rather than made to wait for what it would ask again meanwhile.
        let Ok(_slot) = self.slots.try_acquire() else {
            return failed();
        };
        let Ok(_shared) = self.upstreams.slots.try_acquire() else {
            return failed();
        };
        let client = self.client();
        let servers = if client.servers.is_empty() {
            Servers {
                addresses: self.upstreams.servers(),
                inside: None,
                health: &self.upstreams.health,
            }
        } else {
            Servers {
                addresses: elsewhere(&client.servers),
                inside: Some(self.inside.clone()),
                health: &self.health,
            }
        };
        ask(forward, transport, servers)
            .await
            .unwrap_or_else(failed)
    }

    /// Serves one stream until the client closes it or is silent.
    async fn stream(self: Arc<Self>, stream: TcpStream) {
        let (mut from, to) = stream.into_split();
        let to = Arc::new(Mutex::new(to));
        let slots = Arc::new(Semaphore::new(MOST_QUESTIONS));
        let mut questions = JoinSet::new();
        loop {
            let Ok(slot) = slots.clone().acquire_owned().await else {
                break;
            };
            let read = timeout(IDLE, read_framed(&mut from, LARGEST_REQUEST)).await;
            let Ok(Ok(Some(request))) = read else {
                break;
            };
            while questions.try_join_next().is_some() {}
            let (service, to) = (self.clone(), to.clone());
            questions.spawn(async move {
                let reply = match service.decide(&request, Transport::Tcp) {
                    Answer::Reply(reply) => reply,
                    Answer::Forward(forward) => service.forward(&forward, Transport::Tcp).await,
                    Answer::Nothing => return,
                };
                let _slot = slot;
                let mut to = to.lock().await;
                drop(timeout(IDLE, write_framed(&mut *to, &reply)).await);
            });
        }
        // A client may close its sending side and wait for the answers.
        while questions.join_next().await.is_some() {}
    }
}

/// The servers without this one, which would ask itself without end.
fn elsewhere(servers: &[SocketAddr]) -> Vec<SocketAddr> {
    let itself = |server: &&SocketAddr| server.ip() != IpAddr::V4(ADDRESS);
    servers.iter().filter(itself).copied().collect()
}
