//! `proa-agent uninstall`: stops the containers and the engine, and takes away everything that either made.
//!
//! Every step runs whatever the others say, and running it again is harmless. What is left is named.

use std::collections::BTreeSet;
use std::fs;
use std::io::{self, BufRead, IsTerminal, Write};
use std::os::fd::OwnedFd;
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::thread::sleep;
use std::time::{Duration, Instant};

use clap::Args;
use proa_kernel::cgroup::Hierarchy;
use proa_kernel::{message, mount, process};

use super::{UNITS, systemctl, units};

/// What `uninstall` can be told.
#[derive(Clone, Debug, Args)]
pub(crate) struct UninstallArguments {
    /// Where images, containers and volumes live.
    #[arg(long, value_name = "FOLDER", default_value = "/var/lib/proa")]
    pub root: PathBuf,
    /// Where what ends with a boot lives.
    #[arg(long, value_name = "FOLDER", default_value = "/run/proa")]
    pub run: PathBuf,
    /// Don't ask.
    #[arg(long, short)]
    pub yes: bool,
}

/// The settings' folder; it belongs to the engine in the usual place only.
const SETTINGS: &str = "/etc/proa";
/// The usual place.
const ROOT: &str = "/var/lib/proa";
/// Names of which an engine's root has at least one.
const MARKS: [&str; 5] = ["state.db", "engine-id", "images", "containers", "layers"];
/// How long an engine or a monitor may take to end.
const PATIENCE: Duration = Duration::from_secs(20);

const SIGTERM: i32 = 15;
const SIGKILL: i32 = 9;

/// What did not work, in words.
#[derive(Debug, Default)]
struct Leftovers(Vec<String>);

impl Leftovers {
    fn note<E: std::error::Error + 'static>(&mut self, what: &str, result: Result<(), E>) {
        if let Err(error) = result {
            self.0.push(format!("{what}: {}", crate::log::told(&error)));
        }
    }
}

/// Asks, then does it.
pub(crate) fn run(arguments: &UninstallArguments) -> ExitCode {
    let out = &mut io::stdout();
    let say = |out: &mut io::Stdout, line: &str| drop(writeln!(out, "{line}"));
    if let Some(why) = refuse(&arguments.root) {
        say(out, &why);
        return ExitCode::FAILURE;
    }
    let containers = containers(arguments);
    say(out, &intent(arguments, containers.len()));
    if !arguments.yes && !confirmed(out) {
        say(out, "Nothing was changed.");
        return ExitCode::FAILURE;
    }
    let left = remove(arguments, &containers);
    if left.0.is_empty() {
        say(out, "Nothing is left.");
        return ExitCode::SUCCESS;
    }
    for line in &left.0 {
        say(out, &format!("left: {line}"));
    }
    ExitCode::FAILURE
}

/// A folder that is none of ours is not deleted.
fn refuse(root: &Path) -> Option<String> {
    let ours = !root.exists()
        || fs::read_dir(root).is_ok_and(|mut entries| entries.next().is_none())
        || MARKS.iter().any(|mark| root.join(mark).exists());
    let deep = root.is_absolute() && root.components().count() > 2;
    if ours && deep {
        return None;
    }
    Some(format!(
        "{} does not look like an engine's folder, so it is not touched",
        root.display()
    ))
}

fn intent(arguments: &UninstallArguments, containers: usize) -> String {
    format!(
        "This kills {containers} container(s), stops the engine, and deletes {} (images, containers, volumes) and {}.",
        arguments.root.display(),
        arguments.run.display()
    )
}

fn confirmed(out: &mut io::Stdout) -> bool {
    if !io::stdin().is_terminal() {
        let _ = writeln!(out, "Say --yes to do it.");
        return false;
    }
    let _ = write!(out, "Go on? [y/N] ");
    let _ = out.flush();
    let mut answer = String::new();
    io::stdin().lock().read_line(&mut answer).is_ok() && matches!(answer.trim(), "y" | "Y" | "yes")
}

/// The ids of all containers, running or not.
fn containers(arguments: &UninstallArguments) -> BTreeSet<String> {
    let folders = [
        arguments.root.join("containers"),
        arguments.run.join("containers"),
    ];
    let entries = folders
        .iter()
        .filter_map(|folder| fs::read_dir(folder).ok())
        .flatten()
        .flatten();
    entries
        .filter_map(|entry| entry.file_name().into_string().ok())
        .collect()
}

fn remove(arguments: &UninstallArguments, containers: &BTreeSet<String>) -> Leftovers {
    let mut left = Leftovers::default();
    // The service manager must not start the engine again.
    let service =
        Path::new(UNITS).join(units::SERVICE).exists() && arguments.root == Path::new(ROOT);
    if service {
        left.note(
            "stop the service",
            systemctl(&["disable", "--now", units::SOCKET, units::SERVICE]),
        );
    }
    left.note("stop the engine", stop_engine(&arguments.run));
    for id in containers {
        stop_container(arguments, id, &mut left);
    }
    if let Ok(hierarchy) = Hierarchy::detect()
        && let Ok(parent) = "proa".parse()
        && hierarchy.children(&parent).is_empty()
    {
        left.note(
            "remove the containers' parent cgroup",
            hierarchy.open(&parent).delete(),
        );
    }
    left.note(
        "remove the networks",
        proa_engine::clear_networks(&arguments.root),
    );
    for folder in [&arguments.run, &arguments.root] {
        for mounted in mounts_beneath(folder) {
            left.note(
                &format!("unmount {}", mounted.display()),
                mount::detach(&mounted),
            );
        }
        left.note(&format!("delete {}", folder.display()), delete(folder));
    }
    if arguments.root == Path::new(ROOT) {
        left.note(&format!("delete {SETTINGS}"), delete(Path::new(SETTINGS)));
    }
    if service {
        for name in [units::SERVICE, units::SOCKET] {
            let file = Path::new(UNITS).join(name);
            left.note(
                &format!("delete {}", file.display()),
                gone_is_fine(fs::remove_file(&file)),
            );
        }
        left.note("tell systemd", systemctl(&["daemon-reload"]));
    }
    left
}

/// The keeper opened the socket, so the kernel knows it as the peer.
fn stop_engine(run: &Path) -> io::Result<()> {
    match UnixStream::connect(run.join("proa.sock")) {
        Ok(stream) => end(&stream.into(), SIGTERM),
        Err(_) => Ok(()),
    }
}

/// Sends `first` to whoever is at the other end, waits for its end, and kills it in the end.
fn end(socket: &OwnedFd, first: i32) -> io::Result<()> {
    let peer = rustix::net::sockopt::socket_peercred(socket)?
        .pid
        .as_raw_nonzero()
        .get();
    // A socket that the service manager opened has that as its peer.
    if peer <= 1 {
        return Ok(());
    }
    let Ok(peer) = process::open(peer) else {
        return Ok(());
    };
    for signal in [first, SIGKILL] {
        if signal != 0 && process::signal(&peer, signal).is_err() {
            return Ok(());
        }
        if ended_within(&peer, PATIENCE) {
            return Ok(());
        }
    }
    Err(io::Error::other("it does not end"))
}

/// A pidfd becomes readable when its process has ended.
fn ended_within(pidfd: &OwnedFd, patience: Duration) -> bool {
    let mut watched = [rustix::event::PollFd::new(
        pidfd,
        rustix::event::PollFlags::IN,
    )];
    let timeout = rustix::fs::Timespec {
        tv_sec: patience.as_secs() as i64,
        tv_nsec: 0,
    };
    rustix::event::poll(&mut watched, Some(&timeout)).is_ok_and(|ready| ready > 0)
}

/// Kills a container and waits for its monitor, which ends once it has written down how.
fn stop_container(arguments: &UninstallArguments, id: &str, left: &mut Leftovers) {
    let monitor = message::connect(
        &arguments
            .run
            .join("containers")
            .join(id)
            .join("monitor.sock"),
    )
    .ok();
    let short: String = id.chars().take(12).collect();
    let hierarchy = Hierarchy::detect();
    let groups = hierarchy.map(|hierarchy| {
        let found = hierarchy.find(id);
        found
            .iter()
            .map(|path| hierarchy.open(path))
            .collect::<Vec<_>>()
    });
    for group in groups.as_deref().unwrap_or_default() {
        left.note(&format!("kill {short}"), group.kill_and_wait());
    }
    if let Some(monitor) = monitor {
        left.note(&format!("end the monitor of {short}"), end(&monitor, 0));
    }
    for group in groups.as_deref().unwrap_or_default() {
        left.note(
            &format!("remove the cgroup of {short}"),
            delete_group(group),
        );
    }
}

/// The engine or the monitor may be taking it away at the same moment.
fn delete_group(
    group: &proa_kernel::cgroup::Cgroup,
) -> Result<(), proa_kernel::cgroup::CgroupError> {
    let deadline = Instant::now() + Duration::from_secs(2);
    loop {
        match group.delete() {
            Err(_) if Instant::now() < deadline => sleep(Duration::from_millis(20)),
            other => return other,
        }
    }
}

/// Every mount point that this process sees.
fn mount_points() -> Vec<PathBuf> {
    let table = fs::read_to_string("/proc/self/mountinfo").unwrap_or_default();
    let points = table.lines().filter_map(|line| line.split(' ').nth(4));
    points.map(PathBuf::from).collect()
}

/// Mount points beneath `folder`, the deepest first.
fn mounts_beneath(folder: &Path) -> Vec<PathBuf> {
    let mut found = mount_points();
    found.retain(|point| point.starts_with(folder) && point != folder);
    found.sort();
    found.reverse();
    found
}

/// Deletes a folder; of a disk that is mounted there, everything on it.
fn delete(folder: &Path) -> io::Result<()> {
    if !mount_points().iter().any(|point| point == folder) {
        return proa_kernel::remove::remove_tree(folder);
    }
    for entry in fs::read_dir(folder)? {
        let entry = entry?;
        // Every ext4 has one, and it is not ours.
        if entry.file_name() != "lost+found" {
            proa_kernel::remove::remove_tree(&entry.path())?;
        }
    }
    Ok(())
}

fn gone_is_fine(result: io::Result<()>) -> io::Result<()> {
    result.or_else(|error| {
        if error.kind() == io::ErrorKind::NotFound {
            Ok(())
        } else {
            Err(error)
        }
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_an_engines_folder_is_deleted() {
        let folder = std::env::temp_dir().join(format!("proa-uninstall-{}", std::process::id()));
        assert_eq!(
            refuse(&folder),
            None,
            "what does not exist needs no deleting"
        );
        fs::create_dir_all(folder.join("photos")).unwrap();
        assert!(refuse(&folder).is_some());
        fs::write(folder.join("state.db"), "").unwrap();
        assert_eq!(refuse(&folder), None);
        fs::remove_dir_all(&folder).unwrap();
        assert!(refuse(Path::new("/")).is_some());
        assert!(refuse(Path::new("/var")).is_some());
        assert!(refuse(Path::new("relative/folder")).is_some());
    }

    #[test]
    fn an_engine_that_never_ran_leaves_nothing() {
        let folder =
            std::env::temp_dir().join(format!("proa-uninstall-empty-{}", std::process::id()));
        let arguments = UninstallArguments {
            root: folder.join("root"),
            run: folder.join("run"),
            yes: true,
        };
        fs::create_dir_all(arguments.root.join("containers/abc/upper")).unwrap();
        fs::create_dir_all(&arguments.run).unwrap();
        let left = remove(&arguments, &containers(&arguments));
        assert!(left.0.is_empty(), "{left:?}");
        assert!(!arguments.root.exists() && !arguments.run.exists());
        fs::remove_dir(&folder).unwrap();
    }
}
