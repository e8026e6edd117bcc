//! Log drivers with real servers.

use std::io::Read;
use std::net::{TcpListener, UdpSocket};
use std::os::unix::net::UnixDatagram;

use proa_runtime::log::read::{Format, Query, Reader};
use proa_runtime::log::sink::{
    Endpoint, Fluentd, Gelf, GelfCompression, Journald, Syslog, SyslogFormat,
};
use proa_runtime::log::{Driver, FileLog, LogSink, Mode};

use crate::Test;
use crate::ground::Ground;

pub(crate) const TESTS: &[Test] = &[
    (
        "the_journal_and_a_copy_get_every_line",
        the_journal_and_a_copy_get_every_line,
    ),
    (
        "a_syslog_server_gets_messages",
        a_syslog_server_gets_messages,
    ),
    (
        "fluentd_gets_what_was_written_before_it_came",
        fluentd_gets_what_was_written_before_it_came,
    ),
    ("graylog_gets_datagrams", graylog_gets_datagrams),
    (
        "a_log_server_that_is_not_there_fails_the_start",
        a_log_server_that_is_not_there_fails_the_start,
    ),
    (
        "a_log_server_that_hangs_makes_the_container_wait",
        a_log_server_that_hangs_makes_the_container_wait,
    ),
];

fn sink(driver: Driver) -> LogSink {
    LogSink {
        driver,
        mode: Mode::Blocking,
        cache: None,
    }
}

fn the_journal_and_a_copy_get_every_line() {
    let ground = Ground::new();
    let socket = ground.dir.path().join("journal");
    let journal = UnixDatagram::bind(&socket).unwrap();
    let copy = ground.dir.path().join("copy.log");
    let mut launch = ground.script(
        "c",
        "i=0; while [ $i -lt 300 ]; do echo line $i; i=$((i+1)); done",
    );
    let fields = vec![("CONTAINER_NAME".to_owned(), "c".to_owned())];
    let cache = Some(FileLog::capped(copy.clone()));
    launch.log = LogSink {
        cache,
        ..sink(Driver::Journald(Journald { socket, fields }))
    };
    let mut running = ground.start_with(&launch, &[]).unwrap();
    let mut buffer = [0; 4096];
    for number in 0..300 {
        let length = journal.recv(&mut buffer).unwrap();
        let text = String::from_utf8_lossy(&buffer[..length]).into_owned();
        assert!(
            text.starts_with(&format!("MESSAGE=line {number}\nPRIORITY=6\n")),
            "{text}"
        );
        assert!(text.ends_with("CONTAINER_NAME=c\n"), "{text}");
    }
    assert_eq!(running.exit().code, 0);
    let copied: Vec<_> = Reader::open(&copy, Format::Local, Query::ALL)
        .unwrap()
        .collect();
    assert_eq!(copied.len(), 300);
    assert_eq!(copied[299].as_ref().unwrap().line, b"line 299\n");
}

fn a_syslog_server_gets_messages() {
    let ground = Ground::new();
    let server = UdpSocket::bind("127.0.0.1:0").unwrap();
    let mut launch = ground.script("c", "echo hello >&2");
    launch.log = sink(Driver::Syslog(Syslog {
        endpoint: Endpoint::Udp(server.local_addr().unwrap()),
        facility: 16,
        format: SyslogFormat::Rfc5424,
        tag: "t".into(),
        hostname: "h".into(),
    }));
    let mut running = ground.start_with(&launch, &[]).unwrap();
    let mut buffer = [0; 4096];
    let length = server.recv(&mut buffer).unwrap();
    let text = String::from_utf8_lossy(&buffer[..length]);
    assert!(
        text.starts_with("<131>1 20") && text.ends_with(" t - hello\n"),
        "{text}"
    );
    assert_eq!(running.exit().code, 0);
}

fn fluentd_gets_what_was_written_before_it_came() {
    let ground = Ground::new();
    let address = TcpListener::bind("127.0.0.1:0")
        .unwrap()
        .local_addr()
        .unwrap();
    let mut launch = ground.script("c", "echo early");
    launch.log = sink(Driver::Fluentd(Fluentd {
        endpoint: Endpoint::Tcp(address),
        tag: "t".into(),
        fields: Vec::new(),
        buffer: 100_000,
        sub_second: true,
        lazy: true,
    }));
    let mut running = ground.start_with(&launch, &[]).unwrap();
    assert_eq!(running.exit().code, 0);
    let server = TcpListener::bind(address).unwrap();
    let mut bytes = Vec::new();
    server.accept().unwrap().0.read_to_end(&mut bytes).unwrap();
    assert!(
        bytes.starts_with(b"\x93\xa1t\xd7\0") && bytes.ends_with(b"\xa3log\xa5early"),
        "{bytes:?}"
    );
}

fn graylog_gets_datagrams() {
    let ground = Ground::new();
    let server = UdpSocket::bind("127.0.0.1:0").unwrap();
    let mut launch = ground.script("c", "echo hello");
    launch.log = sink(Driver::Gelf(Gelf {
        endpoint: Endpoint::Udp(server.local_addr().unwrap()),
        compression: GelfCompression::None,
        hostname: "h".into(),
        fields: Vec::new(),
    }));
    let mut running = ground.start_with(&launch, &[]).unwrap();
    let mut buffer = [0; 4096];
    let length = server.recv(&mut buffer).unwrap();
    let document: serde_json::Value = serde_json::from_slice(&buffer[..length]).unwrap();
    assert_eq!(document["short_message"], "hello");
    assert_eq!(running.exit().code, 0);
}

fn a_log_server_that_is_not_there_fails_the_start() {
    let ground = Ground::new();
    let mut launch = ground.script("c", "echo hello");
    launch.log = sink(Driver::Journald(Journald {
        socket: "/nowhere".into(),
        fields: Vec::new(),
    }));
    let error = ground.start_with(&launch, &[]).err().unwrap().unwrap();
    let told = "start the monitor unixgram:///nowhere: no such file or directory";
    assert_eq!(error.to_string(), told);
}

fn a_log_server_that_hangs_makes_the_container_wait() {
    let ground = Ground::new();
    let server = TcpListener::bind("127.0.0.1:0").unwrap();
    let size = 20_000_000;
    let mut launch = ground.script("c", &format!("head -c {size} /dev/zero | tr '\\0' x; echo"));
    launch.log = sink(Driver::Syslog(Syslog {
        endpoint: Endpoint::Tcp(server.local_addr().unwrap()),
        facility: 3,
        format: SyslogFormat::Unix,
        tag: "t".into(),
        hostname: "h".into(),
    }));
    let mut running = ground.start_with(&launch, &[]).unwrap();
    let (mut connection, _) = server.accept().unwrap();
    std::thread::sleep(std::time::Duration::from_millis(500));
    // It waits, and what is asked of the monitor is answered all the same.
    let target = proa_runtime::client::Target::Init;
    running
        .ask(&proa_runtime::client::Request::Signal { target, signal: 0 })
        .0
        .unwrap();
    let rss: u64 = crate::ground::status(running.started.monitor, "VmRSS")
        .unwrap()
        .trim_end_matches(" kB")
        .parse()
        .unwrap();
    assert!(rss < 20_000, "{rss} kB");
    let mut bytes = Vec::new();
    connection.read_to_end(&mut bytes).unwrap();
    assert_eq!(bytes.split(|byte| *byte == b'x').count() - 1, size);
    assert_eq!(running.exit().code, 0);
}
