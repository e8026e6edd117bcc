//! The first process: arguments, environment, user, capabilities, limits.

use std::str::FromStr;

use oci_spec::runtime::{
    BoxBuilder, Capability, LinuxCapabilities, LinuxCapabilitiesBuilder, PosixRlimit,
    PosixRlimitBuilder, PosixRlimitType, Process, ProcessBuilder, UserBuilder,
};
use proa_protocol::models::ResourcesUlimits;

use super::{Input, SecurityOptions, SpecError, capabilities};

/// Where commands are looked up when the image does not say.
const DEFAULT_PATH: &str = "PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin";

/// Who runs a process, as numbers.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct User {
    /// User id.
    pub uid: u32,
    /// Primary group.
    pub gid: u32,
    /// Supplementary groups.
    pub additional_gids: Vec<u32>,
    /// Home directory, for `HOME`.
    pub home: Option<String>,
}

pub(super) fn process(input: &Input<'_>, security: &SecurityOptions) -> Result<Process, SpecError> {
    let (config, host) = (input.config, input.host);
    let terminal = config.tty == Some(true);
    let privileged = host.privileged == Some(true);
    let held = capabilities::effective(
        host.cap_add.as_deref().unwrap_or_default(),
        host.cap_drop.as_deref().unwrap_or_default(),
        privileged,
        &input.machine.capabilities,
    )?;
    let hostname = config.hostname.as_deref().unwrap_or_default();
    let base = environment(
        hostname,
        terminal,
        config.env.as_deref().unwrap_or_default(),
    );
    let user = UserBuilder::default()
        .uid(input.user.uid)
        .gid(input.user.gid)
        .additional_gids(input.user.additional_gids.clone())
        .build()?;
    let cwd = config
        .working_dir
        .as_deref()
        .filter(|dir| !dir.is_empty())
        .unwrap_or("/");
    let mut process = ProcessBuilder::default()
        .terminal(terminal)
        .user(user)
        .args(input.args)
        .env(with_home(base, input.user.home.as_deref()))
        .cwd(cwd)
        .capabilities(capability_sets(&held)?)
        .rlimits(rlimits(host.ulimits.as_deref().unwrap_or_default())?)
        .no_new_privileges(security.no_new_privileges)
        .build()?;
    // Always: what starts it has a score of its own, which is not for containers.
    process.set_oom_score_adj(Some(host.oom_score_adj.unwrap_or(0) as i32));
    process.set_selinux_label(security.selinux_process_label());
    if input.machine.apparmor && !privileged {
        process.set_apparmor_profile(
            security
                .apparmor
                .clone()
                .filter(|name| name != "unconfined"),
        );
    }
    if let Some([height, width]) = host.console_size.as_deref()
        && terminal
    {
        let size = BoxBuilder::default()
            .height(*height as u64)
            .width(*width as u64)
            .build()?;
        process.set_console_size(Some(size));
    }
    Ok(process)
}

/// `PATH`, `HOSTNAME` and `TERM` first, then what image and user say; a later value takes the place of an earlier one.
/// A name without `=` is taken out.
pub fn environment(hostname: &str, terminal: bool, wanted: &[String]) -> Vec<String> {
    let mut env = vec![DEFAULT_PATH.to_owned(), format!("HOSTNAME={hostname}")];
    if terminal {
        env.push("TERM=xterm".to_owned());
    }
    for entry in wanted {
        let (name, has_value) = entry
            .split_once('=')
            .map_or((entry.as_str(), false), |(name, _)| (name, true));
        let place = env
            .iter()
            .position(|old| old.split('=').next() == Some(name));
        match (place, has_value) {
            (Some(place), true) => entry.clone_into(&mut env[place]),
            (Some(place), false) => {
                env.remove(place);
            }
            (None, true) => env.push(entry.clone()),
            (None, false) => {}
        }
    }
    env
}

/// `HOME` from the image's user list, unless the environment has one.
pub fn with_home(mut env: Vec<String>, home: Option<&str>) -> Vec<String> {
    let has = env
        .iter()
        .any(|entry| entry.starts_with("HOME=") && entry.len() > "HOME=".len());
    if !has {
        env.retain(|entry| !entry.starts_with("HOME="));
        env.push(format!(
            "HOME={}",
            home.filter(|home| !home.is_empty()).unwrap_or("/")
        ));
    }
    env
}

/// Bounding, permitted and effective, as Docker sets them; nothing inheritable, nothing ambient.
pub fn capability_sets(held: &[Capability]) -> Result<LinuxCapabilities, SpecError> {
    let set: std::collections::HashSet<Capability> = held.iter().copied().collect();
    Ok(LinuxCapabilitiesBuilder::default()
        .bounding(set.clone())
        .permitted(set.clone())
        .effective(set)
        .inheritable(std::collections::HashSet::new())
        .ambient(std::collections::HashSet::new())
        .build()?)
}

/// `--ulimit` as resource limits; −1 is "unlimited".
pub fn rlimits(wanted: &[ResourcesUlimits]) -> Result<Vec<PosixRlimit>, SpecError> {
    let mut list = Vec::new();
    for limit in wanted {
        let name = limit.name.as_deref().unwrap_or_default();
        let kind = PosixRlimitType::from_str(&format!("RLIMIT_{}", name.to_ascii_uppercase()))
            .map_err(|_| SpecError::Ulimit(name.to_owned()))?;
        let (soft, hard) = (limit.soft.unwrap_or(0), limit.hard.unwrap_or(0));
        // Minus one is the largest number there is, so it is larger than any other hard limit.
        let (soft_value, hard_value) = (soft as u64, hard as u64);
        if soft_value > hard_value {
            return Err(SpecError::UlimitOrder {
                name: name.to_owned(),
                soft,
                hard,
            });
        }
        list.push(
            PosixRlimitBuilder::default()
                .typ(kind)
                .soft(soft_value)
                .hard(hard_value)
                .build()?,
        );
    }
    Ok(list)
}
