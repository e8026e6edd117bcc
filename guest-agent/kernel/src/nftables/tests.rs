//! Tables in namespaces of the tests' own, with `nft` as the witness of what the kernel understood.

use std::process::Command;

use super::*;
use crate::network::NetworkNamespace;

const PROA: Table<'static> = Table {
    family: Family::Inet,
    name: "proa",
};

fn fresh() -> (NetworkNamespace, Nftables) {
    let (namespace, door) = NetworkNamespace::create_with(|| Ok(Nftables::open())).unwrap();
    (namespace, door.unwrap())
}

/// What a program says inside, with blanks as one.
fn run(namespace: &NetworkNamespace, line: &str) -> String {
    let mut words = line.split(' ');
    let mut command = Command::new(words.next().unwrap());
    command.args(words);
    let output = namespace.inside(|| command.output()).unwrap();
    let text =
        String::from_utf8(output.stdout).unwrap() + &String::from_utf8(output.stderr).unwrap();
    assert!(output.status.success(), "{line}: {text}");
    text.split_whitespace().collect::<Vec<_>>().join(" ")
}

/// Makes a table with one chain of these rules and asks `nft` for them.
fn written(rules: impl IntoIterator<Item = Rule>, sets: &[Set<'_>]) -> String {
    let (namespace, door) = fresh();
    let mut batch = Batch::new();
    batch.add_table(PROA);
    let base = None;
    batch.add_chain(
        PROA,
        &Chain {
            name: "other",
            base,
        },
    );
    batch.add_chain(
        PROA,
        &Chain {
            name: "tried",
            base,
        },
    );
    for set in sets {
        batch.add_set(PROA, set);
    }
    for rule in rules {
        batch.add_rule(PROA, "tried", &rule);
    }
    door.commit(&batch).unwrap();
    let text = run(&namespace, "nft list chain inet proa tried");
    let rules = text
        .strip_prefix("table inet proa { chain tried { ")
        .unwrap();
    rules.strip_suffix(" } }").unwrap().into()
}

#[track_caller]
fn check(rule: Rule, expected: &str) {
    assert_eq!(written([rule], &[]), expected);
}

#[test]
fn conditions_are_what_nft_calls_them() {
    let rule = Rule::new;
    check(
        rule().is(Field::Incoming, "eth0").accept(),
        r#"iifname "eth0" accept"#,
    );
    check(
        rule().is_not(Field::Outgoing, "eth0").drop(),
        r#"oifname != "eth0" drop"#,
    );
    check(
        rule().begins(Field::Outgoing, "proa").counter().accept(),
        r#"oifname "proa*" counter packets 0 bytes 0 accept"#,
    );
    check(
        rule()
            .is(Field::Protocol, 6u8)
            .is(Field::DestinationPort, 80u16)
            .jump("other"),
        "tcp dport 80 jump other",
    );
    check(
        rule()
            .within(Field::DestinationIpv4, "10.1.0.0/16".parse().unwrap())
            .drop(),
        "ip daddr 10.1.0.0/16 drop",
    );
    check(
        rule()
            .not_within(Field::SourceIpv6, "fd00::/20".parse().unwrap())
            .drop(),
        "ip6 saddr != fd00::/20 drop",
    );
    check(
        rule()
            .is(Field::SourceIpv4, std::net::Ipv4Addr::LOCALHOST)
            .drop(),
        "ip saddr 127.0.0.1 drop",
    );
    check(
        rule()
            .has_any(Field::State, bits::ESTABLISHED | bits::RELATED)
            .accept(),
        "ct state established,related accept",
    );
    check(
        rule()
            .has_any(Field::Status, bits::DESTINATION_TRANSLATED)
            .accept(),
        "ct status dnat accept",
    );
    check(
        rule()
            .has_none(Field::Status, bits::DESTINATION_TRANSLATED)
            .drop(),
        "ct status ! dnat drop",
    );
    check(
        rule().is(Field::DestinationKind, bits::LOCAL).accept(),
        "fib daddr type local accept",
    );
    check(
        rule()
            .is(Field::Mark, 0x77u32)
            .is(Field::ConnectionMark, 5u32)
            .accept(),
        "meta mark 0x00000077 ct mark 0x00000005 accept",
    );
    check(
        rule()
            .is(Field::Protocol, 6u8)
            .is(Field::OriginalPort, 8080u16)
            .accept(),
        "meta l4proto tcp ct original proto-dst 8080 accept",
    );
    check(
        rule().is(Field::Family, 10u8).limit(5, 10).accept(),
        "meta nfproto ipv6 limit rate 5/second burst 10 packets accept",
    );
}

#[test]
fn actions_are_what_nft_calls_them() {
    let rule = Rule::new;
    let v4 = "10.0.0.2".parse().unwrap();
    let v6 = "fd00::2".parse().unwrap();
    check(
        rule().mark(7).mark_connection(9),
        "meta mark set 0x00000007 ct mark set 0x00000009",
    );
    check(rule().reject(Rejection::PortUnreachable), "reject");
    check(
        rule().reject(Rejection::Prohibited),
        "reject with icmpx admin-prohibited",
    );
    check(
        rule().is(Field::Protocol, 6u8).reject(Rejection::Reset),
        "meta l4proto tcp reject with tcp reset",
    );
    check(rule().verdict(Verdict::Goto("other".into())), "goto other");
    check(
        rule().comment("why: häuser").verdict(Verdict::Return),
        r#"return comment "why: häuser""#,
    );
    let nat = |rule: Rule| {
        let (namespace, door) = fresh();
        let mut batch = Batch::new();
        batch.add_table(PROA);
        let base = Base {
            kind: ChainKind::Nat,
            hook: Hook::Postrouting,
            priority: priority::SRCNAT,
            accept: true,
        };
        batch.add_chain(
            PROA,
            &Chain {
                name: "after",
                base: Some(base),
            },
        );
        let base = Base {
            hook: Hook::Prerouting,
            priority: priority::DSTNAT,
            ..base
        };
        batch.add_chain(
            PROA,
            &Chain {
                name: "before",
                base: Some(base),
            },
        );
        let text = format!("{rule:?}");
        let chain = if text.contains("source: true") || text.contains("Masq") {
            "after"
        } else {
            "before"
        };
        batch.add_rule(PROA, chain, &rule);
        door.commit(&batch).unwrap();
        let text = run(&namespace, &format!("nft list chain inet proa {chain}"));
        text.split_once("policy accept; ")
            .unwrap()
            .1
            .strip_suffix(" } }")
            .unwrap()
            .to_string()
    };
    assert_eq!(nat(rule().masquerade()), "masquerade");
    assert_eq!(
        nat(rule().is(Field::Protocol, 17u8).redirect(53)),
        "meta l4proto udp redirect to :53"
    );
    assert_eq!(
        nat(rule().is(Field::Protocol, 6u8).destination(v4, Some(80))),
        "meta l4proto tcp dnat ip to 10.0.0.2:80"
    );
    assert_eq!(
        nat(rule().is(Field::Protocol, 6u8).destination(v6, Some(80))),
        "meta l4proto tcp dnat ip6 to [fd00::2]:80"
    );
    assert_eq!(nat(rule().source(v4, None)), "snat ip to 10.0.0.2");
}

const PUBLISHED: Set<'static> = Set {
    name: "published",
    key: &[Type::Ipv4, Type::Protocol, Type::Port],
    interval: false,
    data: Some(Target::Values(&[Type::Ipv4, Type::Port])),
};
const SUBNETS: Set<'static> = Set {
    name: "subnets",
    key: &[Type::Ipv4],
    interval: true,
    data: None,
};
const PAIRS: Set<'static> = Set {
    name: "pairs",
    key: &[Type::Ipv6, Type::Port],
    interval: true,
    data: None,
};
const ISOLATED: Set<'static> = Set {
    name: "isolated",
    key: &[Type::Interface],
    interval: false,
    data: Some(Target::Verdict),
};

#[test]
fn sets_and_maps_are_what_nft_calls_them_and_are_read_back() {
    let (namespace, door) = fresh();
    let mut batch = Batch::new();
    batch.add_table(PROA);
    batch.add_chain(
        PROA,
        &Chain {
            name: "other",
            base: None,
        },
    );
    for set in [PUBLISHED, SUBNETS, PAIRS, ISOLATED] {
        batch.add_set(PROA, &set);
    }
    let v4 = |text: &str| Value::Address(text.parse().unwrap());
    let tcp = Value::Byte(6);
    let published =
        [Element::new([v4("192.0.2.1"), tcp, 8080u16.into()])
            .with([v4("172.17.0.2"), 80u16.into()])];
    let subnets = [
        "0.0.0.0/8",
        "10.0.0.0/24",
        "10.0.1.0/24",
        "192.168.0.0/16",
        "255.255.255.0/24",
    ]
    .map(|net| Element::prefix(net.parse().unwrap()));
    let pairs = [Element {
        key: vec![v4("fd00::"), 80u16.into()],
        to: Some(vec![v4("fd00::ffff"), 90u16.into()]),
        data: None,
    }];
    let isolated = [
        Element::new(["br0".into()]).verdict(Verdict::Jump("other".into())),
        Element::new(["br1".into()]).verdict(Verdict::Drop),
    ];
    batch.add_elements(PROA, "published", &published);
    batch.add_elements(PROA, "subnets", &subnets);
    batch.add_elements(PROA, "pairs", &pairs);
    batch.add_elements(PROA, "isolated", &isolated);
    door.commit(&batch).unwrap();
    let nft = |kind: &str, name: &str| {
        let text = run(&namespace, &format!("nft list {kind} inet proa {name}"));
        text.split_once(&format!("{name} {{ "))
            .unwrap()
            .1
            .strip_suffix(" } }")
            .unwrap()
            .to_string()
    };
    assert_eq!(
        nft("map", "published"),
        "type ipv4_addr . inet_proto . inet_service : ipv4_addr . inet_service elements = { 192.0.2.1 . tcp . 8080 : 172.17.0.2 . 80 }"
    );
    assert_eq!(
        nft("set", "subnets"),
        "type ipv4_addr flags interval elements = { 0.0.0.0/8, 10.0.0.0/24, 10.0.1.0/24, 192.168.0.0/16, 255.255.255.0/24 }"
    );
    assert_eq!(
        nft("set", "pairs"),
        "type ipv6_addr . inet_service flags interval elements = { fd00::/112 . 80-90 }"
    );
    assert_eq!(
        nft("map", "isolated"),
        r#"type ifname : verdict elements = { "br0" : jump other, "br1" : drop }"#
    );
    assert_eq!(door.elements(PROA, &PUBLISHED).unwrap(), published);
    let read = door.elements(PROA, &SUBNETS).unwrap();
    assert_eq!(read, subnets);
    assert_eq!(read[3].as_prefix().unwrap().to_string(), "192.168.0.0/16");
    assert_eq!(door.elements(PROA, &PAIRS).unwrap(), pairs);
    assert_eq!(door.elements(PROA, &ISOLATED).unwrap(), isolated);
    let mut batch = Batch::new();
    batch.delete_elements(PROA, "published", &published);
    batch.delete_elements(PROA, "subnets", &subnets[1..2]);
    batch.delete_elements(PROA, "pairs", &pairs);
    batch.flush_set(PROA, "isolated");
    door.commit(&batch).unwrap();
    assert_eq!(door.elements(PROA, &PUBLISHED).unwrap(), []);
    assert_eq!(door.elements(PROA, &SUBNETS).unwrap().len(), 4);
    assert_eq!(door.elements(PROA, &ISOLATED).unwrap(), []);
    let error = door.commit(&batch).unwrap_err();
    assert!(error.is_missing());
    assert_eq!(
        error.to_string(),
        "delete element 192.0.2.1 . 6 . 8080 of published in inet proa"
    );
}

#[test]
fn rules_use_sets_and_maps() {
    let key = [
        Field::DestinationIpv4,
        Field::Protocol,
        Field::DestinationPort,
    ];
    let rules = [
        Rule::new().verdict_from(&[Field::Incoming], "isolated"),
        Rule::new()
            .in_set(&[Field::SourceIpv4], "subnets")
            .not_in_set(&[Field::DestinationIpv4], "subnets")
            .accept(),
        Rule::new()
            .in_set(&[Field::DestinationIpv6, Field::DestinationPort], "pairs")
            .drop(),
        Rule::new().in_set(&key, "known").drop(),
    ];
    let known = Set {
        name: "known",
        data: None,
        ..PUBLISHED
    };
    let text = written(rules, &[known, SUBNETS, PAIRS, ISOLATED]);
    assert_eq!(
        text,
        "iifname vmap @isolated \
         ip saddr @subnets ip daddr != @subnets accept \
         ip6 daddr . th dport @pairs drop \
         ip daddr . meta l4proto . th dport @known drop"
    );
}

#[test]
fn a_rule_of_ours_in_a_chain_of_iptables_is_one_that_iptables_reads() {
    let (namespace, door) = fresh();
    run(&namespace, "iptables-nft -N DOCKER-USER");
    run(&namespace, "iptables-nft -A DOCKER-USER -j RETURN");
    let filter = Table {
        family: Family::Ipv4,
        name: "filter",
    };
    assert!(door.has_chain(filter, "DOCKER-USER").unwrap());
    assert!(!door.has_chain(filter, "ufw-user-forward").unwrap());
    let mut batch = Batch::new();
    let comment = "allowed by proa";
    batch.insert_rule(
        filter,
        "DOCKER-USER",
        &Rule::new()
            .begins(Field::Incoming, "proa")
            .counter()
            .accept()
            .comment(comment),
    );
    batch.insert_rule(
        filter,
        "DOCKER-USER",
        &Rule::new()
            .begins(Field::Outgoing, "proa")
            .counter()
            .accept()
            .comment(comment),
    );
    door.commit(&batch).unwrap();
    assert_eq!(
        run(&namespace, "iptables-nft -S DOCKER-USER"),
        "-N DOCKER-USER \
         -A DOCKER-USER -o proa+ -m comment --comment \"allowed by proa\" -j ACCEPT \
         -A DOCKER-USER -i proa+ -m comment --comment \"allowed by proa\" -j ACCEPT \
         -A DOCKER-USER -j RETURN"
    );
    run(&namespace, "iptables-nft -A DOCKER-USER -i eth9 -j DROP");
    let rules = door.rules(filter, Some("DOCKER-USER")).unwrap();
    assert_eq!(rules.len(), 4);
    let mut batch = Batch::new();
    for rule in rules
        .iter()
        .filter(|rule| rule.comment.as_deref() == Some(comment))
    {
        assert_eq!(rule.traffic, Some(Traffic::default()));
        batch.delete_rule(filter, "DOCKER-USER", rule.handle);
    }
    door.commit(&batch).unwrap();
    assert_eq!(
        run(&namespace, "iptables-nft -S DOCKER-USER"),
        "-N DOCKER-USER -A DOCKER-USER -j RETURN -A DOCKER-USER -i eth9 -j DROP"
    );
}

#[test]
fn a_batch_is_made_as_a_whole_or_not_at_all() {
    let (_namespace, door) = fresh();
    let mut batch = Batch::new();
    batch.add_table(PROA);
    let base = Base {
        kind: ChainKind::Filter,
        hook: Hook::Forward,
        priority: priority::FILTER,
        accept: false,
    };
    batch.add_chain(
        PROA,
        &Chain {
            name: "forward",
            base: Some(base),
        },
    );
    batch.add_rule(PROA, "nosuch", &Rule::new().accept());
    let error = door.commit(&batch).unwrap_err();
    assert_eq!(error.to_string(), "add a rule to chain nosuch in inet proa");
    assert!(!door.has_table(PROA).unwrap());
    assert_eq!(
        (
            door.tables().unwrap(),
            door.chains(PROA).unwrap(),
            door.rules(PROA, None).unwrap()
        ),
        (vec![], vec![], vec![])
    );

    let mut batch = Batch::new();
    batch.add_table(PROA);
    batch.add_chain(
        PROA,
        &Chain {
            name: "forward",
            base: Some(base),
        },
    );
    for _ in 0..3000 {
        batch.add_rule(
            PROA,
            "forward",
            &Rule::new().is(Field::Incoming, "eth0").counter().accept(),
        );
    }
    door.commit(&batch).unwrap();
    // Again, as after a restart: what is there stays, rules would be there twice.
    let mut batch = Batch::new();
    batch.add_table(PROA);
    batch.add_chain(
        PROA,
        &Chain {
            name: "forward",
            base: Some(base),
        },
    );
    door.commit(&batch).unwrap();
    assert_eq!(
        door.tables().unwrap(),
        [TableEntry {
            family: Family::Inet,
            name: "proa".into()
        }]
    );
    let chains = door.chains(PROA).unwrap();
    assert_eq!((chains.len(), chains[0].base), (1, Some(base)));
    assert_eq!(door.rules(PROA, Some("forward")).unwrap().len(), 3000);
    let mut batch = Batch::new();
    batch.delete_chain(PROA, "forward");
    batch.remove_table(PROA);
    batch.remove_table(PROA);
    door.commit(&batch).unwrap();
    assert!(!door.has_table(PROA).unwrap());
}
