//! `proa` on a terminal: raw mode and back, sizes, detach keys.

use std::fs::File;
use std::io::{Read, Write};
use std::os::fd::OwnedFd;
use std::process::{Child, Stdio};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use rustix::termios::{LocalModes, Winsize, tcgetattr, tcsetwinsize};

use crate::support::{Agent, Image, poll};

/// A pseudo-terminal with `proa` on it.
struct Screen {
    child: Child,
    keyboard: File,
    terminal: OwnedFd,
    shown: Arc<Mutex<Vec<u8>>>,
}

impl Screen {
    fn open(agent: &Agent, arguments: &[&str]) -> Self {
        use rustix::pty::{OpenptFlags, grantpt, openpt, ptsname, unlockpt};
        let master = openpt(OpenptFlags::RDWR | OpenptFlags::NOCTTY | OpenptFlags::CLOEXEC)
            .expect("a terminal");
        grantpt(&master).expect("it is ours");
        unlockpt(&master).expect("it is ours");
        let name = ptsname(&master, Vec::new())
            .expect("it has a name")
            .into_string()
            .expect("a plain name");
        let terminal = File::options()
            .read(true)
            .write(true)
            .open(name)
            .expect("it is there");
        tcsetwinsize(
            &terminal,
            Winsize {
                ws_row: 33,
                ws_col: 101,
                ws_xpixel: 0,
                ws_ypixel: 0,
            },
        )
        .expect("a size");
        let end = || Stdio::from(terminal.try_clone().expect("a descriptor can be copied"));
        let child = agent
            .proa_command(arguments)
            .stdin(end())
            .stdout(end())
            .stderr(end())
            .spawn()
            .expect("proa starts");
        let shown = Arc::new(Mutex::new(Vec::new()));
        let (mut reader, copy) = (
            File::from(master.try_clone().expect("a copy")),
            Arc::clone(&shown),
        );
        std::thread::spawn(move || {
            let mut piece = [0; 4096];
            while let Ok(count @ 1..) = reader.read(&mut piece) {
                copy.lock()
                    .expect("no panic")
                    .extend_from_slice(&piece[..count]);
            }
        });
        Self {
            child,
            keyboard: master.into(),
            terminal: terminal.into(),
            shown,
        }
    }

    fn text(&self) -> String {
        String::from_utf8_lossy(&self.shown.lock().expect("no panic")).into_owned()
    }

    #[track_caller]
    fn sees(&self, words: &str) {
        poll(
            Duration::from_secs(20),
            &format!("{words:?} is shown"),
            || self.text().contains(words),
        );
    }

    fn types(&mut self, keys: &[u8]) {
        self.keyboard
            .write_all(keys)
            .expect("the terminal is there");
    }

    fn is_raw(&self) -> bool {
        !tcgetattr(&self.terminal)
            .expect("a terminal")
            .local_modes
            .contains(LocalModes::ECHO)
    }

    #[track_caller]
    fn ends(&mut self, code: i32) {
        let status = self.child.wait().expect("a child can be waited for");
        assert_eq!(status.code(), Some(code), "{}", self.text());
        assert!(!self.is_raw(), "the terminal is as it was");
    }
}

#[test]
fn a_shell_on_a_terminal_has_its_size_and_gives_it_back() {
    let agent = Agent::start();
    let image = agent.load(&Image::busybox());
    let mut screen = Screen::open(
        &agent,
        &["run", "--rm", "-it", "--network", "none", &image, "sh"],
    );
    screen.sees("# ");
    assert!(screen.is_raw());
    screen.types(b"stty size\n");
    screen.sees("33 101");
    tcsetwinsize(
        &screen.terminal,
        Winsize {
            ws_row: 20,
            ws_col: 60,
            ws_xpixel: 0,
            ws_ypixel: 0,
        },
    )
    .expect("a size");
    let id = rustix::process::Pid::from_child(&screen.child);
    rustix::process::kill_process(id, rustix::process::Signal::WINCH).expect("it runs");
    poll(Duration::from_secs(10), "the size follows", || {
        screen.types(b"stty size\n");
        std::thread::sleep(Duration::from_millis(200));
        screen.text().contains("20 60")
    });
    screen.types(b"exit 9\n");
    screen.ends(9);
    agent.assert_nothing_left();
}

#[test]
fn the_detach_keys_leave_a_container_running() {
    let agent = Agent::start();
    let image = agent.load(&Image::busybox());
    let mut screen = Screen::open(
        &agent,
        &[
            "run",
            "-it",
            "--name",
            "left",
            "--network",
            "none",
            &image,
            "sh",
        ],
    );
    screen.sees("# ");
    screen.types(b"\x10");
    screen.types(b"\x11");
    screen.ends(0);
    assert_eq!(
        agent
            .proa(&["inspect", "-f", "{{.State.Running}}", "left"])
            .ok(),
        "true\n"
    );
    let mut again = Screen::open(&agent, &["attach", "--detach-keys", "ctrl-x", "left"]);
    again.types(b"echo $((6*7))\n");
    again.sees("42");
    again.types(b"exit 4\n");
    again.ends(4);
    agent.proa(&["rm", "left"]).ok();
    agent.assert_nothing_left();
}

#[test]
fn the_detach_keys_work_though_nobody_reads_what_is_typed() {
    let agent = Agent::start();
    let image = agent.load(&Image::busybox());
    let script = "stty -icanon -echo; echo ready; sleep 1000";
    let words = ["run", "-it", "--name", "deaf", "--network", "none"];
    let command = [image.as_str(), "sh", "-c", script];
    let mut screen = Screen::open(&agent, &[&words[..], &command].concat());
    screen.sees("ready");
    // Four times what a terminal keeps for its reader.
    for _ in 0..16 {
        screen.types(&[b'x'; 1024]);
    }
    screen.types(b"\x10\x11");
    screen.ends(0);
    agent.proa(&["rm", "-f", "deaf"]).ok();
    agent.assert_nothing_left();
}

#[test]
fn an_error_gives_the_terminal_back_too() {
    let agent = Agent::start();
    let image = agent.load(&Image::busybox());
    let mut screen = Screen::open(
        &agent,
        &[
            "run",
            "--rm",
            "-it",
            "--network",
            "none",
            &image,
            "no-such-program",
        ],
    );
    screen.ends(127);
    agent.assert_nothing_left();
}
