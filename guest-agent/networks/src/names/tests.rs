//! Questions and answers as bytes: what is told to whom.

use std::collections::BTreeSet;
use std::net::IpAddr;

use hickory_proto::op::{Edns, Message, Query, ResponseCode};
use hickory_proto::rr::{DNSClass, Name, RData, RecordType};

use super::message::{check_reply, fit_bytes};
use super::{Answer, Client, Entry, Membership, Names, Resolvers, Transport, answer};

fn address(text: &str) -> IpAddr {
    text.parse().expect("an address")
}

fn entry(names: &[&str], addresses: &[&str]) -> Entry {
    Entry {
        names: names.iter().map(|name| (*name).to_owned()).collect(),
        addresses: addresses.iter().map(|text| address(text)).collect(),
    }
}

/// Two networks: `shop`, with two `web` and a `db`, and `back.office`, with another `db`.
fn names() -> Names {
    let names = Names::new();
    names.name_network("n1", "shop");
    names.name_network("n2", "back.office");
    let web1 = entry(&["Web-1", "web", "0123456789ab"], &["10.0.0.2", "fd00::2"]);
    names.set("n1", "c1", web1);
    names.set("n1", "c2", entry(&["web-2", "web"], &["10.0.0.3"]));
    names.set("n1", "c3", entry(&["db", "my.dotted.name"], &["10.0.0.4"]));
    names.set("n2", "c4", entry(&["db"], &["10.1.0.4"]));
    names
}

fn client() -> Client {
    let member = |network: &str| Membership {
        network: network.to_owned(),
        ..Membership::default()
    };
    let mut client = Client {
        networks: vec![member("n1"), member("n2")],
        forward: true,
        ..Client::default()
    };
    let link = ("database".to_owned(), "db".to_owned());
    client.networks[1].links.extend([link]);
    let host = ("host.docker.internal".to_owned(), vec![address("10.0.0.1")]);
    client.hosts.extend([host]);
    client
}

fn question(name: &str, kind: RecordType) -> Message {
    let mut message = Message::query();
    message.metadata.recursion_desired = true;
    let name = Name::from_labels(name.split('.').map(str::as_bytes)).expect("a name");
    message.add_query(Query::query(name, kind));
    message
}

fn bytes(message: &Message) -> Vec<u8> {
    message.to_vec().expect("it encodes")
}

/// What is answered over UDP: records, or the code, or that somebody else is asked.
fn told(client: &Client, names: &Names, request: &Message) -> String {
    let reply = match answer(&bytes(request), Transport::Udp, client, names, 7) {
        Answer::Reply(reply) => Message::from_vec(&reply).expect("the reply decodes"),
        Answer::Forward(_) => return "forwarded".into(),
        Answer::Nothing => return "nothing".into(),
    };
    assert_eq!(reply.metadata.id, request.metadata.id);
    assert_eq!(reply.queries, request.queries, "the question comes back");
    if reply.metadata.response_code != ResponseCode::NoError {
        return format!("{:?}", reply.metadata.response_code);
    }
    let records = reply.answers.iter().map(|record| record.data.to_string());
    records
        .collect::<BTreeSet<_>>()
        .into_iter()
        .collect::<Vec<_>>()
        .join(" ")
}

#[track_caller]
fn check(name: &str, kind: RecordType, expected: &str) {
    assert_eq!(
        told(&client(), &names(), &question(name, kind)),
        expected,
        "{name} {kind}"
    );
}

#[test]
fn a_name_has_the_addresses_of_all_who_bear_it() {
    check("web", RecordType::A, "10.0.0.2 10.0.0.3");
    check("WEB", RecordType::A, "10.0.0.2 10.0.0.3");
    check("web-1", RecordType::A, "10.0.0.2");
    check("0123456789ab", RecordType::AAAA, "fd00::2");
    check("my.dotted.name", RecordType::A, "10.0.0.4");
    check("web-1", RecordType::ANY, "10.0.0.2 fd00::2");
}

#[test]
fn the_first_network_wins_and_a_suffix_chooses() {
    check("db", RecordType::A, "10.0.0.4");
    check("db.shop", RecordType::A, "10.0.0.4");
    check("db.Back.Office", RecordType::A, "10.1.0.4");
    check("my.dotted.name.shop", RecordType::A, "10.0.0.4");
    check("web.back.office", RecordType::A, "forwarded");
}

#[test]
fn a_link_is_the_clients_own_word() {
    check("database", RecordType::A, "10.1.0.4");
    check("database.back.office", RecordType::A, "10.1.0.4");
    check("database.shop", RecordType::A, "forwarded");
    check("host.docker.internal", RecordType::A, "10.0.0.1");
}

#[test]
fn what_a_network_knows_is_never_asked_elsewhere() {
    check("db", RecordType::AAAA, "");
    check("db", RecordType::MX, "");
    check("db", RecordType::HTTPS, "");
    check("nobody", RecordType::A, "forwarded");
    check("example.com", RecordType::A, "forwarded");
}

#[test]
fn an_address_has_a_name() {
    check("2.0.0.10.in-addr.arpa", RecordType::PTR, "web-1.shop.");
    check("4.0.1.10.in-addr.arpa", RecordType::PTR, "db.back.office.");
    let v6 = format!("2{}.0.0.d.f.ip6.arpa", ".0".repeat(27));
    check(&v6, RecordType::PTR, "web-1.shop.");
    check("9.0.0.10.in-addr.arpa", RecordType::PTR, "forwarded");
    check("0.10.in-addr.arpa", RecordType::PTR, "forwarded");
}

#[test]
fn a_client_without_the_outside_is_told_at_once() {
    let client = Client {
        forward: false,
        ..client()
    };
    let told = |name, kind| told(&client, &names(), &question(name, kind));
    assert_eq!(told("web-2", RecordType::A), "10.0.0.3");
    assert_eq!(told("nobody", RecordType::A), "NXDomain");
    assert_eq!(told("example.com", RecordType::AAAA), "NXDomain");
    assert_eq!(told("9.0.0.10.in-addr.arpa", RecordType::PTR), "NXDomain");
}

#[test]
fn names_change_while_they_are_served() {
    let (client, names) = (client(), names());
    let told = || told(&client, &names, &question("web", RecordType::A));
    names.remove("n1", "c1");
    assert_eq!(told(), "10.0.0.3");
    names.set("n1", "c2", entry(&["renamed"], &["10.0.0.3"]));
    assert_eq!(told(), "forwarded");
    // The next owner of an address may be told of before the last one is forgotten.
    names.set("n1", "c9", entry(&["web"], &["10.0.0.3"]));
    names.remove("n1", "c2");
    let reverse = question("3.0.0.10.in-addr.arpa", RecordType::PTR);
    assert_eq!(super::tests::told(&client, &names, &reverse), "web.shop.");
    names.forget_network("n1");
    assert_eq!(told(), "forwarded");
}

#[test]
fn another_seed_is_another_order() {
    let first = |seed| match answer(
        &bytes(&question("web", RecordType::A)),
        Transport::Udp,
        &client(),
        &names(),
        seed,
    ) {
        Answer::Reply(reply) => Message::from_vec(&reply).expect("it decodes").answers[0]
            .data
            .to_string(),
        other => panic!("{other:?}"),
    };
    let firsts: Vec<String> = (0..100).map(first).collect();
    for one in ["10.0.0.2", "10.0.0.3"] {
        let times = firsts.iter().filter(|found| *found == one).count();
        assert!(
            (25..75).contains(&times),
            "{one} came first {times} times of 100"
        );
    }
}

fn many() -> Names {
    let names = names();
    for number in 0..=255 {
        let at = format!("10.0.9.{number}");
        names.set("n1", &at, entry(&["many"], &[&at]));
    }
    names
}

#[test]
fn a_reply_fits_in_what_the_client_takes() {
    let reply = |request: &Message, transport| match answer(
        &bytes(request),
        transport,
        &client(),
        &many(),
        1,
    ) {
        Answer::Reply(reply) => (reply.len(), Message::from_vec(&reply).expect("it decodes")),
        other => panic!("{other:?}"),
    };
    let plain = question("many", RecordType::A);
    let (length, cut) = reply(&plain, Transport::Udp);
    assert!(
        length <= 512 && cut.metadata.truncation && cut.answers.len() == 30,
        "{length} {cut}"
    );
    let mut extended = plain.clone();
    extended.edns = Some(Edns::new());
    if let Some(edns) = &mut extended.edns {
        edns.set_max_payload(1232);
    }
    let (length, cut) = reply(&extended, Transport::Udp);
    assert!(length <= 1232 && cut.metadata.truncation && cut.edns.is_some());
    assert!(cut.answers.len() > 70);
    let (_, whole) = reply(&plain, Transport::Tcp);
    assert!(!whole.metadata.truncation && whole.answers.len() == 256);
}

#[test]
fn what_is_no_question_is_refused_or_ignored() {
    let (client, names) = (client(), names());
    let told = |bytes: &[u8]| match answer(bytes, Transport::Udp, &client, &names, 0) {
        Answer::Reply(reply) => {
            assert!(
                reply.len() <= bytes.len().max(12),
                "a refusal is no longer than what it refuses"
            );
            format!(
                "{:?}",
                Message::from_vec(&reply)
                    .expect("it decodes")
                    .metadata
                    .response_code
            )
        }
        Answer::Forward(_) => "forwarded".into(),
        Answer::Nothing => "nothing".into(),
    };
    let whole = bytes(&question("web", RecordType::A));
    assert_eq!(told(b""), "nothing");
    assert_eq!(told(&whole[..11]), "nothing");
    assert_eq!(told(&whole[..whole.len() - 1]), "FormErr");
    let with = |at: usize, value: u8| {
        let mut bytes = whole.clone();
        bytes[at] = value;
        bytes
    };
    assert_eq!(told(&with(2, 0x80)), "nothing", "a reply");
    assert_eq!(told(&with(2, 0x28)), "NotImp", "an update");
    assert_eq!(told(&with(5, 2)), "FormErr", "two questions promised");
    assert_eq!(told(&with(4, 0xff)), "FormErr", "thousands promised");
    assert_eq!(
        told(&with(12, 0xc0)),
        "FormErr",
        "a name that points at itself"
    );
    assert_eq!(
        told(&[whole.clone(), vec![0; 5000]].concat()),
        "FormErr",
        "too long"
    );
    assert_eq!(told(&bytes(&question("web", RecordType::AXFR))), "Refused");
    let mut chaos = question("web", RecordType::TXT);
    chaos.queries[0].set_query_class(DNSClass::CH);
    assert_eq!(told(&bytes(&chaos)), "forwarded");
    let mut newer = question("web", RecordType::A);
    let mut edns = Edns::new();
    edns.set_version(1);
    newer.edns = Some(edns);
    // 16 is BADVERS here and BADSIG in another place (RFC 6895, 2.3); the decoder knows it by that name.
    assert_eq!(super::tests::told(&client, &names, &newer), "BADSIG");
}

#[test]
fn anything_at_all_is_survived() {
    let (client, names) = (client(), many());
    let whole = bytes(&question("many.shop", RecordType::A));
    for seed in 0..20_000u32 {
        // A valid question with a few bytes changed goes deeper than noise.
        let mut bytes = whole.clone();
        let mut state = seed;
        for _ in 0..=seed % 6 {
            state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
            let at = (state >> 8) as usize % bytes.len();
            bytes[at] = (state >> 24) as u8;
        }
        if let Answer::Reply(reply) = answer(&bytes, Transport::Udp, &client, &names, 0) {
            assert!(reply.len() <= 65_507);
            Message::from_vec(&reply).expect("what is answered decodes");
        }
    }
}

#[test]
fn a_reply_counts_only_if_it_is_one_to_the_question() {
    let asked = question("example.com", RecordType::A);
    let query = &asked.queries[0];
    let id = asked.metadata.id;
    let counts = |change: &dyn Fn(&mut Message)| {
        let mut reply = asked.clone().into_response();
        change(&mut reply);
        check_reply(&bytes(&reply), id, query).is_some()
    };
    assert!(counts(&|_| {}));
    assert!(counts(
        &|reply| reply.queries = question("EXAMPLE.com", RecordType::A).queries
    ));
    assert!(!counts(&|reply| reply.metadata.id ^= 1));
    assert!(!counts(
        &|reply| reply.queries = question("example.org", RecordType::A).queries
    ));
    assert!(!counts(
        &|reply| reply.queries = question("example.com", RecordType::AAAA).queries
    ));
    assert!(!counts(&|reply| reply.queries.clear()));
    assert!(counts(&|reply| {
        reply.queries.clear();
        reply.metadata.response_code = ResponseCode::FormErr;
    }));
    assert!(
        check_reply(&bytes(&asked), id, query).is_none(),
        "a question is no reply"
    );
    assert!(check_reply(b"", id, query).is_none());
}

#[test]
fn a_reply_from_elsewhere_is_cut_to_size_even_if_it_cannot_be_read() {
    let mut reply = question("example.com", RecordType::TXT).into_response();
    let text = RData::TXT(hickory_proto::rr::rdata::TXT::new(vec!["x".repeat(200)]));
    for _ in 0..10 {
        let name = reply.queries[0].name().clone();
        reply.add_answer(hickory_proto::rr::Record::from_rdata(name, 1, text.clone()));
    }
    let whole = bytes(&reply);
    assert_eq!(fit_bytes(whole.clone(), whole.len()), whole);
    let cut = fit_bytes(whole.clone(), 512);
    let cut = Message::from_vec(&cut).expect("it decodes");
    assert!(cut.metadata.truncation && cut.answers.len() == 2);
    let mut broken = whole;
    broken.truncate(1000);
    let cut = Message::from_vec(&fit_bytes(broken, 512)).expect("it decodes");
    assert!(cut.metadata.truncation && cut.answers.is_empty());
}

#[test]
fn resolvers_are_read_as_the_c_library_does() {
    let read = Resolvers::parse(
        "# made by hand\nnameserver 192.0.2.1\nnameserver bogus\n nameserver 2001:db8::1\nnameserver fe80::1%7\n\
         domain old.example\nsearch a.example b.example\noptions ndots:2 rotate\noptions timeout:1\n",
    );
    let servers: Vec<String> = read.servers.iter().map(ToString::to_string).collect();
    assert_eq!(
        servers,
        ["192.0.2.1:53", "[2001:db8::1]:53", "[fe80::1%7]:53"]
    );
    assert_eq!(read.search, ["a.example", "b.example"]);
    assert_eq!(read.options, ["ndots:2", "rotate", "timeout:1"]);
    assert_eq!(Resolvers::parse(""), Resolvers::default());
}
