//! A resolver that behaves as badly as the name it is asked for says. Answers are put together by hand, so that no decoder
//! is shared with what is tested.

use std::io::{self, Read, Write};
use std::net::{IpAddr, Ipv4Addr, SocketAddr, TcpListener, TcpStream, UdpSocket};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::JoinHandle;
use std::time::Duration;

/// Ends when dropped.
pub(crate) struct Fake {
    stop: Arc<AtomicBool>,
    threads: Vec<JoinHandle<()>>,
}

const TRUNCATED: u16 = 0x0200;
const SERVFAIL: u16 = 2;

impl Fake {
    /// In the calling thread's namespace; `answer` is what names there have for an address.
    pub(crate) fn start(at: &str, answer: &str) -> Self {
        let at: SocketAddr = at.parse().expect("an address");
        let answer: Ipv4Addr = answer.parse().expect("an address");
        // The first of several is the one that misbehaves.
        let first = at.ip() == IpAddr::V4(Ipv4Addr::LOCALHOST);
        let udp = UdpSocket::bind(at).expect("the port is free");
        let tcp = TcpListener::bind(at).expect("the port is free");
        let pause = Some(Duration::from_millis(50));
        udp.set_read_timeout(pause).expect("a timeout");
        tcp.set_nonblocking(true).expect("it does not block");
        let stop = Arc::new(AtomicBool::new(false));
        let (stop_udp, stop_tcp) = (stop.clone(), stop.clone());
        let packets = std::thread::spawn(move || {
            let mut bytes = [0; 4096];
            while !stop_udp.load(Ordering::Relaxed) {
                if let Ok((length, from)) = udp.recv_from(&mut bytes) {
                    for reply in replies(&bytes[..length], answer, first) {
                        drop(udp.send_to(&reply, from));
                    }
                }
            }
        });
        let streams = std::thread::spawn(move || {
            while !stop_tcp.load(Ordering::Relaxed) {
                match tcp.accept() {
                    Ok((stream, _)) => drop(over_tcp(stream, answer)),
                    Err(_) => std::thread::sleep(Duration::from_millis(10)),
                }
            }
        });
        Fake {
            stop,
            threads: vec![packets, streams],
        }
    }
}

impl Drop for Fake {
    fn drop(&mut self) {
        self.stop.store(true, Ordering::Relaxed);
        for thread in self.threads.drain(..) {
            drop(thread.join());
        }
    }
}

fn over_tcp(mut stream: TcpStream, answer: Ipv4Addr) -> io::Result<()> {
    stream.set_nonblocking(false)?;
    stream.set_read_timeout(Some(Duration::from_secs(1)))?;
    let mut length = [0; 2];
    stream.read_exact(&mut length)?;
    let mut request = vec![0; usize::from(u16::from_be_bytes(length))];
    stream.read_exact(&mut request)?;
    let count = if name(&request).0.starts_with("big.") {
        100
    } else {
        1
    };
    let reply = reply(&request, 0, &addresses(answer, count));
    stream.write_all(&(reply.len() as u16).to_be_bytes())?;
    stream.write_all(&reply)
}

fn replies(request: &[u8], answer: Ipv4Addr, first: bool) -> Vec<Vec<u8>> {
    let (name, _) = name(request);
    let good = || reply(request, 0, &addresses(answer, 1));
    let for_all = name.contains(".all.");
    match name.split('.').next() {
        Some("silent") if first || for_all => vec![],
        Some("refused") if first || for_all => vec![reply(request, SERVFAIL, &[])],
        Some("big") => vec![reply(request, TRUNCATED, &[])],
        Some("lies") => {
            let evil = || reply(request, 0, &addresses(Ipv4Addr::new(198, 51, 100, 6), 1));
            let (mut other_id, mut other_name) = (evil(), evil());
            other_id[1] ^= 1;
            other_name[13] ^= 1;
            vec![other_id, other_name, vec![0; 3], good()]
        }
        Some("id") => {
            let text = format!("{:02x}{:02x}", request[0], request[1]);
            let data = [&[text.len() as u8], text.as_bytes()].concat();
            vec![reply(request, 0, &[(16, data)])]
        }
        _ => vec![good()],
    }
}

fn addresses(answer: Ipv4Addr, count: u8) -> Vec<(u16, Vec<u8>)> {
    let [a, b, c, d] = answer.octets();
    (0..count)
        .map(|more| (1, vec![a, b, c, d + more]))
        .collect()
}

/// The name that is asked for, and where the question ends.
fn name(request: &[u8]) -> (String, usize) {
    let mut labels = Vec::new();
    let mut at = 12;
    while request[at] != 0 {
        let end = at + 1 + usize::from(request[at]);
        labels.push(String::from_utf8_lossy(&request[at + 1..end]).into_owned());
        at = end;
    }
    (labels.join("."), at + 5)
}

/// A reply with these records (their type and data) and, if the request has more than a question, an OPT record.
fn reply(request: &[u8], flags: u16, records: &[(u16, Vec<u8>)]) -> Vec<u8> {
    let (_, end) = name(request);
    let additional = u8::from(request[11] > 0);
    let mut reply = request[..2].to_vec();
    reply.extend((0x8180 | flags).to_be_bytes());
    reply.extend([0, 1, 0, records.len() as u8, 0, 0, 0, additional]);
    reply.extend(&request[12..end]);
    for (kind, data) in records {
        reply.extend([0xc0, 12]);
        reply.extend(kind.to_be_bytes());
        reply.extend([0, 1, 0, 0, 0, 60]);
        reply.extend((data.len() as u16).to_be_bytes());
        reply.extend(data);
    }
    if additional > 0 {
        reply.extend([0, 0, 41, 0x04, 0xd0, 0, 0, 0, 0, 0, 0]);
    }
    reply
}

/// A question for the address of a name.
pub(crate) fn question(id: u16, name: &str) -> Vec<u8> {
    let mut bytes = id.to_be_bytes().to_vec();
    bytes.extend([1, 0, 0, 1, 0, 0, 0, 0, 0, 0]);
    for label in name.split('.') {
        bytes.push(label.len() as u8);
        bytes.extend(label.as_bytes());
    }
    bytes.extend([0, 0, 1, 0, 1]);
    bytes
}
