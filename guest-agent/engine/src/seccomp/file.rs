//! Profile files in the format of Docker's own (`--security-opt seccomp=FILE`).

use oci_spec::runtime::{
    Arch, LinuxSeccomp, LinuxSeccompAction, LinuxSeccompArg, LinuxSeccompFilterFlag, LinuxSyscall,
};
use serde::Deserialize;

use super::conditions::{Conditions, Subject};

/// A profile file, read and checked.
#[derive(Clone, Debug)]
pub struct Profile(Document);

/// A profile that cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum BadProfile {
    /// Not the format.
    #[error("decode the seccomp profile")]
    Json(#[source] serde_json::Error),
    /// Two ways to say the same thing.
    #[error("the seccomp profile has both `{0}` and `{1}`; use one of them")]
    Both(&'static str, &'static str),
    /// A rule about nothing.
    #[error("rule {0} of the seccomp profile names no system call")]
    NoNames(usize),
    /// A condition that makes no sense.
    #[error("rule {rule} of the seccomp profile: {why}")]
    Condition {
        /// Which rule, counted from one.
        rule: usize,
        /// In words.
        why: String,
    },
}

#[derive(Clone, Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
struct Document {
    default_action: LinuxSeccompAction,
    #[serde(default)]
    default_errno_ret: Option<u32>,
    /// Architectures beside the machine's own, whatever that is.
    #[serde(default)]
    architectures: Option<Vec<Arch>>,
    /// Architectures by the machine's own.
    #[serde(default)]
    arch_map: Option<Vec<Family>>,
    #[serde(default)]
    flags: Option<Vec<LinuxSeccompFilterFlag>>,
    #[serde(default)]
    listener_path: Option<String>,
    #[serde(default)]
    listener_metadata: Option<String>,
    #[serde(default)]
    syscalls: Option<Vec<Call>>,
}

#[derive(Clone, Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
struct Family {
    architecture: Arch,
    #[serde(default)]
    sub_architectures: Option<Vec<Arch>>,
}

#[derive(Clone, Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
struct Call {
    /// What profiles had before `names`.
    #[serde(default)]
    name: String,
    #[serde(default)]
    names: Option<Vec<String>>,
    action: LinuxSeccompAction,
    #[serde(default)]
    errno_ret: Option<u32>,
    #[serde(default)]
    args: Option<Vec<LinuxSeccompArg>>,
    #[serde(default)]
    includes: Option<Conditions>,
    #[serde(default)]
    excludes: Option<Conditions>,
}

impl Profile {
    /// Reads a profile.
    pub fn parse(text: &str) -> Result<Self, BadProfile> {
        let document: Document = serde_json::from_str(text).map_err(BadProfile::Json)?;
        let both = |one: &Option<Vec<_>>, other: usize| {
            one.as_ref().is_some_and(|list| !list.is_empty()) && other > 0
        };
        if both(
            &document.architectures,
            document.arch_map.as_ref().map_or(0, Vec::len),
        ) {
            return Err(BadProfile::Both("architectures", "archMap"));
        }
        for (at, call) in document.syscalls.iter().flatten().enumerate() {
            call.check(at + 1)?;
        }
        Ok(Self(document))
    }

    /// The section of a spec for one container.
    pub fn resolve(&self, subject: &Subject<'_>) -> LinuxSeccomp {
        let document = &self.0;
        let mut section = LinuxSeccomp::default();
        section.set_default_action(document.default_action);
        section.set_default_errno_ret(document.default_errno_ret);
        section.set_architectures(self.architectures(subject));
        section.set_flags(document.flags.clone());
        section.set_listener_path(document.listener_path.clone().map(Into::into));
        section.set_listener_metadata(document.listener_metadata.clone());
        let calls = document
            .syscalls
            .iter()
            .flatten()
            .filter(|call| call.applies(subject));
        section.set_syscalls(Some(calls.map(Call::section).collect()));
        section
    }

    fn architectures(&self, subject: &Subject<'_>) -> Option<Vec<Arch>> {
        let Some(families) = self
            .0
            .arch_map
            .as_ref()
            .filter(|families| !families.is_empty())
        else {
            return self.0.architectures.clone();
        };
        let native = super::architectures(subject.architecture).first().copied();
        let family = families
            .iter()
            .find(|family| Some(family.architecture) == native)?;
        let others = family.sub_architectures.iter().flatten().copied();
        Some(std::iter::once(family.architecture).chain(others).collect())
    }
}

impl Call {
    fn check(&self, rule: usize) -> Result<(), BadProfile> {
        match (
            self.name.is_empty(),
            self.names.as_deref().unwrap_or_default(),
        ) {
            (false, [_, ..]) => return Err(BadProfile::Both("name", "names")),
            (true, []) => return Err(BadProfile::NoNames(rule)),
            (false, []) | (true, [_, ..]) => (),
        }
        let conditions = self.includes.iter().chain(&self.excludes);
        conditions
            .map(Conditions::check)
            .find_map(Result::err)
            .map_or(Ok(()), |why| Err(BadProfile::Condition { rule, why }))
    }

    fn applies(&self, subject: &Subject<'_>) -> bool {
        self.includes
            .as_ref()
            .is_none_or(|conditions| conditions.include(subject))
            && !self
                .excludes
                .as_ref()
                .is_some_and(|conditions| conditions.exclude(subject))
    }

    fn section(&self) -> LinuxSyscall {
        let mut call = LinuxSyscall::default();
        let single = || vec![self.name.clone()];
        call.set_names(
            self.names
                .clone()
                .filter(|names| !names.is_empty())
                .unwrap_or_else(single),
        );
        call.set_action(self.action);
        call.set_errno_ret(self.errno_ret);
        call.set_args(self.args.clone().filter(|arguments| !arguments.is_empty()));
        call
    }
}
