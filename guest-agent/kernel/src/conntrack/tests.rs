//! A published port in namespaces of the test's own: a client, a host that translates, a server behind it.

use std::net::{SocketAddr, TcpListener, TcpStream, UdpSocket};
use std::os::fd::AsFd;
use std::time::Duration;

use super::*;
use crate::netlink::{LinkChange, Request, Route, VethOptions};
use crate::nftables::{
    Base, Batch, Chain, ChainKind, Element, Family, Field, Hook, Nftables, Rule, Set, Table,
    Target, Type, Value, priority,
};

const PROA: Table<'static> = Table {
    family: Family::Inet,
    name: "proa",
};
const PUBLISHED: [Set<'static>; 2] = [
    Set {
        name: "published4",
        key: &[Type::Ipv4, Type::Protocol, Type::Port],
        interval: false,
        data: Some(Target::Values(&[Type::Ipv4, Type::Port])),
    },
    Set {
        name: "published6",
        key: &[Type::Ipv6, Type::Protocol, Type::Port],
        interval: false,
        data: Some(Target::Values(&[Type::Ipv6, Type::Port])),
    },
];

struct Place {
    client: NetworkNamespace,
    host: NetworkNamespace,
    server: NetworkNamespace,
}

impl Place {
    fn build() -> Self {
        let [(client, c), (host, h), (server, s)] = [(); 3].map(|()| {
            let (namespace, route) = NetworkNamespace::create_with(|| Ok(Route::open())).unwrap();
            (namespace, route.unwrap())
        });
        connect(
            &h,
            "uplink",
            &c,
            &client,
            [
                "192.0.2.1/24",
                "192.0.2.2/24",
                "2001:db8::1/64",
                "2001:db8::2/64",
            ],
        );
        connect(
            &h,
            "inner",
            &s,
            &server,
            ["10.9.0.1/24", "10.9.0.2/24", "fd09::1/64", "fd09::2/64"],
        );
        let on = |path: &str| std::fs::write(format!("/proc/sys/net/{path}"), "1");
        host.inside(|| on("ipv4/ip_forward").and(on("ipv6/conf/all/forwarding")))
            .unwrap();
        Place {
            client,
            host,
            server,
        }
    }

    fn door(&self) -> Nftables {
        Nftables::open_in(&self.host).unwrap()
    }
}

fn connect(
    h: &Route,
    name: &str,
    s: &Route,
    inside: &NetworkNamespace,
    [a4, b4, a6, b6]: [&str; 4],
) {
    let options = VethOptions {
        up: true,
        peer_name: "eth0",
        peer_namespace: Some(inside.as_fd()),
        ..VethOptions::default()
    };
    h.add_veth(name, &options).unwrap();
    let index = h.link_named(name).unwrap().unwrap().index;
    let eth0 = s.link_named("eth0").unwrap().unwrap().index;
    let net = |text: &str| text.parse().unwrap();
    let up = LinkChange {
        up: Some(true),
        ..LinkChange::default()
    };
    h.run(&[
        Request::add_address(index, net(a4), true),
        Request::add_address(index, net(a6), true),
    ])
    .unwrap();
    let via = |text: &str| Some(text.split('/').next().unwrap().parse().unwrap());
    s.run(&[
        Request::set(eth0, &up),
        Request::add_address(eth0, net(b4), true),
        Request::add_address(eth0, net(b6), true),
        Request::add_route(net("0.0.0.0/0"), via(a4), eth0),
        Request::add_route(net("::/0"), via(a6), eth0),
    ])
    .unwrap();
}

fn address(text: &str) -> Value {
    Value::Address(text.parse().unwrap())
}

fn element(protocol: u8, at: &str, port: u16, to: &str, inside: u16) -> Element {
    Element::new([address(at), protocol.into(), port.into()]).with([address(to), inside.into()])
}

fn publish(door: &Nftables) {
    let mut batch = Batch::new();
    batch.add_table(PROA);
    let base = Base {
        kind: ChainKind::Nat,
        hook: Hook::Prerouting,
        priority: priority::DSTNAT,
        accept: true,
    };
    batch.add_chain(
        PROA,
        &Chain {
            name: "prerouting",
            base: Some(base),
        },
    );
    for set in &PUBLISHED {
        batch.add_set(PROA, set);
    }
    for (destination, set, family) in [
        (Field::DestinationIpv4, "published4", Family::Ipv4),
        (Field::DestinationIpv6, "published6", Family::Ipv6),
    ] {
        let key = [destination, Field::Protocol, Field::DestinationPort];
        batch.add_rule(
            PROA,
            "prerouting",
            &Rule::new().destination_from(&key, set, family, true),
        );
    }
    batch.add_elements(
        PROA,
        "published4",
        &[
            element(6, "192.0.2.1", 8080, "10.9.0.2", 80),
            element(17, "192.0.2.1", 53, "10.9.0.2", 5353),
        ],
    );
    batch.add_elements(
        PROA,
        "published6",
        &[element(6, "2001:db8::1", 8080, "fd09::2", 80)],
    );
    door.commit(&batch).unwrap();
}

#[test]
fn a_map_leads_connections_to_an_address_and_a_port() {
    let place = Place::build();
    publish(&place.door());
    for (listen, published) in [
        ("10.9.0.2:80", "192.0.2.1:8080"),
        ("[fd09::2]:80", "[2001:db8::1]:8080"),
    ] {
        let listener = place.server.inside(|| TcpListener::bind(listen)).unwrap();
        let to: SocketAddr = published.parse().unwrap();
        let stream = place
            .client
            .inside(|| TcpStream::connect_timeout(&to, Duration::from_secs(10)))
            .unwrap();
        let (_, from) = listener.accept().unwrap();
        assert_eq!(from, stream.local_addr().unwrap());
    }
    let conntrack = Conntrack::open_in(&place.host).unwrap();
    let flows = conntrack
        .flows(&Flows::to(6, "2001:db8::1".parse().unwrap(), 8080))
        .unwrap();
    assert_eq!(flows.len(), 1, "{flows:?}");
    assert_eq!(flows[0].answered_by.to_string(), "fd09::2");
}

#[test]
fn a_flow_is_forgotten_when_its_port_goes() {
    let place = Place::build();
    let door = place.door();
    publish(&door);
    let first = place
        .server
        .inside(|| UdpSocket::bind("10.9.0.2:5353"))
        .unwrap();
    let second = place
        .server
        .inside(|| UdpSocket::bind("10.9.0.2:5354"))
        .unwrap();
    let client = place
        .client
        .inside(|| UdpSocket::bind("0.0.0.0:0"))
        .unwrap();
    let wait = Some(Duration::from_secs(10));
    for socket in [&first, &second] {
        socket.set_read_timeout(wait).unwrap();
    }
    let receive = |socket: &UdpSocket| socket.recv(&mut [0; 16]).unwrap();
    let send = || client.send_to(b"hello", "192.0.2.1:53").unwrap();
    send();
    assert_eq!(receive(&first), 5);
    let mut batch = Batch::new();
    batch.delete_elements(
        PROA,
        "published4",
        &[element(17, "192.0.2.1", 53, "10.9.0.2", 5353)],
    );
    batch.add_elements(
        PROA,
        "published4",
        &[element(17, "192.0.2.1", 53, "10.9.0.2", 5354)],
    );
    door.commit(&batch).unwrap();
    // The old way still holds for those who talked before, which is why entries have to be forgotten.
    send();
    assert_eq!(receive(&first), 5);
    let conntrack = Conntrack::open_in(&place.host).unwrap();
    let any = "0.0.0.0".parse().unwrap();
    assert_eq!(conntrack.forget(&Flows::to(17, any, 54)).unwrap(), 0);
    assert_eq!(conntrack.forget(&Flows::to(6, any, 53)).unwrap(), 0);
    assert_eq!(
        conntrack
            .flows(&Flows::answered_by("10.9.0.2".parse().unwrap()))
            .unwrap()
            .len(),
        1
    );
    assert_eq!(
        conntrack
            .flows(&Flows::from("192.0.2.2".parse().unwrap()))
            .unwrap()
            .len(),
        1
    );
    assert_eq!(
        conntrack
            .flows(&Flows::from("192.0.2.3".parse().unwrap()))
            .unwrap()
            .len(),
        0
    );
    assert_eq!(conntrack.flows(&Flows::of(false)).unwrap().len(), 1);
    assert_eq!(
        conntrack
            .forget(&Flows::to(17, "192.0.2.1".parse().unwrap(), 53))
            .unwrap(),
        1
    );
    send();
    assert_eq!(receive(&second), 5);
}
