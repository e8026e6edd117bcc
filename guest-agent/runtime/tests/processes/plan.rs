//! The smallest plan: the host's own root, no namespace.

use proa_runtime::plan::{Hooks, NamespacePlan, Plan, Root};

use crate::ground;

/// A plan that executes a command of the host.
pub fn of(args: &[&str]) -> Plan {
    Plan {
        id: "test".into(),
        bundle: "/".into(),
        annotations: Vec::new(),
        namespaces: NamespacePlan::default(),
        root: Root::Plain("/".into()),
        root_readonly: false,
        root_propagation: 0,
        no_pivot: false,
        mounts: Vec::new(),
        devices: Vec::new(),
        fill_dev: false,
        masked_paths: Vec::new(),
        readonly_paths: Vec::new(),
        sysctls: Vec::new(),
        hostname: None,
        domainname: None,
        process: ground::process(args),
        hooks: Hooks::default(),
        reaper: false,
        keep_keyring: true,
        mount_label: None,
    }
}
