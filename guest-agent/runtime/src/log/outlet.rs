//! A connection to a log server: messages wait in a bounded queue, nothing blocks, a lost connection is made again.

use std::collections::VecDeque;
use std::io;
use std::net::{SocketAddr, TcpStream};
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::os::unix::net::{UnixDatagram, UnixStream};
use std::time::{Duration, Instant};

use rustix::event::PollFlags;
use rustix::io::Errno;
use rustix::net::{AddressFamily, SendFlags, SocketFlags, SocketType};

use super::sink::Endpoint;

/// How long the first connection may take: the container waits for it.
const PATIENCE: Duration = Duration::from_secs(10);
/// Between two attempts to connect again.
const PAUSE: Duration = Duration::from_secs(1);

/// Messages on their way to one server.
pub(crate) struct Outlet {
    endpoint: Endpoint,
    link: Link,
    queue: VecDeque<Box<[u8]>>,
    queued: u64,
    /// How much of the first message was sent.
    sent: usize,
    limit: u64,
    /// Whether new messages are dropped when the queue is full; if not, the caller looks at `is_full`.
    drops: bool,
}

enum Link {
    Down { retry: Instant },
    Connecting(OwnedFd),
    Up(OwnedFd),
}

impl Outlet {
    /// Connects. With `lazy` a server that does not answer is tried again later.
    pub(crate) fn open(
        endpoint: Endpoint,
        limit: u64,
        drops: bool,
        lazy: bool,
    ) -> io::Result<Outlet> {
        let link = match connect(&endpoint) {
            Ok(socket) => Link::Up(socket),
            Err(_) if lazy => Link::Down {
                retry: Instant::now() + PAUSE,
            },
            Err(error) => return Err(error),
        };
        Ok(Outlet {
            endpoint,
            link,
            queue: VecDeque::new(),
            queued: 0,
            sent: 0,
            limit,
            drops,
        })
    }

    /// Takes a message. One that has no room is dropped, or queued nevertheless: what was read already is not lost.
    pub(crate) fn push(&mut self, message: Vec<u8>) {
        if self.drops && self.is_full() {
            return;
        }
        self.queued += message.len() as u64;
        self.queue.push_back(message.into());
        self.send();
    }

    /// Whether the queue has reached its limit.
    pub(crate) fn is_full(&self) -> bool {
        self.queued >= self.limit
    }

    /// Whether a caller that waits rather than loses must wait.
    pub(crate) fn is_blocking(&self) -> bool {
        !self.drops && self.is_full()
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.queue.is_empty()
    }

    /// What to wait for.
    pub(crate) fn watch(&self) -> Option<(BorrowedFd<'_>, PollFlags)> {
        match &self.link {
            Link::Up(socket) | Link::Connecting(socket) if !self.is_idle() => {
                Some((socket.as_fd(), PollFlags::OUT))
            }
            Link::Down { .. } | Link::Connecting(_) | Link::Up(_) => None,
        }
    }

    /// Connected, with nothing to send.
    fn is_idle(&self) -> bool {
        matches!(self.link, Link::Up(_)) && self.queue.is_empty()
    }

    /// When [`Outlet::advance`] has something to do without a descriptor being ready.
    pub(crate) fn wake(&self) -> Option<Instant> {
        match &self.link {
            Link::Down { retry } if !self.queue.is_empty() => Some(*retry),
            Link::Down { .. } | Link::Connecting(_) | Link::Up(_) => None,
        }
    }

    /// Goes on connecting or sending, as far as it goes.
    pub(crate) fn advance(&mut self) {
        match &self.link {
            Link::Down { retry } if *retry <= Instant::now() && !self.queue.is_empty() => {
                self.link = match begin_to_connect(&self.endpoint) {
                    Ok(link) => link,
                    Err(_) => down(),
                };
            }
            Link::Connecting(socket) => match rustix::net::sockopt::socket_error(socket) {
                Ok(Ok(())) => self.is_up(),
                Ok(Err(_)) | Err(_) => self.link = down(),
            },
            Link::Down { .. } | Link::Up(_) => {}
        }
        self.send();
    }

    fn is_up(&mut self) {
        // A message that was cut off is sent again from its beginning.
        self.sent = 0;
        self.link = match std::mem::replace(&mut self.link, down()) {
            Link::Connecting(socket) | Link::Up(socket) => Link::Up(socket),
            Link::Down { retry } => Link::Down { retry },
        };
    }

    fn send(&mut self) {
        let flags = SendFlags::NOSIGNAL | SendFlags::DONTWAIT;
        while let (Link::Up(socket), Some(message)) = (&self.link, self.queue.front()) {
            let length = message.len();
            match rustix::net::send(socket, &message[self.sent..], flags) {
                Ok(sent) if self.sent + sent < length => self.sent += sent,
                // A datagram that is too long, or for which nobody listens, is lost.
                Ok(_) | Err(Errno::MSGSIZE | Errno::CONNREFUSED) => self.drop_first(),
                Err(Errno::AGAIN | Errno::NOBUFS) => return,
                Err(Errno::INTR) => {}
                Err(_) => {
                    self.link = down();
                    self.sent = 0;
                }
            }
        }
    }

    fn drop_first(&mut self) {
        self.sent = 0;
        if let Some(message) = self.queue.pop_front() {
            self.queued -= message.len() as u64;
        }
    }
}

fn down() -> Link {
    Link::Down {
        retry: Instant::now() + PAUSE,
    }
}

/// Waits for the connection.
fn connect(endpoint: &Endpoint) -> io::Result<OwnedFd> {
    let socket: OwnedFd = match endpoint {
        Endpoint::Unix(path) => UnixStream::connect(path)?.into(),
        Endpoint::UnixDatagram(path) => {
            let socket = UnixDatagram::unbound()?;
            socket.connect(path)?;
            socket.into()
        }
        Endpoint::Tcp(address) => TcpStream::connect_timeout(address, PATIENCE)?.into(),
        Endpoint::Udp(address) => connected_datagram(address)?,
    };
    rustix::io::ioctl_fionbio(&socket, true)?;
    Ok(socket)
}

/// Does not wait.
fn begin_to_connect(endpoint: &Endpoint) -> io::Result<Link> {
    let Endpoint::Tcp(address) = endpoint else {
        // These are there at once or not at all.
        return connect(endpoint).map(Link::Up);
    };
    let flags = SocketFlags::CLOEXEC | SocketFlags::NONBLOCK;
    let socket = rustix::net::socket_with(family(address), SocketType::STREAM, flags, None)?;
    match rustix::net::connect(&socket, address) {
        Ok(()) => Ok(Link::Up(socket)),
        Err(Errno::INPROGRESS) => Ok(Link::Connecting(socket)),
        Err(errno) => Err(errno.into()),
    }
}

fn connected_datagram(address: &SocketAddr) -> io::Result<OwnedFd> {
    let socket = rustix::net::socket_with(
        family(address),
        SocketType::DGRAM,
        SocketFlags::CLOEXEC,
        None,
    )?;
    rustix::net::connect(&socket, address)?;
    Ok(socket)
}

fn family(address: &SocketAddr) -> AddressFamily {
    if address.is_ipv4() {
        AddressFamily::INET
    } else {
        AddressFamily::INET6
    }
}

#[cfg(test)]
mod tests {
    use std::io::Read;
    use std::net::TcpListener;

    use super::*;

    fn settle(outlet: &mut Outlet, mut until: impl FnMut(&Outlet) -> bool) {
        let deadline = Instant::now() + Duration::from_secs(10);
        while !until(outlet) {
            assert!(Instant::now() < deadline);
            outlet.advance();
            std::thread::sleep(Duration::from_millis(5));
        }
    }

    #[test]
    fn messages_wait_for_a_server_that_comes_back() {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap();
        let mut outlet = Outlet::open(Endpoint::Tcp(address), 1000, false, false).unwrap();
        let (mut first, _) = listener.accept().unwrap();
        outlet.push(b"one ".to_vec());
        let mut text = [0; 4];
        first.read_exact(&mut text).unwrap();
        assert_eq!(&text, b"one ");
        drop((first, listener));
        // The first message after a hang-up may still go into the void, as over any connection.
        outlet.push(b"lost ".to_vec());
        settle(&mut outlet, |outlet| {
            matches!(outlet.link, Link::Down { .. }) || outlet.is_empty()
        });
        outlet.push(b"two ".to_vec());
        outlet.push(b"three".to_vec());
        let listener = TcpListener::bind(address).unwrap();
        settle(&mut outlet, Outlet::is_empty);
        let mut text = String::new();
        let (mut second, _) = listener.accept().unwrap();
        drop(outlet);
        second.read_to_string(&mut text).unwrap();
        assert!(text.ends_with("two three"), "{text}");
    }

    #[test]
    fn a_full_queue_blocks_or_drops() {
        let nowhere = Endpoint::Unix("/nonexistent/socket".into());
        assert!(Outlet::open(nowhere.clone(), 10, true, false).is_err());
        for drops in [true, false] {
            let mut outlet = Outlet::open(nowhere.clone(), 10, drops, true).unwrap();
            for _ in 0..5 {
                outlet.push(b"12345".to_vec());
            }
            assert_eq!(outlet.queue.len(), if drops { 2 } else { 5 });
            assert_eq!(outlet.is_blocking(), !drops);
        }
    }
}
