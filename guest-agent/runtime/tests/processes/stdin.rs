//! Standard input.

use std::io::Write;

use proa_runtime::client::{Request, Stdin};

use crate::Test;
use crate::ground::{Ground, blocking};

pub(crate) const TESTS: &[Test] = &[
    ("100_mb_go_through_cat", hundred_megabytes_go_through_cat),
    (
        "input_ends_when_both_sides_let_go",
        input_ends_when_both_sides_let_go,
    ),
];

fn hundred_megabytes_go_through_cat() {
    let ground = Ground::new();
    let mut launch = ground.launch("c", &["/bin/cat"]);
    launch.stdin = Stdin::Once;
    launch.log = proa_runtime::log::LogSink::NONE;
    let mut running = ground.start(&launch);
    let mut stdin = blocking(running.stdin.take().unwrap());
    running.ask(&Request::CloseStdin).0.unwrap();
    let block: Vec<u8> = (0..1_000_000_u32).map(|i| (i % 251) as u8).collect();
    let expected = block.clone();
    let writer = std::thread::spawn(move || {
        for _ in 0..100 {
            stdin.write_all(&block).unwrap();
        }
    });
    let (out, err) = running.read_all();
    writer.join().unwrap();
    assert_eq!((out.len(), err.len()), (100_000_000, 0));
    assert!(out.chunks(1_000_000).all(|chunk| chunk == expected));
    assert_eq!(running.exit().code, 0);
}

fn input_ends_when_both_sides_let_go() {
    let ground = Ground::new();
    let mut launch = ground.launch("c", &["/bin/cat"]);
    launch.stdin = Stdin::Open;
    let mut running = ground.start(&launch);
    let mut stdin = blocking(running.stdin.take().unwrap());
    stdin.write_all(b"one\n").unwrap();
    drop(stdin);
    // The monitor still holds it open, for the next client.
    let request = Request::Attach {
        streams: none(),
        stdin: true,
    };
    let (reply, stdin) = running.ask(&request);
    reply.unwrap();
    blocking(stdin.unwrap()).write_all(b"two\n").unwrap();
    running.ask(&Request::CloseStdin).0.unwrap();
    assert_eq!(running.exit().code, 0);
    assert_eq!(running.read_all().0, b"one\ntwo\n");
}

fn none() -> proa_runtime::client::Streams {
    proa_runtime::client::Streams {
        stdout: false,
        stderr: false,
    }
}
