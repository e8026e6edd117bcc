//! Networks and endpoints on a real kernel: packets go where they should, and nothing stays behind.

#![allow(
    clippy::unwrap_used,
    clippy::missing_panics_doc,
    reason = "a test that meets what it does not expect has failed"
)]

mod host;

use std::time::Duration;

use host::*;
use proa_networks::{BridgeOptions, Driver, Error, Fabric, Settings};

#[test]
fn two_endpoints_of_a_network_talk() {
    in_a_host_of_its_own(|| {
        let before = links();
        let fabric = fabric();
        let mut web = network(1);
        web.ipv6 = true;
        let made = fabric.create(&web).unwrap();
        assert_eq!(made.interface, "pr-000100000000");
        assert_eq!(made.pools[0].subnet.to_string(), "172.17.0.0/16");
        let (one, first) = attached(&fabric, &web, "one");
        let (two, second) = attached(&fabric, &web, "two");
        assert_eq!(first.interface, "eth0");
        assert_eq!(first.mac.to_string(), "02:42:ac:11:00:02");
        assert_eq!(second.ipv4.unwrap().to_string(), "172.17.0.3/16");

        let server = serve(&inside(&two), "[::]:80");
        let answer = ask_from(&inside(&one), at(&second, 80), "hello").unwrap();
        assert_eq!(answer, "::ffff:172.17.0.2 hello");
        let answer = ask_from(&inside(&one), at6(&second, 80), "hello").unwrap();
        assert_eq!(answer, format!("{} hello", first.ipv6.unwrap().addr()));
        assert!(
            ask(at(&second, 80), "end")
                .unwrap()
                .starts_with("::ffff:172.17.0.1")
        );
        server.join().unwrap();

        assert!(matches!(
            fabric.remove(&web.id),
            Err(Error::InUse { count: 2, .. })
        ));
        fabric.detach(Some(&one), &first).unwrap();
        drop(two);
        fabric.detach(None, &second).unwrap();
        fabric.remove(&web.id).unwrap();
        drop(one);
        drop(fabric);
        eventually("nothing is left", || links() == before);
    });
}

#[test]
fn a_sandbox_joins_and_leaves_networks_while_it_runs() {
    in_a_host_of_its_own(|| {
        let fabric = fabric();
        let (front, back) = (network(1), network(2));
        fabric.create(&front).unwrap();
        fabric.create(&back).unwrap();
        let (sandbox, first) = attached(&fabric, &front, "one");
        let mut wanted = endpoint(&back, "one");
        wanted.ipv4 = Some("172.18.0.9".parse().unwrap());
        wanted.default_route = false;
        let second = fabric.attach(&sandbox, &wanted).unwrap();
        assert_eq!(second.interface, "eth1");
        let routes = |sandbox| {
            inside(sandbox)
                .inside(|| {
                    let route = proa_kernel::netlink::Route::open().unwrap();
                    let routes = route.routes().unwrap().into_iter();
                    let default = routes.filter(|path| path.to.prefix_len() == 0);
                    Ok(default.filter_map(|path| path.via).collect::<Vec<_>>())
                })
                .unwrap()
        };
        assert_eq!(
            routes(&sandbox),
            ["172.17.0.1".parse::<std::net::IpAddr>().unwrap()]
        );
        fabric.route_through(&sandbox, &second).unwrap();
        assert_eq!(
            routes(&sandbox),
            ["172.18.0.1".parse::<std::net::IpAddr>().unwrap()]
        );
        fabric.detach(Some(&sandbox), &first).unwrap();
        assert_eq!(
            inside(&sandbox).inside(|| Ok(links())).unwrap(),
            ["lo", "eth1"]
        );
        let third = fabric.attach(&sandbox, &endpoint(&front, "one")).unwrap();
        assert_eq!(third.interface, "eth0");
        assert_eq!(third.ipv4.unwrap().addr().to_string(), "172.17.0.3");

        let other = fabric.sandbox().unwrap();
        wanted.owner = "two".into();
        let taken = fabric.attach(&other, &wanted).unwrap_err();
        assert_eq!(taken.to_string(), "address 172.18.0.9 is already in use");
        wanted.ipv4 = Some("10.0.0.9".parse().unwrap());
        let outside = fabric.attach(&other, &wanted).unwrap_err();
        assert_eq!(
            outside.to_string(),
            "address 10.0.0.9 is in none of the subnets of network net2"
        );
    });
}

#[test]
fn a_bridge_that_was_there_stays() {
    in_a_host_of_its_own(|| {
        run("ip link add br0 type bridge");
        run("ip link add eth9 type veth peer name eth8");
        let fabric = fabric();
        let mut web = network(1);
        let named = |name: &str| {
            Driver::Bridge(BridgeOptions {
                name: Some(name.into()),
                ..BridgeOptions::default()
            })
        };
        web.driver = named("br0");
        fabric.create(&web).unwrap();
        let mut other = network(2);
        other.driver = named("br0");
        let twice = fabric.create(&other).unwrap_err();
        assert_eq!(twice.to_string(), "interface br0 is network net1's");
        other.driver = named("eth9");
        let strange = fabric.create(&other).unwrap_err();
        assert_eq!(
            strange.to_string(),
            "interface eth9 is there already and is no bridge"
        );
        other.driver = named("mine");
        fabric.create(&other).unwrap();
        fabric.remove(&web.id).unwrap();
        fabric.remove(&other.id).unwrap();
        let left = links();
        assert!(left.contains(&"br0".to_owned()) && left.contains(&"eth9".to_owned()));
        assert!(!left.contains(&"mine".to_owned()));
    });
}

#[test]
fn a_full_bridge_says_so() {
    in_a_host_of_its_own(|| {
        let fabric = fabric();
        let web = network(1);
        let made = fabric.create(&web).unwrap();
        let route = proa_kernel::netlink::Route::open().unwrap();
        let bridge = route.link_named(&made.interface).unwrap().unwrap();
        for number in 0..1023 {
            let options = proa_kernel::netlink::VethOptions {
                master: Some(bridge.index),
                peer_name: &format!("b{number}"),
                ..Default::default()
            };
            route.add_veth(&format!("a{number}"), &options).unwrap();
        }
        for sandbox in [fabric.sandbox().unwrap(), fabric.bare_sandbox().unwrap()] {
            let full = fabric.attach(&sandbox, &endpoint(&web, "one")).unwrap_err();
            assert_eq!(
                full.to_string(),
                "network net1 has as many endpoints as a bridge can hold"
            );
        }
        fabric.remove(&web.id).unwrap();
    });
}

#[test]
fn endpoints_without_a_bridge_see_one_another() {
    in_a_host_of_its_own(|| {
        let before = links();
        let fabric = fabric();
        let mut lan = network(1);
        lan.driver = Driver::Macvlan {
            parent: None,
            mode: "bridge".into(),
        };
        fabric.create(&lan).unwrap();
        let bare = |owner| {
            let sandbox = fabric.bare_sandbox().unwrap();
            let endpoint = fabric.attach(&sandbox, &endpoint(&lan, owner)).unwrap();
            (sandbox, endpoint)
        };
        let (one, first) = bare("one");
        let (two, second) = bare("two");
        let server = serve(&inside(&two), "0.0.0.0:80");
        let answer = ask_from(&inside(&one), at(&second, 80), "end").unwrap();
        assert_eq!(answer, format!("{} end", first.ipv4.unwrap().addr()));
        server.join().unwrap();
        fabric.detach(Some(&one), &first).unwrap();
        fabric.detach(Some(&two), &second).unwrap();
        fabric.remove(&lan.id).unwrap();
        assert_eq!(links(), before);
    });
}

#[test]
fn a_prepared_namespace_is_as_good_as_a_new_one() {
    in_a_host_of_its_own(|| {
        let fabric = fabric();
        let web = network(1);
        fabric.create(&web).unwrap();
        fabric.prepare().unwrap();
        std::thread::sleep(Duration::from_millis(300));
        let sandbox = fabric.sandbox().unwrap();
        fabric.attach(&sandbox, &endpoint(&web, "one")).unwrap();
        let names = inside(&sandbox).inside(|| Ok(links())).unwrap();
        assert_eq!(names, ["lo", "eth0"]);
        let bare = fabric.bare_sandbox().unwrap();
        assert_eq!(inside(&bare).inside(|| Ok(links())).unwrap(), ["lo"]);
    });
}

#[test]
fn many_sandboxes_in_a_row_leave_nothing() {
    in_a_host_of_its_own(|| {
        let before = links();
        let fabric = Fabric::open(Settings::default()).unwrap();
        let web = network(1);
        fabric.create(&web).unwrap();
        fabric.prepare().unwrap();
        for round in 0..60 {
            let (sandbox, end) = attached(&fabric, &web, &format!("{round}"));
            let names = inside(&sandbox).inside(|| Ok(links())).unwrap();
            assert_eq!(names, ["lo", "eth0"]);
            drop(sandbox);
            fabric.detach(None, &end).unwrap();
        }
        fabric.remove(&web.id).unwrap();
        drop(fabric);
        eventually("nothing is left", || links() == before);
    });
}
