//! Programs that the spec runs at points of a container's life.

use std::path::PathBuf;

use oci_spec::runtime::{Hook as SpecHook, Hooks as SpecHooks};
use serde::{Deserialize, Serialize};

/// Hooks by the point they run at (runtime-spec, `config.md`, POSIX-platform hooks).
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Hooks {
    /// On the host, after the namespaces are made (`prestart`, then `createRuntime`).
    pub create_runtime: Vec<Hook>,
    /// In the container's namespaces, before `pivot_root`.
    pub create_container: Vec<Hook>,
    /// In the container, before `execve`.
    pub start_container: Vec<Hook>,
    /// On the host, after `execve`.
    pub poststart: Vec<Hook>,
    /// On the host, after the container is deleted.
    pub poststop: Vec<Hook>,
}

/// One program.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Hook {
    /// The program.
    pub path: PathBuf,
    /// With the program's name first, as for `execv`.
    pub args: Vec<String>,
    /// `NAME=value`.
    pub env: Vec<String>,
    /// Seconds until it is killed.
    pub timeout: Option<u64>,
}

impl Hook {
    fn list(hooks: Option<&Vec<SpecHook>>) -> Vec<Self> {
        hooks.into_iter().flatten().map(Self::from_spec).collect()
    }

    fn from_spec(hook: &SpecHook) -> Self {
        Self {
            path: hook.path().clone(),
            args: hook.args().clone().unwrap_or_default(),
            env: hook.env().clone().unwrap_or_default(),
            timeout: hook
                .timeout()
                .and_then(|seconds| u64::try_from(seconds).ok()),
        }
    }
}

impl Hooks {
    pub(super) fn from_spec(hooks: Option<&SpecHooks>) -> Self {
        let Some(hooks) = hooks else {
            return Self::default();
        };
        let mut create_runtime = Hook::list(hooks.prestart().as_ref());
        create_runtime.extend(Hook::list(hooks.create_runtime().as_ref()));
        Self {
            create_runtime,
            create_container: Hook::list(hooks.create_container().as_ref()),
            start_container: Hook::list(hooks.start_container().as_ref()),
            poststart: Hook::list(hooks.poststart().as_ref()),
            poststop: Hook::list(hooks.poststop().as_ref()),
        }
    }
}
