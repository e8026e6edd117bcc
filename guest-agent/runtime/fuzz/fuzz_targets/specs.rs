//! Runtime specs from any bytes: whatever a bundle says, there is a plan or an error, and a plan survives its bytes.
#![no_main]

use libfuzzer_sys::fuzz_target;
use oci_spec::runtime::Spec;
use proa_runtime::plan::{Plan, PlanOptions};

fuzz_target!(|bytes: &[u8]| {
    let Ok(spec) = serde_json::from_slice::<Spec>(bytes) else {
        return;
    };
    if let Ok(plan) = Plan::new(&spec, PlanOptions::default()) {
        let bytes = plan.encode().expect("a plan can be written");
        assert_eq!(Plan::decode(&bytes).expect("and read"), plan);
    }
    let _ = spec.linux().as_ref().and_then(|linux| {
        let resources = linux.resources().as_ref()?;
        proa_runtime::resources::limits(resources).ok()
    });
});
