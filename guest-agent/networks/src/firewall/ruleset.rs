//! The rules, to be read from top to bottom. They never change while networks and ports come and go: only the elements of
//! the sets and maps do.

use std::net::Ipv6Addr;

use proa_kernel::nftables::{
    Base, Batch, Chain, ChainKind, Family, Field, Hook, Rule, Set, Table, Target, Type, bits,
    priority,
};

use Field::{
    DestinationIpv4, DestinationIpv6, DestinationKind, DestinationPort, Incoming, Outgoing,
    Protocol, SourceIpv4, SourceIpv6, State, Status,
};

/// What packets bear that our rules let through this host; one rule in each other firewall lets them through there.
pub(crate) const MARK: u32 = 0x1000;

/// Our filter comes before those of others, which shall see the mark.
const BEFORE_OTHERS: i32 = priority::FILTER - 5;

const LOOPBACK: &str = "127.0.0.0/8";

/// Interfaces of networks.
pub(super) const BRIDGES: &str = "bridges";
/// Pairs of interfaces of one network whose endpoints reach one another.
pub(super) const WITHIN: &str = "within";
/// Interfaces of networks without a way in or out.
pub(super) const INTERNAL: &str = "internal";
/// Subnets of networks.
pub(super) const SUBNETS: [&str; 2] = ["subnets4", "subnets6"];
/// Subnets that leave this host under its own address.
pub(super) const MASQUERADED: [&str; 2] = ["masqueraded4", "masqueraded6"];
/// The chain that translates published ports.
pub(super) const PUBLISHED: &str = "published";
/// Ports published on all addresses of this host, and where they lead to.
pub(super) const PORTS: [&str; 2] = ["ports4", "ports6"];
/// Ports published on one address.
pub(super) const PORTS_AT: [&str; 2] = ["ports4_at", "ports6_at"];

fn set(name: &'static str, key: &'static [Type]) -> Set<'static> {
    Set {
        name,
        key,
        interval: false,
        data: None,
    }
}

fn subnets(name: &'static str, key: &'static [Type]) -> Set<'static> {
    Set {
        interval: true,
        ..set(name, key)
    }
}

fn map(name: &'static str, key: &'static [Type], to: &'static [Type]) -> Set<'static> {
    Set {
        data: Some(Target::Values(to)),
        ..set(name, key)
    }
}

pub(super) fn sets() -> [Set<'static>; 11] {
    use Type::{Interface, Ipv4, Ipv6, Port, Protocol};
    [
        set(BRIDGES, &[Interface]),
        set(WITHIN, &[Interface, Interface]),
        set(INTERNAL, &[Interface]),
        subnets(SUBNETS[0], &[Ipv4]),
        subnets(SUBNETS[1], &[Ipv6]),
        subnets(MASQUERADED[0], &[Ipv4]),
        subnets(MASQUERADED[1], &[Ipv6]),
        map(PORTS[0], &[Protocol, Port], &[Ipv4, Port]),
        map(PORTS[1], &[Protocol, Port], &[Ipv6, Port]),
        map(PORTS_AT[0], &[Ipv4, Protocol, Port], &[Ipv4, Port]),
        map(PORTS_AT[1], &[Ipv6, Protocol, Port], &[Ipv6, Port]),
    ]
}

fn chains() -> [(&'static str, Option<Base>, Vec<Rule>); 7] {
    use ChainKind::{Filter, Nat};
    use Hook::{Forward, Output, Postrouting, Prerouting};
    [
        // Before any translation: our bridges carry the host's 127.0.0.1, nobody else may pretend to be it.
        ("guard", base(Filter, Prerouting, priority::RAW), guard()),
        (PUBLISHED, None, published()),
        ("allowed", None, allowed()),
        // From outside and from endpoints, to any address of this host.
        (
            "arriving",
            base(Nat, Prerouting, priority::DSTNAT),
            vec![local().jump(PUBLISHED)],
        ),
        // From this host itself, `localhost` included.
        (
            "local",
            base(Nat, Output, priority::DSTNAT),
            vec![
                // The kernel has no way from ::1 to another interface; the reserved port's own socket answers there.
                rule().is(DestinationIpv6, Ipv6Addr::LOCALHOST).accept(),
                local().jump(PUBLISHED),
            ],
        ),
        ("passing", base(Filter, Forward, BEFORE_OTHERS), passing()),
        (
            "leaving",
            base(Nat, Postrouting, priority::SRCNAT),
            leaving(),
        ),
    ]
}

fn guard() -> Vec<Rule> {
    let from_bridge = || rule().in_set(&[Incoming], BRIDGES);
    vec![
        from_bridge().within(DestinationIpv4, net(LOOPBACK)).drop(),
        from_bridge().within(SourceIpv4, net(LOOPBACK)).drop(),
    ]
}

/// Each bears the name of the map it asks, by which its counter is found.
fn published() -> Vec<Rule> {
    vec![
        rule().comment(PORTS_AT[0]).destination_from(
            &[DestinationIpv4, Protocol, DestinationPort],
            PORTS_AT[0],
            Family::Ipv4,
            true,
        ),
        of(Family::Ipv4).comment(PORTS[0]).destination_from(
            &[Protocol, DestinationPort],
            PORTS[0],
            Family::Ipv4,
            true,
        ),
        rule().comment(PORTS_AT[1]).destination_from(
            &[DestinationIpv6, Protocol, DestinationPort],
            PORTS_AT[1],
            Family::Ipv6,
            true,
        ),
        of(Family::Ipv6).comment(PORTS[1]).destination_from(
            &[Protocol, DestinationPort],
            PORTS[1],
            Family::Ipv6,
            true,
        ),
    ]
}

fn allowed() -> Vec<Rule> {
    vec![rule().add_mark(MARK).accept()]
}

fn passing() -> Vec<Rule> {
    vec![
        // Not ours.
        rule()
            .not_in_set(&[Incoming], BRIDGES)
            .not_in_set(&[Outgoing], BRIDGES)
            .accept(),
        // Neighbours: seen here where bridges show their packets to netfilter.
        rule().in_set(&[Incoming, Outgoing], WITHIN).jump("allowed"),
        // Internal networks end here.
        rule().in_set(&[Incoming], INTERNAL).counter().drop(),
        rule().in_set(&[Outgoing], INTERNAL).counter().drop(),
        // Answers.
        rule()
            .has_any(State, bits::ESTABLISHED | bits::RELATED)
            .jump("allowed"),
        // Published ports.
        rule()
            .in_set(&[Outgoing], BRIDGES)
            .has_any(Status, bits::DESTINATION_TRANSLATED)
            .counter()
            .jump("allowed"),
        // Nothing else comes in, from outside or from another network.
        rule().in_set(&[Outgoing], BRIDGES).counter().drop(),
        // The rest goes out.
        rule().counter().jump("allowed"),
    ]
}

fn leaving() -> Vec<Rule> {
    let to_bridge = || rule().in_set(&[Outgoing], BRIDGES);
    let translated = || to_bridge().has_any(Status, bits::DESTINATION_TRANSLATED);
    let out = || rule().not_in_set(&[Outgoing], BRIDGES);
    vec![
        // An endpoint would answer 127.0.0.1 to itself.
        to_bridge()
            .within(SourceIpv4, net(LOOPBACK))
            .counter()
            .masquerade(),
        // Hairpin: the answer must come back through here, not straight from neighbour to neighbour.
        translated()
            .in_set(&[SourceIpv4], SUBNETS[0])
            .counter()
            .masquerade(),
        translated()
            .in_set(&[SourceIpv6], SUBNETS[1])
            .counter()
            .masquerade(),
        // The world knows only this host.
        out()
            .in_set(&[SourceIpv4], MASQUERADED[0])
            .counter()
            .masquerade(),
        out()
            .in_set(&[SourceIpv6], MASQUERADED[1])
            .counter()
            .masquerade(),
    ]
}

/// The whole table, empty of networks.
pub(super) fn table(table: Table<'_>) -> Batch {
    let mut batch = Batch::new();
    batch.add_table(table);
    for set in sets() {
        batch.add_set(table, &set);
    }
    for (name, base, _) in chains() {
        batch.add_chain(table, &Chain { name, base });
    }
    for (name, _, rules) in chains() {
        for rule in rules {
            batch.add_rule(table, name, &rule);
        }
    }
    batch
}

#[expect(clippy::unnecessary_wraps, reason = "reads well in the list of chains")]
fn base(kind: ChainKind, hook: Hook, priority: i32) -> Option<Base> {
    Some(Base {
        kind,
        hook,
        priority,
        accept: true,
    })
}

fn rule() -> Rule {
    Rule::new()
}

fn of(family: Family) -> Rule {
    rule().is(Field::Family, family as u8)
}

fn local() -> Rule {
    rule().is(DestinationKind, bits::LOCAL)
}

fn net(text: &str) -> ipnet::IpNet {
    // Constants of this file; one that does not parse would match no packet.
    text.parse().unwrap_or_default()
}
