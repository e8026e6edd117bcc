//! `spec`.

use oci_spec::runtime::Spec;

use super::arguments::SpecArguments;
use super::error::OciError;
use super::store::write_whole;

/// Writes an example spec that runs a shell.
pub(super) fn write(arguments: &SpecArguments) -> Result<(), OciError> {
    let path = arguments.bundle.join("config.json");
    if path.exists() {
        return Err(OciError::Value {
            what: "bundle with a spec already",
            value: path.display().to_string(),
        });
    }
    let mut spec = if arguments.rootless {
        let (uid, gid) = (
            rustix::process::geteuid().as_raw(),
            rustix::process::getegid().as_raw(),
        );
        Spec::rootless(uid, gid)
    } else {
        Spec::default()
    };
    spec.set_hostname(Some("proa".into()));
    if let Some(process) = spec.process_mut() {
        process.set_terminal(Some(true));
    }
    let text = serde_json::to_vec_pretty(&spec)
        .map_err(|error| OciError::io("write the spec")(error.into()))?;
    write_whole(&path, &text)
}
