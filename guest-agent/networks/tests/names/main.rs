//! The DNS server of a container, asked by real clients from inside of a real network namespace, with resolvers beside it
//! that misbehave. Everything happens in namespaces of the test's own.

mod fake;

use std::collections::BTreeSet;
use std::fs;
use std::io::{Read, Write};
use std::net::{IpAddr, SocketAddr, TcpStream, UdpSocket};
use std::process::Command;
use std::sync::Arc;
use std::time::Duration;

use fake::Fake;
use proa_kernel::loopback;
use proa_kernel::network::NetworkNamespace;
use proa_networks::names::{Client, Entry, Membership, Names, Server, Sockets, Upstreams, serve};

/// A host and a container on it.
struct Ground {
    container: NetworkNamespace,
    names: Arc<Names>,
    /// Serves as long as it is there.
    server: Server,
    folder: tempfile::TempDir,
    runtime: tokio::runtime::Runtime,
}

/// Runs a test in a thread that is in a namespace of its own, which plays the host's.
fn on_a_host(test: impl FnOnce() + Send) {
    let host = NetworkNamespace::create().expect("a namespace");
    host.inside(|| {
        loopback::up()?;
        test();
        Ok(())
    })
    .expect("the test runs inside");
}

fn client(forward: bool) -> Client {
    Client {
        networks: vec![Membership {
            network: "n".into(),
            ..Membership::default()
        }],
        forward,
        ..Client::default()
    }
}

impl Ground {
    fn new(client: Client, resolv_conf: &str) -> Self {
        let folder = tempfile::tempdir().expect("a folder");
        fs::write(folder.path().join("resolv.conf"), resolv_conf).expect("it is written");
        let (container, ()) = NetworkNamespace::create_with(loopback::up).expect("a namespace");
        let names = Arc::new(Names::new());
        names.name_network("n", "net");
        let upstreams = Upstreams::from_file(folder.path().join("resolv.conf"));
        // Workers are made by this thread, and so are in its namespace.
        let runtime = tokio::runtime::Builder::new_multi_thread()
            .worker_threads(2)
            .enable_all()
            .build()
            .expect("a runtime");
        let sockets = Sockets::open(&container).expect("sockets");
        let server = {
            let _inside = runtime.enter();
            serve(sockets, client, names.clone(), Arc::new(upstreams)).expect("it serves")
        };
        Ground {
            container,
            names,
            server,
            folder,
            runtime,
        }
    }

    fn set(&self, owner: &str, names: &[&str], addresses: &[&str]) {
        let entry = Entry {
            names: names.iter().map(|name| (*name).to_owned()).collect(),
            addresses: addresses
                .iter()
                .map(|text| text.parse().expect("an address"))
                .collect(),
        };
        self.names.set("n", owner, entry);
    }

    /// What `dig` prints, run in the container.
    fn dig(&self, arguments: &[&str]) -> String {
        let run = || {
            Command::new("dig")
                .args(["@127.0.0.11", "+tries=1", "+timeout=6"])
                .args(arguments)
                .output()
        };
        let output = self
            .container
            .inside(run)
            .expect("dig runs (bind9-dnsutils)");
        String::from_utf8_lossy(&output.stdout).into_owned()
    }

    fn short(&self, arguments: &[&str]) -> String {
        let printed = self.dig(&[&["+short"], arguments].concat());
        let lines: BTreeSet<&str> = printed.lines().collect();
        lines.into_iter().collect::<Vec<_>>().join(" ")
    }
}

#[test]
fn containers_find_one_another_over_udp_and_tcp() {
    on_a_host(|| {
        let ground = Ground::new(client(false), "");
        ground.set("a", &["web", "one"], &["10.9.0.2", "fd09::2"]);
        ground.set("b", &["web", "two"], &["10.9.0.3"]);
        for transport in ["+notcp", "+tcp"] {
            assert_eq!(ground.short(&[transport, "web"]), "10.9.0.2 10.9.0.3");
            assert_eq!(ground.short(&[transport, "WEB.net", "AAAA"]), "fd09::2");
            assert_eq!(ground.short(&[transport, "-x", "10.9.0.3"]), "web.net.");
            assert_eq!(ground.short(&[transport, "-x", "fd09::2"]), "web.net.");
            let empty = ground.dig(&[transport, "two", "AAAA"]);
            assert!(
                empty.contains("NOERROR") && empty.contains("ANSWER: 0"),
                "{empty}"
            );
            let unknown = ground.dig(&[transport, "example.com"]);
            assert!(unknown.contains("NXDOMAIN"), "{unknown}");
        }
        ground.names.remove("n", "a");
        assert_eq!(ground.short(&["web"]), "10.9.0.3");
        ground.server.change(Client::default());
        assert!(
            ground.dig(&["web"]).contains("NXDOMAIN"),
            "it left the network"
        );
    });
}

#[test]
fn the_c_library_finds_names_too() {
    on_a_host(|| {
        let ground = Ground::new(client(false), "");
        ground.set("a", &["web"], &["10.9.0.2", "fd09::2"]);
        let resolv_conf = ground.folder.path().join("inside");
        fs::write(&resolv_conf, "nameserver 127.0.0.11\noptions ndots:0\n").expect("written");
        let script = format!(
            "mount --bind {} /etc/resolv.conf && getent -s dns ahosts web",
            resolv_conf.display()
        );
        let run = || {
            Command::new("unshare")
                .args(["-m", "sh", "-c", &script])
                .output()
        };
        let output = ground.container.inside(run).expect("it runs");
        let printed = String::from_utf8_lossy(&output.stdout);
        assert!(
            printed.contains("10.9.0.2") && printed.contains("fd09::2"),
            "{output:?}"
        );
    });
}

#[test]
fn a_large_answer_is_cut_over_udp_and_whole_over_tcp() {
    on_a_host(|| {
        let ground = Ground::new(client(false), "");
        for number in 0..200 {
            let address = format!("10.9.1.{number}");
            ground.set(&address, &["many"], &[&address]);
        }
        let count = |arguments: &[&str]| ground.dig(arguments).matches("\tA\t10.9.1.").count();
        assert_eq!(count(&["+ignore", "+noedns", "many"]), 30);
        assert!(ground.dig(&["+ignore", "+noedns", "many"]).contains(" tc "));
        assert_eq!(count(&["+bufsize=4096", "many"]), 200);
        assert_eq!(count(&["+noedns", "many"]), 200, "dig asks again over TCP");
    });
}

#[test]
fn the_rest_is_asked_of_the_hosts_resolvers_as_they_change() {
    on_a_host(|| {
        let _first = Fake::start("127.0.0.1:53", "192.0.2.1");
        let _second = Fake::start("127.0.0.2:53", "192.0.2.2");
        let ground = Ground::new(client(true), "nameserver 127.0.0.1\n");
        ground.set("a", &["web"], &["10.9.0.2"]);
        assert_eq!(ground.short(&["plain.test"]), "192.0.2.1");
        assert_eq!(ground.short(&["+tcp", "plain.test"]), "192.0.2.1");
        assert_eq!(ground.short(&["web"]), "10.9.0.2");
        assert!(
            ground.dig(&["plain.test"]).contains("udp: 1232"),
            "EDNS passes through"
        );
        fs::write(ground.folder.path().join("next"), "nameserver 127.0.0.2\n").expect("written");
        let file = |name| ground.folder.path().join(name);
        fs::rename(file("next"), file("resolv.conf")).expect("replaced");
        assert_eq!(ground.short(&["plain.test"]), "192.0.2.2");
    });
}

#[test]
fn a_resolver_that_is_silent_or_refuses_is_passed_over() {
    on_a_host(|| {
        let _first = Fake::start("127.0.0.1:53", "192.0.2.1");
        let _second = Fake::start("127.0.0.2:53", "192.0.2.2");
        let ground = Ground::new(
            client(true),
            "nameserver 127.0.0.3\nnameserver 127.0.0.1\nnameserver 127.0.0.2\n",
        );
        // Nobody is at 127.0.0.3, and the kernel says so.
        assert_eq!(ground.short(&["plain.test"]), "192.0.2.1");
        assert_eq!(ground.short(&["refused.first.test"]), "192.0.2.2");
        assert_eq!(ground.short(&["silent.first.test"]), "192.0.2.2");
        assert!(ground.dig(&["refused.all.test"]).contains("SERVFAIL"));
        let failed = ground.dig(&["silent.all.test"]);
        assert!(failed.contains("SERVFAIL"), "{failed}");
    });
}

#[test]
fn a_reply_that_was_cut_is_fetched_over_tcp() {
    on_a_host(|| {
        let _fake = Fake::start("127.0.0.1:53", "192.0.2.1");
        let ground = Ground::new(client(true), "nameserver 127.0.0.1\n");
        let count = |arguments: &[&str]| ground.dig(arguments).matches("\tA\t").count();
        // The fake one sends no record over UDP.
        assert_eq!(count(&["+ignore", "+noedns", "big.test"]), 30);
        assert_eq!(count(&["+ignore", "+bufsize=4096", "big.test"]), 100);
        assert_eq!(count(&["+tcp", "big.test"]), 100);
    });
}

#[test]
fn forged_replies_are_not_believed() {
    on_a_host(|| {
        let _fake = Fake::start("127.0.0.1:53", "192.0.2.1");
        let ground = Ground::new(client(true), "nameserver 127.0.0.1\n");
        assert_eq!(ground.short(&["lies.test"]), "192.0.2.1");
        let ids: BTreeSet<String> = (0..8).map(|_| ground.short(&["id.test", "TXT"])).collect();
        assert!(ids.len() > 5, "ids toward resolvers are random: {ids:?}");
    });
}

#[test]
fn a_containers_own_servers_are_asked_from_inside() {
    on_a_host(|| {
        let _outside = Fake::start("127.0.0.1:53", "192.0.2.1");
        let servers = vec!["127.0.0.1:53".parse::<SocketAddr>().expect("an address")];
        let ground = Ground::new(
            Client {
                servers,
                ..client(true)
            },
            "nameserver 127.0.0.1\n",
        );
        // The container may have a server of its own at port 53, here even of all addresses.
        let inside = ground
            .container
            .inside(|| Ok(Fake::start("0.0.0.0:53", "192.0.2.9")));
        let _inside = inside.expect("it starts");
        assert_eq!(ground.short(&["plain.test"]), "192.0.2.9");
        // Who names the server itself does not send it in circles.
        let itself = vec!["127.0.0.11:53".parse().expect("an address")];
        ground.server.change(Client {
            servers: itself,
            ..client(true)
        });
        assert!(ground.dig(&["plain.test"]).contains("SERVFAIL"));
    });
}

#[test]
fn sockets_outlive_their_server() {
    on_a_host(|| {
        let (container, sockets) = {
            let (container, ()) = NetworkNamespace::create_with(loopback::up).expect("a namespace");
            let sockets = Sockets::open(&container).expect("sockets");
            (container, sockets)
        };
        let (udp, tcp) = sockets.descriptors();
        let kept = (udp.try_clone_to_owned(), tcp.try_clone_to_owned());
        drop(sockets);
        // A question that arrives while nobody serves waits.
        let asked = container.inside(|| {
            let socket = UdpSocket::bind("127.0.0.1:0")?;
            socket.set_read_timeout(Some(Duration::from_secs(5)))?;
            socket.send_to(&fake::question(7, "web"), "127.0.0.11:53")?;
            Ok(socket)
        });
        let names = Arc::new(Names::new());
        let entry = Entry {
            names: vec!["web".into()],
            addresses: vec![IpAddr::from([10, 9, 0, 2])],
        };
        names.set("n", "a", entry);
        let sockets = Sockets::adopt(kept.0.expect("a socket"), kept.1.expect("a socket"));
        let runtime = tokio::runtime::Runtime::new().expect("a runtime");
        let _inside = runtime.enter();
        let upstreams = Arc::new(Upstreams::of_host());
        let _server = serve(sockets, client(false), names, upstreams).expect("it serves");
        let mut reply = [0; 512];
        let (length, from) = asked
            .expect("it was sent")
            .recv_from(&mut reply)
            .expect("a reply");
        assert_eq!(from.to_string(), "127.0.0.11:53");
        assert!(reply[..length].ends_with(&[10, 9, 0, 2]));
    });
}

#[test]
fn garbage_and_crowds_do_no_harm() {
    on_a_host(|| {
        let _fake = Fake::start("127.0.0.1:53", "192.0.2.1");
        let ground = Ground::new(client(true), "nameserver 127.0.0.1\n");
        ground.set("a", &["web"], &["10.9.0.2"]);
        let send = || {
            let socket = UdpSocket::bind("127.0.0.1:0")?;
            for round in 0..500_u16 {
                socket.send_to(
                    &vec![round as u8; 1 + usize::from(round) * 30],
                    "127.0.0.11:53",
                )?;
                // Hundreds of questions that wait for a resolver that says nothing.
                socket.send_to(&fake::question(round, "silent.all.test"), "127.0.0.11:53")?;
            }
            let mut streams = Vec::new();
            for _ in 0..30 {
                let mut stream = TcpStream::connect("127.0.0.11:53")?;
                stream.write_all(&[0xff, 0xff, 1, 2, 3])?;
                streams.push(stream);
            }
            let mut bytes = Vec::new();
            streams[0].read_to_end(&mut bytes)?;
            assert!(bytes.is_empty(), "who promises too much is hung up on");
            Ok(streams)
        };
        let _streams = ground.container.inside(send).expect("it is sent");
        assert_eq!(ground.short(&["web"]), "10.9.0.2");
        assert_eq!(ground.short(&["+tcp", "web"]), "10.9.0.2");
        drop(ground.runtime);
    });
}
