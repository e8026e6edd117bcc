//! Being a device of the machine: what hidden verbs of the product's program do for the hypervisor.

use std::ffi::OsString;

pub use proa_vm::devices::DeviceError;
use proa_vm::devices::{SHARE_VERB, VSOCK_VERB};

/// If these are the arguments of a device (the program's name first), is it until its machine ends.
pub fn run(arguments: &[OsString]) -> Option<Result<(), DeviceError>> {
    let (verb, words) = arguments.get(1..)?.split_first()?;
    let verb = verb.to_str()?;
    matches!(verb, VSOCK_VERB | SHARE_VERB).then(|| proa_vm::devices::run(verb, words))
}
