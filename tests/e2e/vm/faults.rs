//! Machines that something happens to.

use proa_vm::qemu::Qemu;
use proa_vm::{Exit, Machine, Phase, Role, StartError};
use rustix::process::Signal;

use crate::support::{
    PATIENCE, ended, folder, gone, pid_of, processes, reached, signal, spec, start, up,
};

async fn refusal(machine: &Machine) -> std::sync::Arc<StartError> {
    machine.ready().await.expect_err("it cannot start")
}

#[tokio::test]
async fn without_qemu_one_is_told_how_to_get_it() {
    let folder = folder();
    let machine = Machine::start(Qemu::in_path(Some("".into())), spec(folder.path()));
    let error = refusal(&machine).await;
    assert!(
        matches!(*error, StartError::HypervisorMissing { .. }),
        "{error}"
    );
    assert!(error.to_string().contains("install"), "{error}");
}

#[tokio::test]
async fn what_is_missing_is_named() {
    let folder = folder();
    let mut no_image = spec(folder.path());
    no_image.image.folder = folder.path().join("nothing");
    let error = refusal(&start(no_image)).await;
    assert!(matches!(*error, StartError::ImageMissing { .. }), "{error}");

    let mut no_share = spec(folder.path());
    no_share.shares = vec![proa_vm::Share {
        tag: "share0".into(),
        path: folder.path().join("vanished"),
        readonly: false,
    }];
    let error = refusal(&start(no_share)).await;
    assert!(error.to_string().contains("vanished"), "{error}");

    let mut no_device = spec(folder.path());
    no_device.devices = vec![folder.path().join("no-proa").into()];
    let error = refusal(&start(no_device)).await;
    assert!(matches!(*error, StartError::Spawn { .. }), "{error}");
}

#[tokio::test]
async fn a_device_that_cannot_go_on_is_named_with_its_words() {
    let folder = folder();
    let mut spec = spec(folder.path());
    spec.devices = vec![
        "/bin/sh".into(),
        "-c".into(),
        "echo no such luck >&2; exit 3".into(),
    ];
    let error = refusal(&start(spec)).await.to_string();
    assert!(error.contains("vsock device"), "{error}");
    assert!(error.contains("no such luck"), "{error}");
}

#[tokio::test]
async fn a_panic_is_told_with_the_consoles_last_lines() {
    let folder = folder();
    let mut spec = spec(folder.path());
    spec.kernel_words = vec!["rdinit=/no/such/init".into(), "init=/no/such/init".into()];
    let error = refusal(&start(spec)).await;
    let StartError::Panicked { said } = &*error else {
        panic!("{error}");
    };
    assert!(
        said.0.iter().any(|line| line.contains("Kernel panic")),
        "{error}"
    );
}

#[tokio::test]
async fn patience_has_an_end() {
    let folder = folder();
    let mut spec = spec(folder.path());
    spec.ready_port = 4_000_000;
    spec.patience = std::time::Duration::from_secs(3);
    let error = refusal(&start(spec)).await;
    assert!(matches!(*error, StartError::TimedOut { .. }), "{error}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn whichever_process_dies_is_named_and_none_is_left() {
    for role in [Role::Hypervisor, Role::Vsock] {
        let folder = folder();
        let machine = up(spec(folder.path())).await;
        let all = processes(&machine);
        signal(pid_of(&all, &role), Signal::KILL);
        let exit = ended(&machine).await;
        let Exit::Lost { role: lost, how } = exit else {
            panic!("{exit:?}");
        };
        assert_eq!(lost, role, "{how}");
        assert!(how.contains("signal 9"), "{how}");
        let pids: Vec<_> = all.iter().map(|process| process.pid).collect();
        gone(&pids).await;
    }
}

const SUPERVISOR: &str = "PROA_TEST_SUPERVISED";

/// Not a test of its own: what the next one kills.
#[tokio::test]
async fn supervisor() {
    let Some(folder) = std::env::var_os(SUPERVISOR) else {
        return;
    };
    let machine = start(spec(folder.as_ref()));
    reached(&machine, |phase| matches!(phase, Phase::Booting { .. })).await;
    std::fs::write(std::path::Path::new(&folder).join("up"), "").expect("the folder is there");
    ended(&machine).await;
}

/// A supervisor that is killed cannot clean up; the kernel does it.
#[tokio::test]
async fn a_machine_dies_with_its_supervisor() {
    let folder = folder();
    let test = std::env::current_exe().expect("a test knows its own path");
    let mut supervisor = tokio::process::Command::new(test)
        .args(["--exact", "faults::supervisor"])
        .env(SUPERVISOR, folder.path())
        .stdout(std::process::Stdio::null())
        .kill_on_drop(true)
        .spawn()
        .expect("the test starts itself");
    let up = async {
        while !folder.path().join("up").exists() {
            tokio::time::sleep(std::time::Duration::from_millis(50)).await;
        }
    };
    tokio::time::timeout(PATIENCE, up)
        .await
        .expect("it starts a machine");
    let pids = children(supervisor.id().expect("it runs"));
    assert_eq!(pids.len(), 2, "QEMU and the vsock device: {pids:?}");
    supervisor.kill().await.expect("it runs");
    gone(&pids).await;
    // Nothing is stale: the next one starts at once.
    let next = start(spec(folder.path()));
    reached(&next, |phase| matches!(phase, Phase::Booting { .. })).await;
    next.kill().await;
}

/// Of all its threads.
fn children(pid: u32) -> Vec<u32> {
    let tasks = std::fs::read_dir(format!("/proc/{pid}/task")).expect("it runs");
    tasks
        .filter_map(|task| std::fs::read_to_string(task.ok()?.path().join("children")).ok())
        .flat_map(|line| {
            let pids = line
                .split_whitespace()
                .map(|pid| pid.parse().expect("a number"));
            pids.collect::<Vec<u32>>()
        })
        .collect()
}
