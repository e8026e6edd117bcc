//! Times whole programs, where they live: a copy of this binary inside the peers' mount namespace reads command lines
//! and answers with nanoseconds.

use std::io::{BufRead, BufReader, Write as _};
use std::process::{Child, ChildStdin, ChildStdout, Command, Stdio};
use std::time::{Duration, Instant};

use crate::support::{in_path, inside, inside_peers, unique};

/// The first word of a copy that serves.
pub const INSIDE: &str = "stopwatch";

/// A copy of this binary that starts and times programs.
pub struct Stopwatch {
    child: Child,
    ask: ChildStdin,
    answers: BufReader<ChildStdout>,
}

impl Stopwatch {
    /// Where the peers' programs are.
    pub fn among_peers() -> Self {
        let own = std::env::current_exe().expect("a program knows its path");
        // Copied, so that an entered root finds it whatever the build folder is.
        let copy = std::path::PathBuf::from(format!("/var/tmp/proa-stopwatch-{}", unique()));
        std::fs::copy(&own, &copy).expect("/var/tmp can be written");
        let mut command = if in_path("crun").is_some() {
            Command::new(&copy)
        } else {
            inside_peers(&inside(&copy).display().to_string())
        };
        let stopwatch = Self::with(command.arg(INSIDE));
        std::fs::remove_file(&copy).expect("the copy is ours");
        stopwatch
    }

    fn with(command: &mut Command) -> Self {
        let mut child = command
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .expect("the stopwatch starts");
        let ask = child.stdin.take().expect("stdin is a pipe");
        let answers = BufReader::new(child.stdout.take().expect("stdout is a pipe"));
        let mut stopwatch = Self {
            child,
            ask,
            answers,
        };
        stopwatch.time(&["true"]);
        stopwatch
    }

    /// Runs a program to its end; it must succeed.
    pub fn time(&mut self, words: &[&str]) -> Duration {
        writeln!(self.ask, "{}", words.join("\x1f")).expect("the stopwatch reads");
        let mut line = String::new();
        self.answers
            .read_line(&mut line)
            .expect("the stopwatch answers");
        let nanos = line
            .trim()
            .parse()
            .unwrap_or_else(|_| panic!("{}: {line}", words.join(" ")));
        Duration::from_nanos(nanos)
    }
}

impl Drop for Stopwatch {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// The serving side: one command line a line, words set apart by the unit separator; the answer is nanoseconds, or what
/// went wrong.
pub fn serve() {
    let mut out = std::io::stdout();
    for line in std::io::stdin().lines().map_while(Result::ok) {
        let words: Vec<_> = line.split('\x1f').collect();
        let started = Instant::now();
        let ran = Command::new(words[0])
            .args(&words[1..])
            .stdin(Stdio::null())
            .output();
        let took = started.elapsed();
        let answer = match ran {
            Ok(output) if output.status.success() => took.as_nanos().to_string(),
            Ok(output) => format!(
                "{} {}",
                output.status,
                String::from_utf8_lossy(&output.stderr).replace('\n', " ")
            ),
            Err(error) => error.to_string(),
        };
        if writeln!(out, "{answer}")
            .and_then(|()| out.flush())
            .is_err()
        {
            return;
        }
    }
}

/// Times one program of ours, from here.
pub fn time(command: &mut Command) -> Duration {
    let started = Instant::now();
    let output = command
        .stdin(Stdio::null())
        .output()
        .expect("the program starts");
    let took = started.elapsed();
    assert!(
        output.status.success(),
        "{command:?}: {}",
        String::from_utf8_lossy(&output.stderr)
    );
    took
}
