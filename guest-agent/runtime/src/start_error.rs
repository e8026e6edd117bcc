//! Why a process did not start: the step that failed and the kernel's word for it.

use serde::{Deserialize, Serialize};

/// A process could not be started; nothing of it is left.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, thiserror::Error)]
#[error("{step}: {}", std::io::Error::from_raw_os_error(*errno))]
pub struct StartError {
    /// What was attempted, and on which object (`mount /data`).
    pub step: String,
    /// The kernel's error number.
    pub errno: i32,
}
