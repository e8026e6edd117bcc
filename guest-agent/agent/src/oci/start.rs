//! `start`.

use proa_runtime::init::{self, HookState};
use proa_runtime::plan::{Plan, PlanOptions};

use super::arguments::Globals;
use super::error::OciError;
use super::state::{self, CREATED};
use super::store::{Folder, Record};

/// Lets a created container's command run.
pub(super) fn start(globals: &Globals, id: &str) -> Result<(), OciError> {
    let folder = Folder::open(globals, id)?;
    let mut record = folder.record(id)?;
    let status = state::status(&record);
    if status != CREATED {
        return Err(OciError::Status {
            verb: "start",
            status,
        });
    }
    let (_open, gate) = folder.gate()?;
    init::release(&gate)?;
    record.started = true;
    folder.write_record(&record)?;
    let plan = hooks_plan(&folder, &record)?;
    init::run_hooks(
        &plan.hooks.poststart,
        &HookState::new(&plan, "running", record.pid),
    )?;
    Ok(())
}

/// The plan of a container that was made, for its hooks.
pub(super) fn hooks_plan(folder: &Folder, record: &Record) -> Result<Plan, OciError> {
    let options = PlanOptions {
        id: record.id.clone(),
        bundle: record.bundle.clone(),
        ..PlanOptions::default()
    };
    Ok(Plan::new(&folder.spec()?, options)?)
}
