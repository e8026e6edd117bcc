//! Output on its way to the log and to clients.

use std::io::{Read, Write};
use std::os::fd::{AsFd, OwnedFd};
use std::os::unix::net::UnixStream;
use std::time::Duration;

use proa_runtime::client::{Request, Stdin, Streams, Target};

use crate::Test;
use crate::ground::{Ground, blocking, eventually, exec, read_frames, with_terminal};

pub(crate) const TESTS: &[Test] = &[
    (
        "a_container_starts_writes_and_ends",
        a_container_starts_writes_and_ends,
    ),
    (
        "a_command_that_is_missing_is_told",
        a_command_that_is_missing_is_told,
    ),
    (
        "every_line_of_both_streams_arrives_twice",
        every_line_of_both_streams_arrives_twice,
    ),
    (
        "a_slow_client_loses_nothing_and_stops_nobody_else",
        a_slow_client_loses_nothing_and_stops_nobody_else,
    ),
    (
        "a_client_that_leaves_is_forgotten",
        a_client_that_leaves_is_forgotten,
    ),
    (
        "a_terminal_is_raw_and_can_be_resized",
        a_terminal_is_raw_and_can_be_resized,
    ),
    ("a_client_may_come_later", a_client_may_come_later),
];

fn a_container_starts_writes_and_ends() {
    let ground = Ground::new();
    let mut running = ground.start(&ground.script("c", "echo out; echo err >&2; exit 3"));
    let exit = running.exit();
    assert_eq!(exit.code, 3);
    let (out, err) = running.read_all();
    assert_eq!((&out[..], &err[..]), (&b"out\n"[..], &b"err\n"[..]));
    let log = ground.log_text("c");
    assert!(
        log.contains(r#"{"log":"out\n","stream":"stdout","time":""#),
        "{log}"
    );
    assert!(
        log.contains(r#"{"log":"err\n","stream":"stderr","time":""#),
        "{log}"
    );
    let recorded = proa_runtime::client::exit(&ground.run_dir("c"))
        .unwrap()
        .unwrap();
    assert_eq!(recorded, exit);
    eventually("the monitor ends", || {
        crate::ground::status(running.started.monitor, "State").is_none()
    });
}

fn a_command_that_is_missing_is_told() {
    let ground = Ground::new();
    let launch = ground.launch("c", &["/no/such/command"]);
    let error = ground
        .start_with(&launch, &[])
        .err()
        .unwrap()
        .expect("told why");
    assert_eq!(error.exit_code(), 127);
    assert!(!ground.run_dir("c").join("monitor.sock").exists());
}

fn every_line_of_both_streams_arrives_twice() {
    let ground = Ground::new();
    let script =
        "i=0; while [ $i -lt 20000 ]; do echo line $i; echo error $i >&2; i=$((i+1)); done";
    let mut running = ground.start(&ground.script("c", script));
    let (out, err) = running.read_all();
    let expected = |word| {
        let lines: Vec<String> = (0..20000).map(|i| format!("{word} {i}\n")).collect();
        lines.concat()
    };
    assert!(out == expected("line").as_bytes());
    assert!(err == expected("error").as_bytes());
    assert_eq!(running.exit().code, 0);
    let logged = ground.logged("c");
    let of = |word: &str| -> String {
        logged
            .split_inclusive('\n')
            .filter(|line| line.starts_with(word))
            .collect()
    };
    assert!(of("line") == expected("line"));
    assert!(of("error") == expected("error"));
}

fn a_slow_client_loses_nothing_and_stops_nobody_else() {
    let ground = Ground::new();
    let size = 3_000_000;
    let script = format!("head -c {size} /dev/zero | tr '\\0' x; echo");
    let mut running = ground.start(&ground.script("c", &script));
    // Nobody reads the output; an exec beside it is not held up.
    std::thread::sleep(Duration::from_millis(200));
    let (mut output, _) = running.exec(&exec("e", "echo quick; exit 4")).unwrap();
    assert_eq!(running.exec_exit("e").code, 4);
    assert_eq!(read_frames(&mut output).0, b"quick\n");
    assert!(
        ground.log_text("c").len() < 2_000_000,
        "the container was made to wait"
    );
    let (out, _) = running.read_all();
    assert_eq!(out.len(), size + 1);
    assert_eq!(running.exit().code, 0);
    assert_eq!(ground.logged("c").len(), size + 1);
}

fn a_client_that_leaves_is_forgotten() {
    let ground = Ground::new();
    let script =
        "i=0; while [ $i -lt 20000 ]; do echo a line of some length, number $i; i=$((i+1)); done";
    let mut running = ground.start(&ground.script("c", script));
    drop(running.output.take());
    assert_eq!(running.exit().code, 0);
    assert_eq!(ground.logged("c").lines().count(), 20_000);
}

fn a_terminal_is_raw_and_can_be_resized() {
    let ground = Ground::new();
    let script = "stty size; read line; stty size; echo \"got $line\"";
    let mut launch = ground.script("c", script);
    launch.plan.process = with_terminal(launch.plan.process);
    launch.stdin = Stdin::Open;
    let mut running = ground.start(&launch);
    let size = proa_runtime::client::Size {
        rows: 50,
        columns: 132,
    };
    let (reply, _) = running.ask(&Request::Resize {
        target: Target::Init,
        size,
    });
    reply.unwrap();
    blocking(running.stdin.take().unwrap())
        .write_all(b"hello\n")
        .unwrap();
    assert_eq!(running.exit().code, 0);
    let mut text = String::new();
    running
        .output
        .take()
        .unwrap()
        .read_to_string(&mut text)
        .unwrap();
    assert!(text.ends_with("50 132\r\ngot hello\r\n"), "{text:?}");
    assert!(ground.logged("c").ends_with("50 132\r\ngot hello\r\n"));
}

fn a_client_may_come_later() {
    let ground = Ground::new();
    let mut launch = ground.script("c", "echo first; read line; echo \"then $line\"");
    launch.stdin = Stdin::Open;
    let mut running = ground.start_with(&launch, &[]).unwrap();
    eventually("the first line is logged", || {
        ground.logged("c") == "first\n"
    });
    let (mut ours, theirs) = UnixStream::pair().unwrap();
    let theirs = OwnedFd::from(theirs);
    let request = Request::Attach {
        streams: Streams {
            stdout: true,
            stderr: false,
        },
        stdin: true,
    };
    let sequence = running.monitor.send(&request, &[theirs.as_fd()]).unwrap();
    drop(theirs);
    let (reply, stdin) = running
        .monitor
        .wait_reply(sequence, &mut running.events)
        .unwrap();
    reply.unwrap();
    blocking(stdin.unwrap()).write_all(b"more\n").unwrap();
    assert_eq!(running.exit().code, 0);
    assert_eq!(read_frames(&mut ours).0, b"then more\n");
}
