//! Questions from any bytes: nothing panics, a reply fits, answers the question that was asked, and is not much longer
//! than what is known.
#![no_main]

use std::net::IpAddr;
use std::sync::LazyLock;

use libfuzzer_sys::fuzz_target;
use proa_networks::names::{Answer, Client, Entry, Membership, Names, Transport, answer};

static NAMES: LazyLock<Names> = LazyLock::new(|| {
    let names = Names::new();
    names.name_network("n", "net");
    for number in 0..100 {
        let entry = Entry {
            names: vec![format!("web-{number}"), "web".into(), "a.b".into()],
            addresses: vec![IpAddr::from([10, 0, 0, number])],
        };
        names.set("n", &number.to_string(), entry);
    }
    names
});

fuzz_target!(|bytes: &[u8]| {
    let membership = Membership {
        network: "n".into(),
        ..Membership::default()
    };
    for forward in [true, false] {
        let client = Client {
            networks: vec![membership.clone()],
            forward,
            ..Client::default()
        };
        for transport in [Transport::Udp, Transport::Tcp] {
            match answer(bytes, transport, &client, &NAMES, 1) {
                Answer::Reply(reply) => {
                    assert!(reply.len() >= 12 && reply.len() <= 100 * 16 + 4096 + 600);
                    assert_eq!(reply[..2], bytes[..2], "the id comes back");
                    assert!(reply[2] & 0x80 != 0, "it is a reply");
                }
                Answer::Forward(_) => assert!(forward),
                Answer::Nothing => assert!(bytes.len() < 12 || bytes[2] & 0x80 != 0),
            }
        }
    }
});
