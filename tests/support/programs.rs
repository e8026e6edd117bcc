//! Finding and running programs: the product's own, and those of other people.

use std::ffi::OsStr;
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};

/// A program of this workspace: in `PROA_BIN_DIR`, or where cargo put it beside this test.
pub fn program(name: &str) -> PathBuf {
    let folder = match std::env::var_os("PROA_BIN_DIR") {
        Some(folder) => PathBuf::from(folder),
        None => {
            let test = std::env::current_exe().expect("a test knows its own path");
            test.ancestors()
                .nth(2)
                .expect("tests lie in target/PROFILE/deps")
                .to_owned()
        }
    };
    let path = folder.join(name);
    assert!(
        path.exists(),
        "{} is not built: cargo build -p proa-agent -p proa-cli",
        path.display()
    );
    path
}

/// Where `name` is on PATH.
pub fn in_path(name: &str) -> Option<PathBuf> {
    let path = std::env::var_os("PATH")?;
    std::env::split_paths(&path)
        .map(|folder| folder.join(name))
        .find(|path| path.is_file())
}

/// A program of other people: on PATH, or in the peers' folder, started through that folder's own loader.
pub fn peer(name: &str) -> Command {
    if let Some(path) = in_path(name) {
        return Command::new(path);
    }
    let root = peers_root();
    let found = ["usr/bin", "usr/sbin"]
        .iter()
        .map(|bin| root.join(bin).join(name))
        .find(|path| path.exists());
    let path = found.unwrap_or_else(|| {
        panic!(
            "no {name} on PATH or in {}: scripts/peers.sh setup",
            root.display()
        )
    });
    let machine = std::env::consts::ARCH;
    let loader = match machine {
        "x86_64" => "lib64/ld-linux-x86-64.so.2",
        _ => "lib/ld-linux-aarch64.so.1",
    };
    let mut command = Command::new(root.join(loader));
    command
        .arg("--library-path")
        .arg(root.join(format!("lib/{machine}-linux-gnu")))
        .arg(path);
    command
}

pub fn peers_root() -> PathBuf {
    std::env::var_os("PEERS_ROOT")
        .map_or_else(|| PathBuf::from("/var/cache/proa/peers"), PathBuf::from)
}

/// The script that starts clients from package indices.
pub fn program_of_clients() -> &'static str {
    concat!(env!("CARGO_MANIFEST_DIR"), "/../../scripts/clients.sh")
}

/// The Python with docker-py and Testcontainers, which this repository's own script makes where it is missing.
pub fn python() -> Command {
    let mut command = Command::new(program_of_clients());
    command.arg("python").env("PYTHONDONTWRITEBYTECODE", "1");
    command
}

/// What a finished program left: its exit code and both streams as text.
#[derive(Debug)]
pub struct Ran {
    pub command: String,
    pub code: i32,
    pub out: String,
    pub err: String,
}

impl Ran {
    /// The standard output of a program that must have succeeded.
    #[track_caller]
    pub fn ok(self) -> String {
        assert_eq!(self.code, 0, "{}\n{}{}", self.command, self.out, self.err);
        self.out
    }

    /// The standard error of a program that must have failed with `code`.
    #[track_caller]
    pub fn failed(self, code: i32) -> String {
        assert_eq!(
            self.code, code,
            "{}\n{}{}",
            self.command, self.out, self.err
        );
        self.err
    }
}

/// Runs to the end, without standard input.
pub fn run(command: &mut Command) -> Ran {
    let shown = shown(command);
    let output = command
        .stdin(Stdio::null())
        .output()
        .unwrap_or_else(|error| panic!("start {shown}: {error}"));
    ran(shown, &output)
}

/// Runs to the end with `input` as standard input.
pub fn run_with_input(command: &mut Command, input: &[u8]) -> Ran {
    use std::io::Write as _;
    let shown = shown(command);
    let mut child = command
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap_or_else(|error| panic!("start {shown}: {error}"));
    let mut stdin = child.stdin.take().expect("stdin is a pipe");
    let input = input.to_owned();
    // The program may end without reading everything; its exit code says what that means.
    let writer = std::thread::spawn(move || drop(stdin.write_all(&input)));
    let output = child.wait_with_output().expect("a child can be waited for");
    writer.join().expect("the writer does not panic");
    ran(shown, &output)
}

fn shown(command: &Command) -> String {
    let words = std::iter::once(command.get_program()).chain(command.get_args());
    words
        .map(OsStr::to_string_lossy)
        .collect::<Vec<_>>()
        .join(" ")
}

fn ran(command: String, output: &Output) -> Ran {
    use std::os::unix::process::ExitStatusExt as _;
    let code = output
        .status
        .code()
        .unwrap_or_else(|| 128 + output.status.signal().unwrap_or_default());
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    Ran {
        command,
        code,
        out: text(&output.stdout),
        err: text(&output.stderr),
    }
}

/// A folder name short enough that a container's socket below it fits into an address.
pub fn short_folder(parent: &Path, prefix: &str) -> PathBuf {
    let path = parent.join(format!("{prefix}{}", super::unique()));
    std::fs::create_dir_all(&path)
        .unwrap_or_else(|error| panic!("create {}: {error}", path.display()));
    path
}
