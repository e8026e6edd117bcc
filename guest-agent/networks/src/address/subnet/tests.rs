//! Which subnets are chosen, and what is said of those that cannot be.

use std::collections::BTreeMap;

use super::*;
use crate::BridgeOptions;

fn request(pools: Vec<PoolRequest>) -> NetworkRequest {
    NetworkRequest {
        id: "0123456789abcdef".repeat(4),
        name: "web".into(),
        driver: Driver::Bridge(BridgeOptions::default()),
        ipv4: true,
        ipv6: false,
        pools,
        internal: false,
    }
}

fn pool_request(subnet: &str, range: &str, gateway: &str) -> PoolRequest {
    PoolRequest {
        subnet: subnet.parse().ok(),
        range: range.parse().ok(),
        gateway: gateway.parse().ok(),
        reserved: BTreeMap::new(),
    }
}

fn network(subnet: &str) -> Taken {
    Taken {
        subnet: subnet.parse().unwrap(),
        holder: "other".into(),
        route: false,
    }
}

fn route(subnet: &str) -> Taken {
    Taken {
        route: true,
        holder: "eth0".into(),
        ..network(subnet)
    }
}

fn check(request: &NetworkRequest, taken: &[Taken], expected: &str) {
    let said = match plan(request, &AddressPool::usual(), taken) {
        Ok(pools) => pools
            .iter()
            .map(|pool| format!("{} via {}", pool.subnet, pool.gateway))
            .collect::<Vec<_>>()
            .join(", "),
        Err(error) => error.to_string(),
    };
    assert_eq!(said, expected);
}

fn check_pool(subnet: &str, range: &str, gateway: &str, taken: &[Taken], expected: &str) {
    check(
        &request(vec![pool_request(subnet, range, gateway)]),
        taken,
        expected,
    );
}

#[test]
fn the_first_free_subnet_is_chosen() {
    let plain = request(Vec::new());
    check(&plain, &[], "172.17.0.0/16 via 172.17.0.1");
    let taken = [network("172.17.0.0/16"), route("172.18.4.0/24")];
    check(&plain, &taken, "172.19.0.0/16 via 172.19.0.1");
    let taken = [network("172.16.0.0/12"), route("192.168.0.0/17")];
    check(&plain, &taken, "192.168.128.0/20 via 192.168.128.1");
    let everywhere = [route("0.0.0.0/1"), route("128.0.0.0/1")];
    check(&plain, &everywhere, "172.17.0.0/16 via 172.17.0.1");
}

#[test]
fn a_thousand_networks_find_room() {
    let mut taken = Vec::new();
    for _ in 0..3000 {
        let pools = plan(&request(Vec::new()), &AddressPool::usual(), &taken).unwrap();
        taken.push(Taken {
            subnet: pools[0].subnet,
            ..network("10.0.0.0/8")
        });
    }
}

#[test]
fn ipv6_comes_from_the_id() {
    let mut both = request(Vec::new());
    both.ipv6 = true;
    check(
        &both,
        &[],
        "172.17.0.0/16 via 172.17.0.1, fd01:2345:6789:abcd::/64 via fd01:2345:6789:abcd::1",
    );
    both.ipv4 = false;
    let taken = [network("fd01:2345:6789:abcd::/64")];
    check(
        &both,
        &taken,
        "fdef:123:4567:89ab::/64 via fdef:123:4567:89ab::1",
    );
    both.ipv6 = false;
    check(&both, &[], "network web has neither IPv4 nor IPv6");
}

#[test]
fn what_is_asked_for_is_checked() {
    check_pool("10.9.0.0/24", "", "", &[], "10.9.0.0/24 via 10.9.0.1");
    check_pool(
        "10.9.0.0/24",
        "10.9.0.128/25",
        "10.9.0.7",
        &[],
        "10.9.0.0/24 via 10.9.0.7",
    );
    check_pool(
        "10.9.0.4/24",
        "",
        "",
        &[],
        "10.9.0.4/24 is an address in a subnet; did you mean 10.9.0.0/24?",
    );
    check_pool(
        "10.9.0.4/31",
        "",
        "",
        &[],
        "subnet 10.9.0.4/31 has no room for endpoints",
    );
    check_pool(
        "127.0.0.0/8",
        "",
        "",
        &[],
        "subnet 127.0.0.0/8 cannot be a network's",
    );
    check_pool(
        "10.9.0.0/24",
        "10.8.0.0/25",
        "",
        &[],
        "range 10.8.0.0/25 is not inside of subnet 10.9.0.0/24",
    );
    check_pool(
        "10.9.0.0/24",
        "",
        "10.8.0.1",
        &[],
        "gateway 10.8.0.1 is not inside of subnet 10.9.0.0/24",
    );
    check_pool(
        "10.9.0.0/24",
        "",
        "10.9.0.255",
        &[],
        "gateway 10.9.0.255 is the network or broadcast address of subnet 10.9.0.0/24",
    );
    check_pool(
        "",
        "",
        "10.9.0.1",
        &[],
        "a gateway, a range or a reserved address needs a subnet to be in",
    );
    check_pool(
        "fd00::/64",
        "",
        "",
        &[],
        "network web asks for an IPv6 subnet but not for IPv6",
    );
}

#[test]
fn others_addresses_are_refused() {
    check_pool(
        "10.9.0.0/24",
        "",
        "",
        &[network("10.0.0.0/8")],
        "subnet 10.9.0.0/24 overlaps with 10.0.0.0/8, which other uses; choose another with --subnet",
    );
    check_pool(
        "10.9.0.0/16",
        "",
        "",
        &[route("10.9.3.0/24")],
        "subnet 10.9.0.0/16 overlaps with 10.9.3.0/24, which eth0 uses; choose another with --subnet",
    );
    // A closer match than the host's route: the rest of the route still works.
    check_pool(
        "10.9.0.0/24",
        "",
        "",
        &[route("10.0.0.0/8")],
        "10.9.0.0/24 via 10.9.0.1",
    );
}

#[test]
fn the_gateway_steps_aside_for_reserved_addresses() {
    let mut wanted = pool_request("10.9.0.0/24", "", "");
    wanted
        .reserved
        .insert("router".into(), "10.9.0.1".parse().unwrap());
    check(&request(vec![wanted]), &[], "10.9.0.0/24 via 10.9.0.2");
}
