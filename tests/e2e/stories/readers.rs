//! Clients that ask for much and read nothing: they hold their own connection, and nobody else's turn.

use std::io::{Read as _, Write as _};
use std::os::unix::net::UnixStream;
use std::time::Duration;

use serde_json::json;

use crate::kit::Engine;
use crate::support::poll;

/// More than the threads that blocking work has.
const READERS: usize = 900;

/// Some megabytes, of lines that can be told apart.
const CHATTER: &str = "i=0; while [ $i -lt 40000 ]; do echo \"$i a line that is somewhat longer than most lines are\"; i=$((i+1)); done; echo over; sleep 1000";

/// Asks for a whole log, and reads only that there is one.
fn ask(engine: &Engine, id: &str, follow: bool) -> UnixStream {
    let mut stream = UnixStream::connect(engine.agent.socket()).expect("the engine listens");
    let patience = Some(Duration::from_secs(120));
    stream.set_read_timeout(patience).expect("a socket waits");
    let head =
        format!("GET /containers/{id}/logs?stdout=1&follow={follow} HTTP/1.1\r\nHost: x\r\n\r\n");
    stream
        .write_all(head.as_bytes())
        .expect("a request can be written");
    let mut first = [0; 15];
    stream.read_exact(&mut first).expect("an answer begins");
    assert_eq!(&first, b"HTTP/1.1 200 OK");
    stream
}

/// Reads to the last line.
fn rest(mut reader: UnixStream) -> String {
    let mut text = String::new();
    while !text.contains("over\n") {
        let mut some = [0; 16384];
        let length = reader.read(&mut some).expect("the rest comes");
        assert!(length > 0, "the answer has all lines");
        text += &String::from_utf8_lossy(&some[..length]);
    }
    text
}

#[test]
fn readers_of_logs_that_do_not_read_stop_nobody() {
    let engine = Engine::start();
    let id = engine.shell(CHATTER, &json!({}));
    let tail = |lines: usize| {
        let path = format!("/containers/{id}/logs?stdout=1&tail={lines}");
        engine.agent.api().get(&path).ok().body
    };
    poll(Duration::from_secs(120), "the log is whole", || {
        tail(1).ends_with(b"over\n")
    });
    let mut slow: Vec<_> = (0..READERS)
        .map(|at| ask(&engine, &id, at % 2 == 0))
        .collect();
    // What needs threads of the pool still gets them.
    assert_eq!(
        engine.run("echo still here", &json!({})),
        (0, "still here\n".to_owned())
    );
    assert!(tail(2).ends_with(b"over\n"));
    // And who was slow gets the rest, the last of each kind: a machine watches fewer files than there are readers.
    for reader in slow.drain(READERS - 2..) {
        let text = rest(reader);
        assert!(text.contains("20000 a line"), "no line is left out");
    }
    drop(slow);
    engine.agent.assert_nothing_left();
}
