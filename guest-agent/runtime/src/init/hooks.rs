//! Running hooks: each gets the container's state as JSON on its standard input (runtime-spec, `runtime.md`).

use std::io::{self, Write as _};
use std::os::unix::process::CommandExt as _;
use std::path::Path;
use std::process::{Child, Command, ExitStatus, Stdio};
use std::time::{Duration, Instant};

use rustix::event::{PollFd, PollFlags, Timespec};

use crate::plan::{Hook, Plan};
use crate::start_error::{StartError, Step};

/// The state that hooks read.
#[derive(Debug, Clone, serde::Serialize)]
#[serde(rename_all = "camelCase")]
pub struct HookState<'a> {
    oci_version: &'static str,
    id: &'a str,
    status: &'static str,
    #[serde(skip_serializing_if = "is_zero")]
    pid: i32,
    bundle: &'a Path,
    #[serde(skip_serializing_if = "std::collections::BTreeMap::is_empty")]
    annotations: std::collections::BTreeMap<&'a str, &'a str>,
}

#[expect(
    clippy::trivially_copy_pass_by_ref,
    reason = "the shape that serde calls"
)]
fn is_zero(pid: &i32) -> bool {
    *pid == 0
}

impl<'a> HookState<'a> {
    /// The state of a plan's container.
    pub fn new(plan: &'a Plan, status: &'static str, pid: i32) -> Self {
        let annotations = plan
            .annotations
            .iter()
            .map(|(key, value)| (key.as_str(), value.as_str()))
            .collect();
        Self {
            oci_version: crate::OCI_VERSION,
            id: &plan.id,
            status,
            pid,
            bundle: &plan.bundle,
            annotations,
        }
    }
}

/// Runs hooks one after the other; the first that fails ends it.
pub fn run(hooks: &[Hook], state: &HookState<'_>) -> Result<(), StartError> {
    if hooks.is_empty() {
        return Ok(());
    }
    let fail = |hook: &Hook, error: io::Error| {
        StartError::new(Step::Hook, hook.path.to_string_lossy(), &error)
    };
    for hook in hooks {
        let state = serde_json::to_vec(state).map_err(|error| fail(hook, error.into()))?;
        let status = one(hook, &state).map_err(|error| fail(hook, error))?;
        if !status.success() {
            let object = format!("{} ({status})", hook.path.display());
            return Err(StartError {
                step: Step::Hook,
                object,
                errno: libc::ECANCELED,
            });
        }
    }
    Ok(())
}

fn one(hook: &Hook, state: &[u8]) -> io::Result<ExitStatus> {
    let mut command = Command::new(&hook.path);
    if let Some((name, rest)) = hook.args.split_first() {
        command.arg0(name).args(rest);
    }
    command
        .env_clear()
        .envs(hook.env.iter().filter_map(|entry| entry.split_once('=')));
    let mut child = command
        .stdin(Stdio::piped())
        .stdout(Stdio::null())
        .spawn()?;
    if let Some(mut stdin) = child.stdin.take() {
        // A hook need not read it.
        let _ = stdin.write_all(state);
    }
    match hook.timeout {
        Some(seconds) => wait_until(&mut child, Duration::from_secs(seconds)),
        None => child.wait(),
    }
}

fn wait_until(child: &mut Child, limit: Duration) -> io::Result<ExitStatus> {
    let pidfd = proa_kernel::process::open(child.id().cast_signed())?;
    let end = Instant::now() + limit;
    loop {
        let left = end.saturating_duration_since(Instant::now());
        let timeout = Timespec {
            tv_sec: left.as_secs() as i64,
            tv_nsec: i64::from(left.subsec_nanos()),
        };
        match rustix::event::poll(&mut [PollFd::new(&pidfd, PollFlags::IN)], Some(&timeout)) {
            Ok(0) => {
                child.kill()?;
                child.wait()?;
                return Err(io::Error::from_raw_os_error(libc::ETIMEDOUT));
            }
            Ok(_) => return child.wait(),
            Err(rustix::io::Errno::INTR) => {}
            Err(errno) => return Err(errno.into()),
        }
    }
}
