//! The last step: the working directory, the environment, finding the program, `execve`.

use std::ffi::CString;
use std::fs::File;
use std::io;
use std::path::Path;

use proa_kernel::process::{self, Strings};
use proa_kernel::signal::{self, Action, Signals};
use rustix::fs::{Access, AtFlags, CWD, FileType, Mode, OFlags};

use super::protocol::During;
use crate::plan::ProcessPlan;
use crate::start_error::{StartError, Step};

/// Where programs are looked for if the environment has no `PATH`.
const DEFAULT_PATH: &str = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin";

/// Changes to the working directory and makes sure that it is inside the root: a name such as `/proc/self/fd/7` must
/// not lead to a directory of the host's.
pub(super) fn change_directory(plan: &ProcessPlan) -> Result<(), StartError> {
    rustix::process::chdir(&plan.cwd).during_on(Step::WorkingDirectory, &plan.cwd)?;
    let path = rustix::process::getcwd(Vec::new()).during_on(Step::WorkingDirectory, &plan.cwd)?;
    if path.as_bytes().starts_with(b"/") {
        return Ok(());
    }
    Err(StartError {
        step: Step::WorkingDirectory,
        object: plan.cwd.display().to_string(),
        errno: libc::EXDEV,
    })
}

/// Nothing of how this program treats signals is left: the kernel would keep ignored and blocked ones so.
pub(super) fn reset_signals() -> Result<(), StartError> {
    signal::set_action(libc::SIGPIPE, Action::Default).during(Step::Execute, "signals")?;
    Signals::none()
        .block_only()
        .during(Step::Execute, "signals")
}

/// The environment with a `HOME`, as login would set it.
pub(super) fn environment(plan: &ProcessPlan) -> Vec<String> {
    let mut env = plan.env.clone();
    if !env
        .iter()
        .any(|entry| entry.starts_with("HOME=") && entry.len() > 5)
    {
        env.retain(|entry| entry != "HOME=");
        env.push(format!("HOME={}", home(plan.uid)));
    }
    env
}

/// The home directory of a user in the container's `/etc/passwd`.
fn home(uid: u32) -> String {
    const LONGEST: u64 = 4 << 20;
    let mut text = String::new();
    let read = open_regular("/etc/passwd")
        .and_then(|file| io::Read::read_to_string(&mut io::Read::take(file, LONGEST), &mut text));
    let found = read
        .ok()
        .and_then(|_| text.lines().find_map(|line| home_in_line(line, uid)));
    found.unwrap_or("/").to_owned()
}

/// An image may have a FIFO or a device in a file's place, which must not be waited for.
fn open_regular(path: &str) -> io::Result<File> {
    let flags = OFlags::RDONLY | OFlags::NONBLOCK | OFlags::NOCTTY | OFlags::CLOEXEC;
    let file = File::from(rustix::fs::open(path, flags, Mode::empty())?);
    if file.metadata()?.is_file() {
        Ok(file)
    } else {
        Err(io::ErrorKind::InvalidInput.into())
    }
}

fn home_in_line(line: &str, uid: u32) -> Option<&str> {
    let mut fields = line.split(':');
    let id = fields.nth(2)?;
    (id.parse() == Ok(uid))
        .then(|| fields.nth(2))
        .flatten()
        .filter(|home| !home.is_empty())
}

/// Replaces the caller by the plan's command. Returns only what went wrong.
pub(super) fn execute(plan: &ProcessPlan) -> StartError {
    let environment = environment(plan);
    let command = plan.args.first().map_or("", String::as_str);
    let prepared =
        Strings::new(&plan.args).and_then(|args| Ok((args, Strings::new(&environment)?)));
    let failure = match prepared {
        Ok((arguments, strings)) => search(command, &environment, |path| {
            process::execve(path, &arguments, &strings)
        }),
        Err(error) => error,
    };
    StartError::new(Step::Execute, command, &failure)
}

/// Whether the command is there and can be executed, without executing it.
pub(super) fn check(plan: &ProcessPlan) -> Result<(), StartError> {
    let command = plan.args.first().map_or("", String::as_str);
    let mut found = false;
    let failure = search(command, &plan.env, |path| {
        match rustix::fs::accessat(CWD, path, Access::EXEC_OK, AtFlags::empty()) {
            // Directories can be "executed" too, as far as permissions go.
            Ok(()) if is_directory(path) => io::Error::from_raw_os_error(libc::EACCES),
            Ok(()) => {
                found = true;
                io::Error::other("found")
            }
            Err(errno) => errno.into(),
        }
    });
    if found {
        Ok(())
    } else {
        Err(StartError::new(Step::Execute, command, &failure))
    }
}

fn is_directory(path: &std::ffi::CStr) -> bool {
    rustix::fs::stat(path)
        .is_ok_and(|stat| FileType::from_raw_mode(stat.st_mode) == FileType::Directory)
}

/// Tries a command with a slash as it is, one without in each directory of `PATH`, as `execvp(3)` does: what is not
/// there is passed over, what may not be executed is remembered.
fn search(
    command: &str,
    environment: &[String],
    mut attempt: impl FnMut(&std::ffi::CStr) -> io::Error,
) -> io::Error {
    let missing = || io::Error::from_raw_os_error(libc::ENOENT);
    if command.is_empty() {
        return missing();
    }
    let candidate = |directory: &str| {
        CString::new(
            Path::new(directory)
                .join(command)
                .into_os_string()
                .into_encoded_bytes(),
        )
    };
    if command.contains('/') {
        return candidate("").map_or_else(io::Error::from, |path| attempt(&path));
    }
    let path = environment
        .iter()
        .rev()
        .find_map(|entry| entry.strip_prefix("PATH="))
        .unwrap_or(DEFAULT_PATH);
    let mut denied = None;
    for directory in path.split(':') {
        // An empty element would mean the working directory.
        let directory = if directory.is_empty() { "." } else { directory };
        let Ok(path) = candidate(directory) else {
            continue;
        };
        let error = attempt(&path);
        match error.raw_os_error() {
            Some(libc::ENOENT | libc::ENOTDIR | libc::ENAMETOOLONG | libc::ELOOP) => {}
            Some(libc::EACCES) => denied = Some(error),
            _ => return error,
        }
    }
    denied.unwrap_or_else(missing)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(command: &str, path: &str, answers: &[(&str, i32)], expected: (i32, usize)) {
        let mut tried = 0;
        let environment = [format!("PATH={path}")];
        let error = search(command, &environment, |candidate| {
            tried += 1;
            let known = answers
                .iter()
                .find(|(name, _)| name.as_bytes() == candidate.to_bytes());
            io::Error::from_raw_os_error(known.map_or(libc::ENOENT, |(_, errno)| *errno))
        });
        assert_eq!(
            (error.raw_os_error().unwrap_or(0), tried),
            expected,
            "{command} in {path}"
        );
    }

    #[test]
    fn a_command_is_looked_for_as_the_shell_does() {
        check("ls", "/a:/b", &[], (libc::ENOENT, 2));
        check("ls", "/a:/b", &[("/a/ls", libc::EACCES)], (libc::EACCES, 2));
        check(
            "ls",
            "/a:/b",
            &[("/a/ls", libc::ENOEXEC)],
            (libc::ENOEXEC, 1),
        );
        check(
            "./ls",
            "/a:/b",
            &[("./ls", libc::EACCES)],
            (libc::EACCES, 1),
        );
        check("/bin/ls", "/a", &[], (libc::ENOENT, 1));
        check("", "/a", &[], (libc::ENOENT, 0));
    }

    #[test]
    fn the_home_directory_is_the_sixth_field() {
        assert_eq!(
            home_in_line("root:x:0:0:root:/root:/bin/sh", 0),
            Some("/root")
        );
        assert_eq!(home_in_line("www:x:33:33::/var/www:", 0), None);
        assert_eq!(home_in_line("broken:x:0", 0), None);
        assert_eq!(home_in_line("x:x:7:7:::", 7), None);
    }
}
