//! Verbs about images.

pub(crate) mod list;
pub(crate) mod pull;

/// The platform that was asked for, by flag or by Docker's variable.
pub(crate) fn platform(flag: Option<&String>) -> Option<String> {
    flag.cloned().or_else(|| std::env::var("DOCKER_DEFAULT_PLATFORM").ok()).filter(|platform| !platform.is_empty())
}
