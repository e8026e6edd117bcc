//! A host of a test's own: a network namespace in which an engine's networks are made, and what is needed to look at it.

#![allow(
    dead_code,
    unreachable_pub,
    reason = "each test file uses a part of it"
)]

use std::io::{self, Read, Write};
use std::net::{IpAddr, SocketAddr, TcpListener, TcpStream};
use std::process::Command;
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use proa_kernel::netlink::{LinkChange, Route};
use proa_kernel::network::NetworkNamespace;
use proa_networks::{
    BridgeOptions, Driver, Endpoint, EndpointRequest, Fabric, NetworkRequest, Rate, Sandbox,
    Settings,
};

/// Runs a test in a network namespace made for it.
pub fn in_a_host_of_its_own<T: Send + 'static>(test: impl FnOnce() -> T + Send + 'static) -> T {
    let thread = std::thread::spawn(|| {
        proa_kernel::namespace::unshare(proa_kernel::namespace::Namespaces::NET).unwrap();
        up("lo");
        test()
    });
    match thread.join() {
        Ok(value) => value,
        Err(panic) => std::panic::resume_unwind(panic),
    }
}

/// Switches an interface of the caller's namespace on.
pub fn up(name: &str) {
    let route = Route::open().unwrap();
    let link = route.link_named(name).unwrap().unwrap();
    let change = LinkChange {
        up: Some(true),
        ..LinkChange::default()
    };
    route.set(link.index, &change).unwrap();
}

/// The names of the interfaces of the caller's namespace.
pub fn links() -> Vec<String> {
    let links = Route::open().unwrap().links().unwrap();
    links.into_iter().map(|link| link.name).collect()
}

/// Waits until something is so; the kernel takes namespaces down in its own time.
pub fn eventually(what: &str, so: impl Fn() -> bool) {
    let begin = Instant::now();
    while !so() {
        assert!(begin.elapsed() < Duration::from_secs(20), "never: {what}");
        std::thread::sleep(Duration::from_millis(10));
    }
}

/// A fabric with settings that no other test has.
pub fn fabric() -> Fabric {
    Fabric::open(Settings {
        engine: "test".into(),
        prepared: 2,
        ..Settings::default()
    })
    .unwrap()
}

/// 64 digits that begin with these.
pub fn id(begin: &str) -> String {
    format!("{begin:0<64}")
}

/// A bridge network with IPv4.
pub fn network(number: u32) -> NetworkRequest {
    NetworkRequest {
        id: id(&format!("{number:04x}")),
        name: format!("net{number}"),
        driver: Driver::Bridge(BridgeOptions::default()),
        ipv4: true,
        ipv6: false,
        pools: Vec::new(),
        internal: false,
    }
}

/// A request for an endpoint of `owner` in a network.
pub fn endpoint(network: &NetworkRequest, owner: &str) -> EndpointRequest {
    EndpointRequest {
        id: id(&format!("{owner}{}", &network.name)),
        network: network.id.clone(),
        owner: owner.into(),
        interface: None,
        ipv4: None,
        ipv6: None,
        mac: None,
        default_route: true,
        rate: Rate::default(),
    }
}

/// A sandbox attached to one network.
pub fn attached(fabric: &Fabric, network: &NetworkRequest, owner: &str) -> (Sandbox, Endpoint) {
    let sandbox = fabric.sandbox().unwrap();
    let endpoint = fabric.attach(&sandbox, &endpoint(network, owner)).unwrap();
    (sandbox, endpoint)
}

/// The namespace of a sandbox, to do something inside.
pub fn inside(sandbox: &Sandbox) -> NetworkNamespace {
    sandbox.namespace().unwrap()
}

/// A server in a namespace that answers each connection with its peer's address and what it read until the end.
pub fn serve(namespace: &NetworkNamespace, address: &str) -> JoinHandle<()> {
    let listener = namespace.inside(|| TcpListener::bind(address)).unwrap();
    std::thread::spawn(move || {
        for stream in listener.incoming() {
            let Ok(mut stream) = stream else { return };
            let peer = stream.peer_addr().map(|peer| peer.ip()).unwrap();
            let mut text = String::new();
            stream.read_to_string(&mut text).ok();
            write!(stream, "{peer} {text}").ok();
            if text == "end" {
                return;
            }
        }
    })
}

/// Says something to a server from the caller's namespace; what it answers.
pub fn ask(to: SocketAddr, text: &str) -> io::Result<String> {
    let mut stream = TcpStream::connect_timeout(&to, Duration::from_secs(2))?;
    stream.set_read_timeout(Some(Duration::from_secs(5)))?;
    stream.write_all(text.as_bytes())?;
    stream.shutdown(std::net::Shutdown::Write)?;
    let mut answer = String::new();
    stream.read_to_string(&mut answer)?;
    Ok(answer)
}

/// The same from another namespace.
pub fn ask_from(namespace: &NetworkNamespace, to: SocketAddr, text: &str) -> io::Result<String> {
    namespace.inside(|| ask(to, text))
}

/// An endpoint's IPv4 address and a port.
pub fn at(endpoint: &Endpoint, port: u16) -> SocketAddr {
    SocketAddr::new(IpAddr::V4(endpoint.ipv4.unwrap().addr()), port)
}

/// An endpoint's IPv6 address and a port.
pub fn at6(endpoint: &Endpoint, port: u16) -> SocketAddr {
    SocketAddr::new(IpAddr::V6(endpoint.ipv6.unwrap().addr()), port)
}

/// This host's address beyond the uplink.
pub const OUTSIDE_HOST: &str = "192.0.2.1";

/// A namespace beyond an uplink of this host, which knows the way to its networks.
pub fn an_outside() -> NetworkNamespace {
    let world = NetworkNamespace::create().unwrap();
    run("ip link add uplink type veth peer name world");
    let route = proa_kernel::netlink::Route::open().unwrap();
    let peer = route.link_named("world").unwrap().unwrap();
    let change = proa_kernel::netlink::LinkChange {
        namespace: Some(std::os::fd::AsFd::as_fd(&world)),
        ..Default::default()
    };
    route.set(peer.index, &change).unwrap();
    run("ip address add 192.0.2.1/24 dev uplink");
    run("ip address add 2001:db8::1/64 dev uplink nodad");
    run("ip link set uplink up");
    world
        .inside(|| {
            run("ip link set lo up");
            run("ip address add 192.0.2.2/24 dev world");
            run("ip address add 2001:db8::2/64 dev world nodad");
            run("ip link set world up");
            run("ip route add default via 192.0.2.1");
            run("ip -6 route add default via 2001:db8::1");
            Ok(())
        })
        .unwrap();
    world
}

/// What a program says, which must succeed.
pub fn run(line: &str) -> String {
    let mut words = line.split(' ');
    let output = Command::new(words.next().unwrap())
        .args(words)
        .output()
        .unwrap();
    let text = String::from_utf8_lossy(&output.stdout).into_owned()
        + &String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{line}: {text}");
    text
}
