//! Users, capabilities, limits, filters, user namespaces.

use std::os::fd::AsFd;
use std::os::unix::fs::MetadataExt as _;

use oci_spec::runtime::{
    Capability, LinuxCapabilities, LinuxIdMappingBuilder, LinuxNamespace, LinuxNamespaceType,
    PosixRlimitBuilder, PosixRlimitType, User,
};

use super::support::{Ground, run, run_with, with_linux, with_process};
use crate::init::SpawnFds;
use crate::plan::SeccompPlan;

#[test]
fn a_process_has_exactly_the_user_and_rights_of_the_plan() {
    let ground = Ground::new();
    let script = "id; umask; grep -E '^(Cap|NoNewPrivs)' /proc/self/status; ulimit -n; echo $HOME";
    let plan = ground.plan(script, |spec| {
        with_process(spec, |process| {
            let mut user = User::default();
            user.set_uid(8)
                .set_gid(9)
                .set_umask(Some(0o27))
                .set_additional_gids(Some(vec![10, 11]));
            let set = || Some([Capability::Chown, Capability::Kill].into());
            let mut capabilities = LinuxCapabilities::default();
            capabilities
                .set_bounding(set())
                .set_permitted(set())
                .set_inheritable(None)
                .set_ambient(None)
                .set_effective(set());
            let limit = PosixRlimitBuilder::default()
                .typ(PosixRlimitType::RlimitNofile)
                .soft(99_u64)
                .hard(100_u64);
            let limit = limit.build().unwrap();
            process
                .set_user(user)
                .set_capabilities(Some(capabilities))
                .set_rlimits(Some(vec![limit]));
            process
                .set_no_new_privileges(Some(true))
                .set_env(Some(vec!["PATH=/bin".into()]));
        });
    });
    let seen = run(&plan);
    let expected = "uid=8(mail) gid=9 groups=10,11\n0027\nCapInh:\t0000000000000000\nCapPrm:\t0000000000000000\n\
                    CapEff:\t0000000000000000\nCapBnd:\t0000000000000021\nCapAmb:\t0000000000000000\n\
                    NoNewPrivs:\t1\n99\n/var/mail";
    // Without ambient capabilities a user other than root loses them at `execve`.
    assert_eq!(seen.text(), expected);
}

#[test]
fn ambient_capabilities_survive_for_a_user() {
    let ground = Ground::new();
    let plan = ground.plan("grep CapEff /proc/self/status", |spec| {
        with_process(spec, |process| {
            let mut user = User::default();
            user.set_uid(1000).set_gid(1000);
            let set = || Some([Capability::NetBindService].into());
            let mut all = LinuxCapabilities::default();
            all.set_bounding(set())
                .set_permitted(set())
                .set_inheritable(set())
                .set_ambient(set())
                .set_effective(set());
            process.set_user(user).set_capabilities(Some(all));
        });
    });
    assert_eq!(run(&plan).text(), "CapEff:\t0000000000000400");
}

#[test]
fn a_filter_is_loaded_with_and_without_further_privileges() {
    // Allows everything: BPF_RET with SECCOMP_RET_ALLOW.
    let allow = [
        0x06_u16.to_ne_bytes().as_slice(),
        &[0, 0],
        &0x7fff_0000_u32.to_ne_bytes(),
    ]
    .concat();
    let ground = Ground::new();
    for no_new_privileges in [true, false] {
        let mut plan = ground.plan("grep '^Seccomp:' /proc/self/status", |_| {});
        plan.process.no_new_privileges = no_new_privileges;
        plan.process.seccomp = Some(SeccompPlan {
            program: allow.clone(),
            ..SeccompPlan::default()
        });
        assert_eq!(run(&plan).text(), "Seccomp:\t2");
    }
}

#[test]
fn a_user_namespace_owns_its_files_through_idmapped_layers() {
    let ground = Ground::new();
    let script = "id -u; stat -c %u /bin/busybox; touch /tmp/new; stat -c %u /tmp/new; cat /proc/self/uid_map; \
                  echo x > /dev/null && ls -ln /dev/null | cut -c1; ls /dev/pts/ptmx; hostname inner && hostname";
    let mut plan = ground.plan(script, |spec| {
        with_linux(spec, |linux| {
            let mut namespaces = linux.namespaces().clone().unwrap();
            let mut user = LinuxNamespace::default();
            user.set_typ(LinuxNamespaceType::User);
            namespaces.push(user);
            let map = LinuxIdMappingBuilder::default()
                .container_id(0_u32)
                .host_id(300_000_u32)
                .size(65536_u32);
            let map = map.build().unwrap();
            linux
                .set_namespaces(Some(namespaces))
                .set_uid_mappings(Some(vec![map]))
                .set_gid_mappings(Some(vec![map]));
        });
    });
    plan.root_readonly = false;
    plan.process.capabilities = None;
    let seen = run(&plan);
    let words: Vec<&str> = seen.text().split_whitespace().collect();
    assert_eq!(
        words,
        [
            "0",
            "0",
            "0",
            "0",
            "300000",
            "65536",
            "c",
            "/dev/pts/ptmx",
            "inner"
        ]
    );
    assert_eq!(
        std::fs::metadata(ground.path("upper/tmp/new"))
            .unwrap()
            .uid(),
        300_000
    );
    assert_eq!(
        std::fs::metadata(ground.path("image/tmp")).unwrap().uid(),
        0
    );
}

#[test]
fn a_version_1_cgroup_is_entered_before_the_command_runs() {
    let ground = Ground::new();
    let cgroup = std::path::Path::new("/sys/fs/cgroup/pids")
        .join(format!("proa-init-test-{}", std::process::id()));
    if std::fs::create_dir(&cgroup).is_err() {
        // A machine with version 2 only has no `tasks` to enter.
        assert!(std::path::Path::new("/sys/fs/cgroup/cgroup.controllers").exists());
        return;
    }
    let tasks = std::fs::File::options()
        .write(true)
        .open(cgroup.join("tasks"))
        .unwrap();
    let plan = ground.plan("grep pids /proc/self/cgroup", |_| {});
    let fds = SpawnFds {
        cgroup1_tasks: vec![tasks.as_fd()],
        ..SpawnFds::default()
    };
    let outcome = run_with(&plan, &fds, |_| {});
    std::fs::remove_dir(&cgroup).unwrap();
    // A cgroup namespace begins where the process is.
    assert!(
        outcome.text().ends_with(":/") || outcome.text().contains("proa-init-test"),
        "{outcome:?}"
    );
}
