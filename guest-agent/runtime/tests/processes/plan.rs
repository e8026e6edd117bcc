//! The smallest container: PID, mount and IPC namespaces of its own on the host's root.

use oci_spec::runtime::Spec;
use proa_runtime::plan::{ExecPlan, Plan, PlanOptions};
use serde_json::json;

use crate::ground;

/// A plan that executes a command of the host.
pub(crate) fn of(args: &[&str]) -> Plan {
    let mounts = json!([
        { "destination": "/proc", "type": "proc", "source": "proc" },
        { "destination": "/dev", "type": "tmpfs", "source": "tmpfs", "options": ["mode=755"] },
        { "destination": "/dev/pts", "type": "devpts", "source": "devpts",
          "options": ["newinstance", "ptmxmode=0666", "mode=0620"] },
    ]);
    let spec = json!({
        "ociVersion": "1.2.0",
        "root": { "path": "/" },
        "process": { "user": { "uid": 0, "gid": 0 }, "args": args, "cwd": "/",
                     "env": ["PATH=/usr/bin:/bin"] },
        "mounts": mounts,
        "linux": { "namespaces": [{ "type": "pid" }, { "type": "mount" }, { "type": "ipc" }] },
    });
    let spec: Spec = serde_json::from_value(spec).unwrap();
    let options = PlanOptions {
        id: "test".into(),
        keep_keyring: true,
        ..PlanOptions::default()
    };
    Plan::new(&spec, options).unwrap()
}

/// A further process beside such a one.
pub(crate) fn exec(args: &[&str]) -> ExecPlan {
    ExecPlan {
        namespaces: of(args).namespaces.new,
        process: ground::process(args),
    }
}
