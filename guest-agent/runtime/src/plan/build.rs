//! Spec to plan.

use oci_spec::runtime::{Process, Spec};

use super::{ExecPlan, Plan, PlanError, PlanOptions, SeccompPlan};

impl Plan {
    /// Decides everything that `spec` asks for.
    pub fn new(spec: &Spec, options: PlanOptions) -> Result<Self, PlanError> {
        let _ = (spec, options);
        Err(PlanError::Missing("plan"))
    }
}

impl ExecPlan {
    /// A further process in the container that `plan` started, with its own `process` section and the container's
    /// filter unless another is given.
    pub fn new(
        plan: &Plan,
        process: &Process,
        seccomp: Option<SeccompPlan>,
    ) -> Result<Self, PlanError> {
        let _ = (plan, process, seccomp);
        Err(PlanError::Missing("plan"))
    }
}
