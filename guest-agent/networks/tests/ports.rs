//! Published ports and the firewall on a real kernel, with a namespace that plays the world outside.

#![allow(
    clippy::unwrap_used,
    clippy::missing_panics_doc,
    reason = "a test that meets what it does not expect has failed"
)]

mod host;

use std::net::{SocketAddr, TcpListener, UdpSocket};
use std::os::fd::OwnedFd;
use std::time::Duration;

use host::*;
use proa_kernel::network::NetworkNamespace;
use proa_networks::{
    BridgeOptions, Driver, Endpoint, Error, Fabric, PortRequest, Protocol, Published, Reservation,
};

fn port(inside: u16, outside: u16) -> PortRequest {
    PortRequest {
        protocol: Protocol::Tcp,
        inside,
        address: None,
        ports: (outside, outside),
    }
}

fn host_at(port: u16) -> SocketAddr {
    SocketAddr::new(OUTSIDE_HOST.parse().unwrap(), port)
}

fn local(port: u16) -> SocketAddr {
    SocketAddr::from(([127, 0, 0, 1], port))
}

/// Serves a published port as the engine does, until the runtime is dropped.
fn serve_ports(
    fabric: &Fabric,
    reserved: Vec<Reservation>,
    endpoint: &Endpoint,
) -> tokio::runtime::Runtime {
    // The runtime's threads come from this one, and so are in its namespace.
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(1)
        .enable_all()
        .build()
        .unwrap();
    let entered = runtime.enter();
    for Reservation { published, socket } in reserved {
        let socket: OwnedFd = socket.unwrap();
        fabric
            .serve_port(&published, socket, std::slice::from_ref(endpoint))
            .unwrap();
    }
    drop(entered);
    runtime
}

#[test]
fn a_published_port_is_reached_from_everywhere() {
    in_a_host_of_its_own(|| {
        let world = an_outside();
        let fabric = fabric();
        let web = network(1);
        fabric.create(&web).unwrap();
        let (one, first) = attached(&fabric, &web, "one");
        let (two, _) = attached(&fabric, &web, "two");
        let _server = serve(&inside(&one), "0.0.0.0:80");
        let reserved = fabric
            .publish(std::slice::from_ref(&first), &[port(80, 8080)])
            .unwrap();
        let published: Vec<Published> = reserved.iter().map(|one| one.published.clone()).collect();
        assert_eq!(published.len(), 2);
        let runtime = serve_ports(&fabric, reserved, &first);

        // From outside the true sender is seen; from here and from neighbours it is the gateway.
        assert_eq!(ask_from(&world, host_at(8080), "a").unwrap(), "192.0.2.2 a");
        assert_eq!(ask(local(8080), "b").unwrap(), "172.17.0.1 b");
        assert_eq!(ask(host_at(8080), "c").unwrap(), "192.0.2.1 c");
        assert_eq!(
            ask_from(&inside(&two), host_at(8080), "d").unwrap(),
            "172.17.0.1 d"
        );
        assert_eq!(
            ask_from(&inside(&one), host_at(8080), "e").unwrap(),
            "172.17.0.1 e"
        );
        // IPv6 to an endpoint without it, by way of this process.
        let v6: SocketAddr = "[::1]:8080".parse().unwrap();
        assert_eq!(ask(v6, "f").unwrap(), "172.17.0.1 f");
        let large = "x".repeat(3 << 20);
        assert_eq!(
            ask(v6, &large).unwrap().len(),
            large.len() + "172.17.0.1 ".len()
        );

        let taken = fabric
            .publish(std::slice::from_ref(&first), &[port(80, 8080)])
            .unwrap_err();
        assert_eq!(
            taken.to_string(),
            "port 0.0.0.0:8080/tcp is already in use by one"
        );
        fabric.unpublish(&published).unwrap();
        drop(runtime);
        assert!(ask(local(8080), "g").is_err());
        assert!(ask_from(&world, host_at(8080), "h").is_err());
    });
}

#[test]
fn nothing_but_published_ports_comes_in() {
    in_a_host_of_its_own(|| {
        let world = an_outside();
        let fabric = fabric();
        let (web, other, mut secret) = (network(1), network(2), network(3));
        secret.internal = true;
        for network in [&web, &other, &secret] {
            fabric.create(network).unwrap();
        }
        let (one, first) = attached(&fabric, &web, "one");
        let (two, second) = attached(&fabric, &other, "two");
        let (three, third) = attached(&fabric, &secret, "three");
        let (four, fourth) = attached(&fabric, &secret, "four");
        for sandbox in [&one, &two, &three, &four] {
            let _server = serve(&inside(sandbox), "0.0.0.0:80");
        }
        let _world_server = serve(&world, "0.0.0.0:80");
        let world_at: SocketAddr = "192.0.2.2:80".parse().unwrap();

        // Out, as the host.
        assert_eq!(
            ask_from(&inside(&one), world_at, "a").unwrap(),
            "192.0.2.1 a"
        );
        // Not in by a route, not from network to network, not out of an internal one.
        for (from, to) in [
            (&world, at(&first, 80)),
            (&inside(&one), at(&second, 80)),
            (&inside(&two), at(&first, 80)),
            (&inside(&one), at(&third, 80)),
            (&inside(&three), at(&first, 80)),
            (&world, at(&third, 80)),
            (&inside(&three), world_at),
        ] {
            let refused = ask_from(from, to, "b").unwrap_err();
            assert!(
                matches!(
                    refused.kind(),
                    std::io::ErrorKind::TimedOut | std::io::ErrorKind::NetworkUnreachable
                ),
                "{to}: {refused}"
            );
        }
        // Neighbours and the host itself do.
        assert!(ask_from(&inside(&three), at(&fourth, 80), "c").is_ok());
        assert!(ask(at(&third, 80), "d").is_ok());
        assert!(
            fabric
                .publish(&[third], &[port(80, 8080)])
                .unwrap()
                .is_empty()
        );
    });
}

#[test]
fn a_ports_address_number_and_protocol_are_minded() {
    in_a_host_of_its_own(|| {
        let world = an_outside();
        let fabric = fabric();
        let mut web = network(1);
        web.ipv6 = true;
        fabric.create(&web).unwrap();
        let (one, first) = attached(&fabric, &web, "one");
        let _server = serve(&inside(&one), "[::]:80");
        let ends = std::slice::from_ref(&first);

        let mut loopback = port(80, 8081);
        loopback.address = Some("127.0.0.1".parse().unwrap());
        let mut any = port(80, 0);
        any.ports = (0, 0);
        let mut six = port(80, 8083);
        six.address = Some("2001:db8::1".parse().unwrap());
        let reserved = fabric.publish(ends, &[loopback, any, six]).unwrap();
        let [only, four, both, _] = reserved.as_slice() else {
            panic!("{reserved:?}")
        };
        assert_eq!(only.published.port, 8081);
        assert_ne!(four.published.port, 0);
        assert_eq!(four.published.port, both.published.port);
        assert!(ask(local(8081), "a").is_ok());
        assert!(ask_from(&world, host_at(8081), "b").is_err());
        assert!(ask_from(&world, host_at(four.published.port), "c").is_ok());
        let _world_server = serve(&world, "[::]:80");
        let world_at: SocketAddr = "[2001:db8::2]:80".parse().unwrap();
        let answer = ask_from(&inside(&one), world_at, "out").unwrap();
        assert_eq!(answer, "2001:db8::1 out");
        assert!(ask_from(&world, at6(&first, 80), "in").is_err());
        let six: SocketAddr = "[2001:db8::1]:8083".parse().unwrap();
        assert_eq!(ask_from(&world, six, "d").unwrap(), "2001:db8::2 d");

        let both = fabric.publish(ends, &[port(80, 8087)]).unwrap();
        let runtime = serve_ports(&fabric, both, &first);
        for to in ["127.0.0.1:8087", "[::1]:8087", "[2001:db8::1]:8087"] {
            assert!(ask(to.parse().unwrap(), "e").is_ok(), "{to}");
        }
        drop(runtime);

        let mut strange = port(80, 8084);
        strange.address = Some("198.51.100.7".parse().unwrap());
        let error = fabric.publish(ends, &[strange]).unwrap_err();
        assert_eq!(
            error.to_string(),
            "cannot publish a port on 198.51.100.7: this host has no such address"
        );
        let _held = TcpListener::bind("0.0.0.0:8085").unwrap();
        let mut range = port(80, 8085);
        let error = fabric
            .publish(ends, std::slice::from_ref(&range))
            .unwrap_err();
        let me = format!("(process {})", std::process::id());
        assert!(error.to_string().contains(&me), "{error}");
        range.ports = (8085, 8086);
        let reserved = fabric.publish(ends, &[range]).unwrap();
        assert_eq!(reserved[0].published.port, 8086);
    });
}

#[test]
fn nobody_pretends_to_be_localhost() {
    in_a_host_of_its_own(|| {
        let fabric = fabric();
        let web = network(1);
        fabric.create(&web).unwrap();
        let (one, first) = attached(&fabric, &web, "one");
        let _server = serve(&NetworkNamespace::current().unwrap(), "127.0.0.1:9999");
        assert!(ask(local(9999), "a").is_ok());
        inside(&one)
            .inside(|| {
                run("ip address delete 127.0.0.1/8 dev lo");
                std::fs::write("/proc/sys/net/ipv4/conf/all/route_localnet", "1")?;
                run("ip route add 127.0.0.1 via 172.17.0.1");
                Ok(())
            })
            .unwrap();
        assert!(ask_from(&inside(&one), local(9999), "b").is_err());
        // What is published there is for this host only, too.
        let mut wanted = port(80, 8080);
        wanted.address = Some("127.0.0.1".parse().unwrap());
        fabric
            .publish(std::slice::from_ref(&first), &[wanted])
            .unwrap();
        assert!(ask_from(&inside(&one), local(8080), "c").is_err());
    });
}

#[test]
fn udp_follows_its_port_at_once() {
    in_a_host_of_its_own(|| {
        let world = an_outside();
        let fabric = fabric();
        let web = network(1);
        fabric.create(&web).unwrap();
        let wanted = [PortRequest {
            protocol: Protocol::Udp,
            ..port(53, 5353)
        }];
        let client = world.inside(|| UdpSocket::bind("0.0.0.0:0")).unwrap();
        client
            .set_read_timeout(Some(Duration::from_secs(3)))
            .unwrap();
        // The same socket asks all the time: without forgetting, the kernel would lead it to the first one for ever.
        for owner in ["one", "two"] {
            let (sandbox, endpoint) = attached(&fabric, &web, owner);
            let server = inside(&sandbox)
                .inside(|| UdpSocket::bind("0.0.0.0:53"))
                .unwrap();
            let reserved = fabric
                .publish(std::slice::from_ref(&endpoint), &wanted)
                .unwrap();
            let ports: Vec<Published> = reserved.iter().map(|one| one.published.clone()).collect();
            client.send_to(owner.as_bytes(), host_at(5353)).unwrap();
            server
                .set_read_timeout(Some(Duration::from_secs(3)))
                .unwrap();
            let mut packet = [0; 16];
            let (length, from) = server.recv_from(&mut packet).unwrap();
            assert_eq!(&packet[..length], owner.as_bytes());
            server.send_to(b"answer", from).unwrap();
            assert_eq!(client.recv_from(&mut packet).unwrap().0, 6);
            fabric.unpublish(&ports).unwrap();
            drop(reserved);
        }
    });
}

#[test]
fn udp_without_a_translation_is_carried() {
    in_a_host_of_its_own(|| {
        let fabric = fabric();
        let web = network(1);
        fabric.create(&web).unwrap();
        let (one, first) = attached(&fabric, &web, "one");
        let wanted = [PortRequest {
            protocol: Protocol::Udp,
            ..port(53, 5353)
        }];
        let reserved = fabric
            .publish(std::slice::from_ref(&first), &wanted)
            .unwrap();
        let runtime = serve_ports(&fabric, reserved, &first);
        let server = inside(&one)
            .inside(|| UdpSocket::bind("0.0.0.0:53"))
            .unwrap();
        std::thread::spawn(move || {
            let mut packet = [0; 2048];
            while let Ok((length, from)) = server.recv_from(&mut packet) {
                server.send_to(&packet[..length], from).unwrap();
            }
        });
        let clients: Vec<UdpSocket> = (0..3)
            .map(|_| UdpSocket::bind("[::1]:0").unwrap())
            .collect();
        for (number, client) in clients.iter().enumerate() {
            client.connect("[::1]:5353").unwrap();
            client
                .set_read_timeout(Some(Duration::from_secs(5)))
                .unwrap();
            client
                .send(&vec![u8::try_from(number).unwrap(); 1200])
                .unwrap();
        }
        for (number, client) in clients.iter().enumerate() {
            let mut packet = [0; 2048];
            let length = client.recv(&mut packet).unwrap();
            assert_eq!((length, usize::from(packet[7])), (1200, number));
        }
        drop(runtime);
    });
}

#[test]
fn a_new_process_goes_on_where_the_last_one_stopped() {
    in_a_host_of_its_own(|| {
        let world = an_outside();
        let web = network(1);
        let (networks, ends, ports, _sandbox, _sockets) = {
            let fabric = fabric();
            let made = fabric.create(&web).unwrap();
            // Nobody will know of this one.
            fabric.create(&network(9)).unwrap();
            let (sandbox, first) = attached(&fabric, &web, "one");
            let _server = serve(&inside(&sandbox), "0.0.0.0:80");
            let reserved = fabric
                .publish(std::slice::from_ref(&first), &[port(80, 8080)])
                .unwrap();
            let ports: Vec<Published> = reserved.iter().map(|one| one.published.clone()).collect();
            let known = vec![(vec![first.clone()], ports)];
            (vec![made], vec![first], known, sandbox, reserved)
        };
        for attempt in 0..3 {
            if attempt == 1 {
                run("nft flush ruleset");
            }
            if attempt == 2 {
                // As after a reboot, but for the sandbox.
                run("nft delete table inet proa");
            }
            let fabric = fabric();
            fabric
                .restore(networks.clone(), ends.clone(), ports.clone())
                .unwrap();
            assert!(!links().contains(&"pr-000900000000".to_owned()));
            assert!(ask_from(&world, host_at(8080), "a").is_ok());
            let (_two, second) = attached(&fabric, &web, "two");
            assert_eq!(second.ipv4.unwrap().addr().to_string(), "172.17.0.3");
            assert!(matches!(fabric.remove(&web.id), Err(Error::InUse { .. })));
        }
        run("ip link delete pr-000100000000");
        let fabric = fabric();
        fabric.restore(networks, Vec::new(), Vec::new()).unwrap();
        assert!(links().contains(&"pr-000100000000".to_owned()));
        fabric.remove(&web.id).unwrap();
        assert!(!links().contains(&"pr-000100000000".to_owned()));
        assert_eq!(run("nft list tables"), "");
    });
}

#[test]
fn a_thousand_networks_come_and_go() {
    in_a_host_of_its_own(|| {
        let before = links();
        let fabric = fabric();
        let networks: Vec<_> = (0..1000).map(network).collect();
        for network in &networks {
            fabric.create(network).unwrap();
        }
        assert_eq!(links().len(), before.len() + 1000);
        for network in &networks {
            fabric.remove(&network.id).unwrap();
        }
        assert_eq!(links(), before);
        assert_eq!(run("nft list tables"), "");
    });
}

#[test]
fn neighbours_may_be_kept_apart() {
    in_a_host_of_its_own(|| {
        let fabric = fabric();
        for (number, filtered) in [(1, "0"), (2, "1")] {
            // Where the bridge shows its packets to netfilter, the firewall does what the bridge does elsewhere.
            for family in ["ip", "ip6"] {
                let switch = format!("/proc/sys/net/bridge/bridge-nf-call-{family}tables");
                std::fs::write(switch, filtered).unwrap();
            }
            let mut web = network(number);
            web.driver = Driver::Bridge(BridgeOptions {
                between_endpoints: false,
                ..BridgeOptions::default()
            });
            fabric.create(&web).unwrap();
            let (one, first) = attached(&fabric, &web, &format!("one{number}"));
            let (two, _) = attached(&fabric, &web, &format!("two{number}"));
            let _server = serve(&inside(&one), "0.0.0.0:80");
            assert!(ask(at(&first, 80), "a").is_ok());
            assert!(ask_from(&inside(&two), at(&first, 80), "b").is_err());
        }
    });
}

#[test]
fn limits_are_kept() {
    in_a_host_of_its_own(|| {
        let fabric = fabric();
        let web = network(1);
        fabric.create(&web).unwrap();
        let sandbox = fabric.sandbox().unwrap();
        let mut wanted = endpoint(&web, "one");
        wanted.rate.ingress = Some(8_000_000);
        wanted.rate.egress = Some(16_000_000);
        let first = fabric.attach(&sandbox, &wanted).unwrap();
        let name = first.host_interface.unwrap();
        assert!(run(&format!("tc qdisc show dev {name}")).contains("rate 8Mbit"));
        let text = inside(&sandbox)
            .inside(|| Ok(run("tc qdisc show dev eth0")))
            .unwrap();
        assert!(text.contains("rate 16Mbit"), "{text}");
    });
}
