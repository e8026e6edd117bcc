//! Links, addresses and routes in namespaces of the tests' own.

use std::os::fd::AsFd;

use super::*;
use crate::network::NetworkNamespace;

const SWITCHED_ON: LinkChange<'static> = LinkChange {
    up: Some(true),
    name: None,
    mac: None,
    mtu: None,
    master: None,
    alias: None,
    namespace: None,
};

/// A namespace with its door.
fn fresh() -> (NetworkNamespace, Route) {
    NetworkNamespace::create_with(|| Ok(Route::open()))
        .map(|(ns, route)| (ns, route.unwrap()))
        .unwrap()
}

fn named(route: &Route, name: &str) -> Link {
    route.link_named(name).unwrap().unwrap()
}

#[test]
fn a_new_namespace_has_loopback_alone_and_is_not_ours() {
    let (namespace, route) = fresh();
    let links = route.links().unwrap();
    let lo = links.iter().find(|link| link.name == "lo").unwrap();
    assert_eq!((lo.index, lo.up), (1, false));
    route
        .set(
            1,
            &LinkChange {
                up: Some(true),
                ..LinkChange::default()
            },
        )
        .unwrap();
    let addresses = route.addresses().unwrap();
    assert!(
        addresses
            .iter()
            .any(|a| a.address.to_string() == "127.0.0.1/8"),
        "{addresses:?}"
    );
    let here = NetworkNamespace::current().unwrap();
    assert_ne!(here.inode().unwrap(), namespace.inode().unwrap());
    let inside = namespace
        .inside(|| NetworkNamespace::current()?.inode())
        .unwrap();
    assert_eq!(inside, namespace.inode().unwrap());
    let panicked = std::panic::catch_unwind(|| {
        namespace.inside(|| -> std::io::Result<()> { panic!("on purpose") })
    });
    assert!(panicked.is_err());
    let back = NetworkNamespace::current().unwrap();
    assert_eq!(back.inode().unwrap(), here.inode().unwrap());
    let of_process = NetworkNamespace::of_process(std::process::id()).unwrap();
    assert_eq!(here.inode().unwrap(), of_process.inode().unwrap());
}

#[test]
fn a_veth_pair_is_made_with_everything_in_one_step() {
    let (_host, host) = fresh();
    let (sandbox, inside) = fresh();
    let up = true;
    host.add_bridge(
        "br0",
        &BridgeOptions {
            up,
            mac: Some([2, 0, 0, 0, 0, 1]),
            mtu: Some(1400),
            multicast_snooping: Some(false),
        },
    )
    .unwrap();
    let bridge = named(&host, "br0");
    assert_eq!(bridge.kind.as_deref(), Some("bridge"));
    assert_eq!(
        (bridge.up, bridge.mtu, bridge.mac),
        (true, 1400, Some([2, 0, 0, 0, 0, 1]))
    );
    let options = VethOptions {
        master: Some(bridge.index),
        mtu: Some(1400),
        up,
        peer_name: "eth0",
        peer_namespace: Some(sandbox.as_fd()),
        peer_mac: Some([2, 66, 172, 17, 0, 2]),
        ..VethOptions::default()
    };
    host.add_veth("veth0", &options).unwrap();
    let ours = named(&host, "veth0");
    assert_eq!(
        (ours.master, ours.up, ours.mtu),
        (Some(bridge.index), true, 1400)
    );
    assert_eq!(ours.kind.as_deref(), Some("veth"));
    inside
        .set(named(&inside, "eth0").index, &SWITCHED_ON)
        .unwrap();
    let theirs = named(&inside, "eth0");
    assert!(theirs.up && theirs.running);
    assert_eq!(theirs.mac, Some([2, 66, 172, 17, 0, 2]));
    let ports = host.ports(bridge.index).unwrap();
    assert!(
        matches!(&ports[..], [port] if port.name == "veth0"),
        "{ports:?}"
    );
    host.remove_link_named("veth0").unwrap();
    assert_eq!(inside.link_named("eth0").unwrap(), None);
    host.remove_link(bridge.index).unwrap();
    assert_eq!(host.link_at(bridge.index).unwrap(), None);
}

#[test]
fn addresses_and_routes_go_in_together_and_carry_packets() {
    let (host_ns, host) = fresh();
    let (sandbox, inside) = fresh();
    let options = VethOptions {
        up: true,
        peer_name: "eth0",
        peer_namespace: Some(sandbox.as_fd()),
        ..VethOptions::default()
    };
    host.add_veth("veth0", &options).unwrap();
    let index = named(&host, "veth0").index;
    let eth0 = named(&inside, "eth0").index;
    let net = |text: &str| text.parse().unwrap();
    host.run(&[
        Request::add_address(index, net("10.9.0.1/24"), false),
        Request::add_address(index, net("fd09::1/64"), true),
    ])
    .unwrap();
    inside
        .run(&[
            Request::set(eth0, &SWITCHED_ON),
            Request::add_address(eth0, net("10.9.0.2/24"), false),
            Request::add_address(eth0, net("fd09::2/64"), true),
            Request::add_route(net("0.0.0.0/0"), Some("10.9.0.1".parse().unwrap()), eth0),
            Request::add_route(net("::/0"), Some("fd09::1".parse().unwrap()), eth0),
            Request::add_route(net("10.77.0.0/16"), None, eth0),
        ])
        .unwrap();
    let addresses = inside.addresses().unwrap();
    let ours: Vec<_> = addresses
        .iter()
        .filter(|a| a.address.to_string() == "fd09::2/64")
        .collect();
    assert!(
        matches!(ours[..], [Address { index, tentative: false, .. }] if *index == eth0),
        "{addresses:?}"
    );
    let routes = inside.routes().unwrap();
    let has = |to: &str, via: Option<&str>| {
        routes.iter().any(|r| {
            r.to == net(to) && r.via == via.map(|via| via.parse().unwrap()) && r.index == Some(eth0)
        })
    };
    assert!(has("0.0.0.0/0", Some("10.9.0.1")), "{routes:?}");
    assert!(has("::/0", Some("fd09::1")), "{routes:?}");
    assert!(
        has("10.77.0.0/16", None) && has("10.9.0.0/24", None),
        "{routes:?}"
    );
    for (at, to) in [("10.9.0.1:0", "10.9.0.2:0"), ("[fd09::1]:0", "[fd09::2]:0")] {
        let listener = sandbox
            .inside(|| std::net::TcpListener::bind(to.replace(":0", ":80")))
            .unwrap();
        let to = listener.local_addr().unwrap();
        let client = host_ns.inside(|| std::net::TcpStream::connect(to)).unwrap();
        assert_eq!(
            client.local_addr().unwrap().ip(),
            at.parse::<std::net::SocketAddr>().unwrap().ip()
        );
    }
    assert!(named(&inside, "eth0").counters.rx_bytes > 0);
    inside
        .remove_route(net("10.77.0.0/16"), None, eth0)
        .unwrap();
    inside.remove_address(eth0, net("10.9.0.2/24")).unwrap();
    assert!(
        !inside
            .routes()
            .unwrap()
            .iter()
            .any(|r| r.to == net("0.0.0.0/0"))
    );
}

#[test]
fn a_failure_names_its_request_and_the_others_are_done() {
    let (_namespace, route) = fresh();
    let net = |text: &str| text.parse().unwrap();
    let failures = route
        .run_all(&[
            Request::add_bridge("br0", &BridgeOptions::default()),
            Request::add_bridge("br0", &BridgeOptions::default()),
            Request::add_route(net("10.0.0.0/8"), Some("192.0.2.1".parse().unwrap()), 1),
            Request::set(
                1,
                &LinkChange {
                    up: Some(true),
                    ..LinkChange::default()
                },
            ),
        ])
        .unwrap();
    assert_eq!(
        failures.iter().map(|(index, _)| *index).collect::<Vec<_>>(),
        [1, 2]
    );
    assert!(failures[0].1.is_present());
    assert_eq!(failures[0].1.to_string(), "add bridge br0");
    assert_eq!(
        failures[1].1.to_string(),
        "add route 10.0.0.0/8 via 192.0.2.1 on link 1 (Nexthop has invalid gateway)"
    );
    assert!(named(&route, "lo").up);
    assert!(route.remove_link(4711).unwrap_err().is_missing());
    assert!(route.link_named("nosuch").unwrap().is_none());
}

#[test]
fn a_link_moves_with_a_new_name_and_address() {
    let (_a, a) = fresh();
    let (b_ns, b) = fresh();
    a.add_veth(
        "one",
        &VethOptions {
            peer_name: "two",
            ..VethOptions::default()
        },
    )
    .unwrap();
    let two = named(&a, "two").index;
    a.set(
        two,
        &LinkChange {
            namespace: Some(b_ns.as_fd()),
            name: Some("eth1"),
            mac: Some([2, 0, 0, 0, 0, 9]),
            mtu: Some(1300),
            up: Some(true),
            master: None,
            alias: None,
        },
    )
    .unwrap();
    let moved = named(&b, "eth1");
    assert_eq!(
        (moved.mac, moved.mtu, moved.up),
        (Some([2, 0, 0, 0, 0, 9]), 1300, true)
    );
    assert!(a.link_named("two").unwrap().is_none());
}

#[test]
fn a_macvlan_is_made_in_another_namespace() {
    let (_host, host) = fresh();
    let (sandbox, inside) = fresh();
    host.add_veth(
        "up0",
        &VethOptions {
            peer_name: "up1",
            up: true,
            ..VethOptions::default()
        },
    )
    .unwrap();
    let parent = named(&host, "up0").index;
    let link = SubLink {
        name: "eth0",
        parent,
        namespace: Some(sandbox.as_fd()),
        mac: Some([2, 0, 0, 0, 0, 7]),
        up: true,
        ..SubLink::default()
    };
    host.add_macvlan(MacvlanMode::Bridge, &link).unwrap();
    let made = named(&inside, "eth0");
    assert_eq!(
        (made.kind.as_deref(), made.mac, made.up),
        (Some("macvlan"), Some([2, 0, 0, 0, 0, 7]), true)
    );
    assert_eq!(made.parent, Some(parent));
}

#[test]
fn an_ipvlan_is_made_in_another_namespace_where_the_kernel_knows_it() {
    let (_host, host) = fresh();
    let (sandbox, inside) = fresh();
    let options = VethOptions {
        peer_name: "up1",
        up: true,
        ..VethOptions::default()
    };
    host.add_veth("up0", &options).unwrap();
    let parent = named(&host, "up0");
    let link = SubLink {
        name: "eth0",
        parent: parent.index,
        namespace: Some(sandbox.as_fd()),
        up: true,
        ..SubLink::default()
    };
    if let Err(error) = host.add_ipvlan(IpvlanMode::L3s, &link) {
        // A module that not every kernel comes with.
        assert_eq!(error.to_string(), "add ipvlan eth0 (Unknown device type)");
        assert_eq!(error.source.raw_os_error(), Some(libc::EOPNOTSUPP));
        return;
    }
    let made = named(&inside, "eth0");
    assert_eq!(
        (made.kind.as_deref(), made.mac, made.up),
        (Some("ipvlan"), parent.mac, true)
    );
}

#[test]
fn a_limit_holds_back_what_a_link_sends() {
    use std::io::{Read, Write};
    let (host_ns, host) = fresh();
    let (sandbox, inside) = fresh();
    let options = VethOptions {
        up: true,
        peer_name: "eth0",
        peer_namespace: Some(sandbox.as_fd()),
        ..VethOptions::default()
    };
    host.add_veth("veth0", &options).unwrap();
    let index = named(&host, "veth0").index;
    let eth0 = named(&inside, "eth0").index;
    let net = |text: &str| text.parse().unwrap();
    host.add_address(index, net("10.9.0.1/24"), true).unwrap();
    inside
        .run(&[
            Request::set(eth0, &SWITCHED_ON),
            Request::add_address(eth0, net("10.9.0.2/24"), true),
        ])
        .unwrap();
    assert_eq!(host.limits().unwrap(), []);
    // 40 Gbit/s do not fit into the old field of 32 bits for bytes.
    host.limit_egress(index, 40_000_000_000).unwrap();
    assert_eq!(
        host.limits().unwrap(),
        [Limit {
            index,
            rate: 40_000_000_000
        }]
    );
    host.limit_egress(index, 20_000_000).unwrap();
    assert_eq!(
        host.limits().unwrap(),
        [Limit {
            index,
            rate: 20_000_000
        }]
    );
    let listener = sandbox
        .inside(|| std::net::TcpListener::bind("10.9.0.2:80"))
        .unwrap();
    let mut sender = host_ns
        .inside(|| std::net::TcpStream::connect("10.9.0.2:80"))
        .unwrap();
    let (mut receiver, _) = listener.accept().unwrap();
    let begin = std::time::Instant::now();
    let reader = std::thread::spawn(move || receiver.read_to_end(&mut Vec::new()).unwrap());
    sender.write_all(&vec![7; 2_500_000]).unwrap();
    drop(sender);
    assert_eq!(reader.join().unwrap(), 2_500_000);
    // A second's worth, but for the burst.
    let took = begin.elapsed().as_secs_f64();
    assert!((0.9..3.0).contains(&took), "{took}");
    host.remove_limit(index).unwrap();
    assert_eq!(host.limits().unwrap(), []);
    assert!(host.remove_limit(index).unwrap_err().is_missing());
}

#[test]
fn a_neighbour_is_known_without_being_asked() {
    let (_host, host) = fresh();
    host.add_veth(
        "veth0",
        &VethOptions {
            up: true,
            peer_name: "veth1",
            ..VethOptions::default()
        },
    )
    .unwrap();
    let index = named(&host, "veth0").index;
    let address = "10.9.0.2".parse().unwrap();
    host.run(&[
        Request::set_neighbour(index, address, [2, 0, 0, 0, 0, 1], true),
        Request::set_neighbour(index, address, [2, 0, 0, 0, 0, 2], false),
        Request::remove_neighbour(index, address),
    ])
    .unwrap();
    assert!(
        host.run(&[Request::remove_neighbour(index, address)])
            .unwrap_err()
            .is_missing()
    );
}

#[test]
fn settings_of_a_link_are_changed_without_files_and_read_from_them() {
    let (namespace, route) = fresh();
    let options = VethOptions {
        peer_name: "veth1",
        ..VethOptions::default()
    };
    route.add_veth("veth0", &options).unwrap();
    route.add_bridge("br0", &BridgeOptions::default()).unwrap();
    let index = named(&route, "veth0").index;
    let master = Some(named(&route, "br0").index);
    let join = LinkChange {
        master,
        ..SWITCHED_ON
    };
    let port = PortChange {
        hairpin: Some(true),
        isolated: Some(true),
    };
    route
        .run(&[
            Request::set(named(&route, "veth1").index, &SWITCHED_ON),
            Request::set_ipv4(index, Ipv4Setting::RouteLocalnet, 1),
            Request::set_ipv4(index, Ipv4Setting::ReversePathFilter, 2),
            Request::set_ipv6_link_local(index, false),
            Request::set(index, &join),
            Request::set_port(index, &port),
        ])
        .unwrap();
    let setting = |path: &str| namespace.inside(|| crate::network::setting(path)).unwrap();
    assert_eq!(setting("ipv4/conf/veth0/route_localnet"), "1");
    assert_eq!(setting("ipv4/conf/veth0/rp_filter"), "2");
    assert_eq!(setting("ipv6/conf/veth0/addr_gen_mode"), "1");
    let set = || crate::network::set("ipv6/conf/veth0/disable_ipv6", "1");
    namespace.inside(set).unwrap();
    assert_eq!(setting("ipv6/conf/veth0/disable_ipv6"), "1");
    let addresses = route.addresses().unwrap();
    assert!(
        !addresses.iter().any(|one| one.index == index),
        "{addresses:?}"
    );
    let mut command = std::process::Command::new("ip");
    command.args(["-d", "link", "show", "veth0"]);
    let shown = namespace.inside(|| command.output()).unwrap().stdout;
    let shown = String::from_utf8(shown).unwrap();
    assert!(
        shown.contains("hairpin on") && shown.contains("isolated on"),
        "{shown}"
    );
}

#[test]
fn answers_of_any_bytes_are_taken_apart_without_a_panic() {
    // A small generator of its own (xorshift64*), so that a failure comes again.
    let mut state = 0x9e37_79b9_7f4a_7c15_u64;
    let mut random = move || {
        state ^= state >> 12;
        state ^= state << 25;
        state ^= state >> 27;
        state.wrapping_mul(0x2545_f491_4f6c_dd1d) >> 32
    };
    for round in 0..20_000 {
        let mut bytes: Vec<u8> = (0..random() % 160).map(|_| random() as u8).collect();
        // Lengths that make sense lead deeper.
        for at in (0..bytes.len().saturating_sub(4)).step_by(4) {
            if random() % 2 == 0 {
                let length = (random() % 64) as u16;
                bytes[at..at + 2].copy_from_slice(&length.to_ne_bytes());
                bytes[at + 2..at + 4].copy_from_slice(&((random() % 32) as u16).to_ne_bytes());
            }
        }
        for message in wire::Messages(&bytes) {
            assert!(message.body.len() < bytes.len(), "round {round}");
        }
        let _ = Link::parse(&bytes);
        let _ = Address::parse(&bytes);
        let _ = Path::parse(&bytes);
        let _ = Limit::parse(&bytes);
        socket::take_apart(&bytes);
        crate::nftables::take_apart(&bytes);
        crate::conntrack::take_apart(&bytes);
    }
}
