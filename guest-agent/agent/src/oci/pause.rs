//! `pause` and `resume`.

use super::arguments::Globals;
use super::error::OciError;
use super::group;
use super::state::{self, CREATED, PAUSED, RUNNING};
use super::store::Folder;

/// Freezes a container.
pub(super) fn pause(globals: &Globals, id: &str) -> Result<(), OciError> {
    let record = Folder::open(globals, id)?.record(id)?;
    match state::status(&record) {
        RUNNING | CREATED => Ok(group::open(&record)?.freeze()?),
        status => Err(OciError::Status {
            verb: "pause",
            status,
        }),
    }
}

/// Thaws it.
pub(super) fn resume(globals: &Globals, id: &str) -> Result<(), OciError> {
    let record = Folder::open(globals, id)?.record(id)?;
    match state::status(&record) {
        PAUSED => Ok(group::open(&record)?.thaw()?),
        status => Err(OciError::Status {
            verb: "resume",
            status,
        }),
    }
}
