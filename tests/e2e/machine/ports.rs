//! Published ports on this host.

use std::io::{Read, Write};
use std::net::{TcpListener, TcpStream, UdpSocket};
use std::process::Command;
use std::time::Duration;

use crate::kit::{User, free_port, until};

/// What the web server of the container says.
pub(crate) const PAGE: &str =
    "mkdir /www; echo hello from inside > /www/index.html; exec httpd -f -p 80 -h /www";

pub(crate) fn fetch(address: &str) -> std::io::Result<String> {
    let mut stream = TcpStream::connect(address)?;
    stream.set_read_timeout(Some(Duration::from_secs(60)))?;
    stream.write_all(b"GET / HTTP/1.0\r\n\r\n")?;
    let mut answer = String::new();
    stream.read_to_string(&mut answer)?;
    Ok(answer)
}

#[test]
fn a_published_port_answers_on_this_host_until_the_container_stops() {
    let user = User::started();
    let port = free_port();
    let publish = format!("127.0.0.1:{port}:80");
    let web = user.detached(&["-p", &publish], &["sh", "-c", PAGE]);
    let address = format!("127.0.0.1:{port}");
    // The port is open as soon as the start is acknowledged; what is behind it may take a moment.
    TcpStream::connect(&address).expect("the port is open");
    until("the page is there", || {
        fetch(&address).is_ok_and(|answer| answer.contains("hello from inside"))
    });
    let listed = user.status()["ports"].to_string();
    assert!(listed.contains(&address), "{listed}");
    user.docker(&["stop", "-t", "1", &web]).ok();
    until("the port is closed", || {
        TcpStream::connect(&address).is_err()
    });
    user.docker(&["start", &web]).ok();
    until("the page is there again", || fetch(&address).is_ok());
    user.docker(&["rm", "-f", &web]).ok();
    until("the port is closed for good", || {
        TcpStream::connect(&address).is_err()
    });
}

#[test]
fn a_port_that_the_engine_chose_is_open_in_both_families() {
    let user = User::started();
    let web = user.detached(&["-p", "80"], &["sh", "-c", PAGE]);
    let told = user.docker(&["port", &web, "80/tcp"]).ok();
    let port = told.lines().next().and_then(|line| line.rsplit(':').next());
    let port = port.expect("a port was chosen");
    for address in [format!("127.0.0.1:{port}"), format!("[::1]:{port}")] {
        until(&address, || {
            fetch(&address).is_ok_and(|answer| answer.contains("hello"))
        });
    }
    user.docker(&["rm", "-f", &web]).ok();
}

/// Sends back what comes. The image has no program for datagrams, so one of this host does it in the container's network.
const ECHO: &str = r#"$s = IO::Socket::INET->new(Proto => "udp", LocalPort => 5000);
    while (defined $s->recv($d, 9000)) { $s->send("heard $d") }"#;

#[test]
fn datagrams_go_in_and_come_back() {
    let user = User::started();
    let port = free_port();
    let publish = format!("127.0.0.1:{port}:5000/udp");
    let container = user.detached(&["-p", &publish], &["sleep", "1000"]);
    let pid = user.docker(&["inspect", "-f", "{{.State.Pid}}", &container]);
    let namespace = format!("--net=/proc/{}/ns/net", pid.ok().trim());
    let mut echo = Command::new("nsenter")
        .args([namespace.as_str(), "perl", "-MIO::Socket::INET", "-e", ECHO])
        .spawn()
        .expect("nsenter starts");
    let socket = UdpSocket::bind("127.0.0.1:0").expect("loopback is there");
    let wait = Some(Duration::from_millis(500));
    socket.set_read_timeout(wait).expect("it is a socket");
    let mut buffer = [0; 100];
    until("a datagram comes back", || {
        let sent = socket.send_to(b"ping", ("127.0.0.1", port));
        sent.expect("it is sent");
        let answer = socket.recv(&mut buffer);
        answer.is_ok_and(|count| &buffer[..count] == b"heard ping")
    });
    echo.kill().expect("it runs");
    let _ = echo.wait();
    user.docker(&["rm", "-f", &container]).ok();
}

#[test]
fn a_port_in_use_fails_the_start_and_names_its_holder() {
    let user = User::started();
    let taken = TcpListener::bind("127.0.0.1:0").expect("loopback is there");
    let port = taken.local_addr().expect("it is bound").port();
    let publish = format!("127.0.0.1:{port}:80");
    let run = [
        "run",
        "-d",
        "--name",
        "late",
        "-p",
        &publish,
        &user.image,
        "sleep",
        "1000",
    ];
    let refused = user.docker(&run).failed(125);
    assert!(refused.contains("port is already allocated"), "{refused}");
    let us = format!("(process {})", std::process::id());
    assert!(refused.contains(&us), "{refused}");
    // Nothing was started, and the port is free for whoever comes next.
    let running = user.docker(&["inspect", "-f", "{{.State.Running}}", "late"]);
    assert_eq!(running.ok(), "false\n");
    drop(taken);
    user.docker(&["start", "late"]).ok();
    TcpStream::connect(("127.0.0.1", port)).expect("the port is open");
    user.docker(&["rm", "-f", "late"]).ok();
}

#[test]
fn ports_of_what_ran_before_are_opened_by_a_new_supervisor() {
    let user = User::started();
    let port = free_port();
    let publish = format!("127.0.0.1:{port}:80");
    let web = user.detached(&["-p", &publish], &["sh", "-c", PAGE]);
    user.proa(&["machine", "restart"]).ok();
    let address = format!("127.0.0.1:{port}");
    until("the page is there", || {
        fetch(&address).is_ok_and(|answer| answer.contains("hello"))
    });
    user.docker(&["rm", "-f", &web]).ok();
}
