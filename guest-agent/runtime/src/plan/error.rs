//! Why a spec makes no plan.

use std::path::PathBuf;

/// A spec that cannot be carried out as it is written.
#[derive(Debug, thiserror::Error)]
pub enum PlanError {
    /// A section that every container needs is not there.
    #[error("the spec has no {0}")]
    Missing(&'static str),
    /// A container path that is not absolute or climbs with `..`.
    #[error("container path {0} is not absolute and free of ..")]
    Path(PathBuf),
    /// A value out of the specification's choice.
    #[error("{what} cannot be {value:?}")]
    Value {
        /// What it is the value of.
        what: &'static str,
        /// The value.
        value: String,
    },
    /// A sysctl that the container's namespaces do not keep to themselves.
    #[error("sysctl {0} would change the host: its namespace is not the container's own")]
    HostSysctl(String),
    /// Mappings without a user namespace, or the other way round.
    #[error(
        "a new user namespace needs uid and gid mappings, and mappings need a new user namespace"
    )]
    Mappings,
    /// A namespace kind listed twice.
    #[error("namespace {0} is listed twice")]
    TwoNamespaces(&'static str),
    /// The plan could not be written down.
    #[error("encode the plan")]
    Encode(#[source] postcard::Error),
    /// The bytes are no plan of this version.
    #[error("decode the plan")]
    Decode(#[source] postcard::Error),
}
