//! Machines that do what they should.

use std::time::Duration;

use proa_vm::{Accelerator, Exit, Phase, Role, Share, StartError, State, disk};
use rustix::process::Signal;

use crate::support::{
    ended, folder, get, gone, is_alive, pid_of, processes, reached, signal, spec, start, story, up,
};

/// Boots once, because a translated boot is long, and looks at everything that a running machine offers.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_machine_boots_answers_and_ends() {
    let folder = folder();
    let mut spec = spec(folder.path());
    let shared = folder.path().join("shared, ü");
    std::fs::create_dir(&shared).expect("the folder is ours");
    spec.shares = [("share0", false), ("share1", true)]
        .map(|(tag, readonly)| Share {
            tag: tag.into(),
            path: shared.clone(),
            readonly,
        })
        .to_vec();
    let machine = up(spec.clone()).await;
    let health = get(&machine, "/proa/v1/health").await;
    assert!(health.contains("\"protocol\""), "{health}");

    let all = processes(&machine);
    let roles: Vec<_> = all.iter().map(|process| process.role.clone()).collect();
    let share = |tag: &str| Role::Share(tag.into());
    assert_eq!(
        roles,
        [
            Role::Vsock,
            share("share0"),
            share("share1"),
            Role::Hypervisor
        ]
    );
    assert!(all.iter().all(|process| is_alive(process.pid)));

    a_held_disk_is_refused(&spec).await;
    memory_is_given_back(&machine).await;
    a_pause_is_survived(&machine).await;
    many_streams_at_once(&machine).await;

    assert_eq!(machine.kill().await, Exit::Killed);
    let pids: Vec<_> = all.iter().map(|process| process.pid).collect();
    gone(&pids).await;
    let left: Vec<_> = std::fs::read_dir(&spec.run).expect("it stays").collect();
    assert!(left.is_empty(), "{left:?}");
    let phases: Vec<_> = story(&machine)
        .await
        .into_iter()
        .map(|(_, phase)| phase)
        .collect();
    let expected = [
        Phase::Checking,
        Phase::DiskMade {
            bytes: spec.disk.size,
        },
        Phase::DevicesUp,
        Phase::Booting { accelerator: "tcg" },
        Phase::KernelSpoke,
        Phase::Ready,
        Phase::Ended(Exit::Killed),
    ];
    assert_eq!(phases, expected);
}

async fn a_held_disk_is_refused(spec: &proa_vm::Spec) {
    assert!(disk::is_in_use(&spec.disk).expect("it can be asked"));
    let mut second = spec.clone();
    second.run = spec.run.with_file_name("run2");
    second.console = spec.console.with_file_name("console2.log");
    let machine = start(second);
    let error = machine.ready().await.expect_err("the disk is taken");
    assert!(matches!(*error, StartError::DiskInUse { .. }), "{error}");
}

async fn memory_is_given_back(machine: &proa_vm::Machine) {
    assert_eq!(machine.memory().await.expect("it tells"), 1 << 30);
    machine.set_memory(800 << 20).await.expect("it can be told");
    let shrunk = async {
        while machine.memory().await.expect("it tells") > 800 << 20 {
            tokio::time::sleep(Duration::from_millis(100)).await;
        }
    };
    let shrunk = tokio::time::timeout(crate::support::PATIENCE, shrunk).await;
    assert!(shrunk.is_ok(), "{:?}", machine.memory().await);
}

/// As when the host sleeps.
async fn a_pause_is_survived(machine: &proa_vm::Machine) {
    let qemu = pid_of(&processes(machine), &Role::Hypervisor);
    signal(qemu, Signal::STOP);
    tokio::time::sleep(Duration::from_secs(3)).await;
    signal(qemu, Signal::CONT);
    get(machine, "/proa/v1/health").await;
    assert!(matches!(machine.state(), State::Running(_)));
}

async fn many_streams_at_once(machine: &proa_vm::Machine) {
    let asked = (0..24).map(|_| {
        let machine = machine.clone();
        tokio::spawn(async move { get(&machine, "/_ping").await })
    });
    for asked in asked.collect::<Vec<_>>() {
        assert_eq!(asked.await.expect("none panics"), "OK");
    }
}

/// Where there is no KVM there is nothing to fall back from, and where it works nothing to notice.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_accelerator_that_cannot_run_the_guest_costs_once() {
    let folder = folder();
    let mut spec = spec(folder.path());
    spec.accelerator = Accelerator::Auto;
    let decided = |phase: &Phase| matches!(phase, Phase::FellBack { .. } | Phase::KernelSpoke);
    let machine = start(spec.clone());
    let first = reached(&machine, decided).await;
    if let Phase::FellBack { from, to, why } = &first {
        assert_eq!((*from, *to), ("kvm", "tcg"), "{why}");
        reached(&machine, |phase| {
            *phase == Phase::Booting { accelerator: "tcg" }
        })
        .await;
        machine.kill().await;

        let again = start(spec);
        let second = reached(&again, decided).await;
        let Phase::FellBack { why, .. } = second else {
            panic!("not remembered: {:#?}", story(&again).await);
        };
        assert!(why.starts_with("as seen at an earlier start"), "{why}");
        reached(&again, |phase| matches!(phase, Phase::Booting { .. })).await;
        again.kill().await;
        let phases = story(&again).await;
        let kvm = phases
            .iter()
            .any(|(_, phase)| *phase == Phase::Booting { accelerator: "kvm" });
        assert!(!kvm, "{phases:?}");
    } else {
        machine.kill().await;
    }
}

#[tokio::test]
async fn a_start_can_be_called_off() {
    let folder = folder();
    let machine = start(spec(folder.path()));
    reached(&machine, |phase| matches!(phase, Phase::Booting { .. })).await;
    machine.kill().await;
    ended(&machine).await;
    let State::Failed(error) = machine.state() else {
        panic!("{:?}", machine.state());
    };
    assert!(matches!(*error, StartError::CalledOff), "{error}");
}
