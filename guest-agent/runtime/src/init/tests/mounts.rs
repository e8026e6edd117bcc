//! Mounts of a spec in a real container.

use std::os::fd::{AsFd, OwnedFd};
use std::os::unix::fs::{MetadataExt as _, chown};

use oci_spec::runtime::Mount;
use proa_kernel::mount as kernel_mount;
use rustix::fs::AtFlags;

use super::support::{Ground, add_mount, bind, capture, run};
use crate::init::overlay::old_ways;
use crate::init::{SpawnFds, spawn};
use crate::plan::{
    CgroupMount, CgroupView, IdMap, IdMaps, Layers, Overlay, Plan, PlanOptions, Root,
};

#[test]
fn the_place_of_a_bind_is_made_as_its_source_is() {
    let ground = Ground::new();
    std::fs::create_dir(ground.path("folder")).unwrap();
    std::fs::write(ground.path("file"), "content\n").unwrap();
    let plan = ground.plan(
        "cat /a/b/file; ls -d /c/d; echo more >> /a/b/file; touch /c/d/new 2>&1",
        |spec| {
            add_mount(
                spec,
                bind(&ground.path("file"), "/a/b/file", &["rbind", "rprivate"]),
            );
            add_mount(spec, bind(&ground.path("folder"), "/c/d", &["rbind", "ro"]));
        },
    );
    let outcome = run(&plan);
    assert_eq!(outcome.ended, Ok(1));
    assert!(
        outcome.output.starts_with("content\n/c/d\n") && outcome.output.contains("Read-only"),
        "{outcome:?}"
    );
    assert_eq!(
        std::fs::read_to_string(ground.path("file")).unwrap(),
        "content\nmore\n"
    );
}

#[test]
fn a_missing_source_is_named() {
    let ground = Ground::new();
    let plan = ground.plan("true", |spec| {
        add_mount(spec, bind("/no/such".as_ref(), "/data", &["rbind"]));
    });
    assert_eq!(
        run(&plan).error(),
        "bind source path /no/such: no such file or directory"
    );
}

#[test]
fn a_file_in_the_way_of_a_directory_is_named() {
    let ground = Ground::new();
    std::fs::create_dir(ground.path("folder")).unwrap();
    let plan = ground.plan("true", |spec| {
        add_mount(
            spec,
            bind(&ground.path("folder"), "/etc/passwd/x", &["rbind"]),
        );
    });
    assert_eq!(run(&plan).error(), "mount /etc/passwd/x: not a directory");
}

#[test]
fn read_only_can_hold_for_mounts_below_too() {
    let ground = Ground::new();
    std::fs::create_dir_all(ground.path("top/below")).unwrap();
    // In a mount namespace of its own, so that the mount below goes with the caller.
    let run_with = |options: &[&str]| {
        let plan = ground.plan("touch /top/below/x 2>&1 && echo written", |spec| {
            add_mount(spec, bind(&ground.path("top"), "/top", options));
        });
        capture(|output| {
            proa_kernel::namespace::unshare(proa_kernel::namespace::Namespaces::MOUNT).unwrap();
            kernel_mount::set_propagation(c"/", kernel_mount::propagation::PRIVATE, true).unwrap();
            let tmpfs = kernel_mount::Configuring::new("tmpfs")
                .unwrap()
                .mount(0)
                .unwrap();
            kernel_mount::place_at(tmpfs, ground.path("top/below")).unwrap();
            let fds = SpawnFds {
                stdout: Some(output.as_fd()),
                ..SpawnFds::default()
            };
            let spawned = spawn(&plan, &fds)?;
            Ok(proa_kernel::process::wait(&spawned.pidfd).unwrap().code())
        })
    };
    assert_eq!(run_with(&["rbind", "ro"]).text(), "written");
    assert!(run_with(&["rbind", "rro"]).output.contains("Read-only"));
}

#[test]
fn a_tmpfs_can_begin_with_what_the_image_has() {
    let ground = Ground::new();
    let tmpfs = |options: &[&str]| {
        let mut mount = Mount::default();
        mount
            .set_destination("/etc".into())
            .set_typ(Some("tmpfs".into()))
            .set_source(Some("tmpfs".into()));
        mount.set_options(Some(options.iter().map(|&word| word.to_owned()).collect()));
        mount
    };
    let plan = ground.plan("ls /etc; stat -c %a /etc", |spec| {
        add_mount(spec, tmpfs(&["tmpcopyup"]));
    });
    assert_eq!(run(&plan).text(), "passwd\n755");
    let plan = ground.plan("ls /etc; stat -c %a /etc", |spec| {
        add_mount(spec, tmpfs(&["size=1m", "mode=1777"]));
    });
    assert_eq!(run(&plan).text(), "1777");
}

#[test]
fn there_may_be_any_number_of_layers() {
    let ground = Ground::new();
    let lowers: Vec<_> = (0..400)
        .map(|number| ground.path(&format!("layers/{number}")))
        .collect();
    for (number, layer) in lowers.iter().enumerate() {
        std::fs::create_dir_all(layer).unwrap();
        std::fs::write(layer.join("top"), number.to_string()).unwrap();
    }
    let overlay = Overlay {
        lowers: lowers.into_iter().chain([ground.path("image")]).collect(),
        upper: ground.path("upper"),
        work: ground.path("work"),
        volatile: false,
    };
    let options = PlanOptions {
        root: Some(Root::Overlay(overlay.clone())),
        ..ground.options()
    };
    let spec = super::support::spec("cat /top", |_| {});
    assert_eq!(run(&Plan::new(&spec, options).unwrap()).text(), "0");
    // The same by the way of older kernels.
    let outcome = capture(|_| {
        let mounted = old_ways::by_string(&overlay, None).unwrap();
        let top =
            proa_kernel::resolve::open_plain(&mounted, "top", rustix::fs::OFlags::RDONLY).unwrap();
        assert_eq!(
            std::io::read_to_string(std::fs::File::from(top)).unwrap(),
            "0"
        );
        drop(mounted);
        Ok(0)
    });
    outcome.text();
}

#[test]
fn layers_belong_to_a_user_namespace_whatever_their_file_system() {
    let ground = Ground::new();
    let Root::Overlay(mut overlay) = ground.overlay() else {
        unreachable!()
    };
    for name in ["top", "top/tmp"] {
        std::fs::create_dir(ground.path(name)).unwrap();
    }
    std::fs::write(ground.path("top/tmp/file"), "").unwrap();
    chown(ground.path("top/tmp/file"), Some(7), Some(70_000)).unwrap();
    overlay.lowers.insert(0, ground.path("top"));
    let map = IdMap {
        inside: 0,
        outside: 300_000,
        length: 1000,
    };
    let maps = IdMaps {
        uids: vec![map],
        gids: vec![map],
    };
    let owners = |mounted: &OwnedFd| {
        ["tmp/file", "bin/busybox"].map(|name| {
            let stat = rustix::fs::statat(mounted, name, AtFlags::empty()).unwrap();
            (stat.st_uid, stat.st_gid)
        })
    };
    let outcome = capture(|_| {
        // The way of file systems without idmapped mounts, twice: the second start finds the copies.
        for _ in 0..2 {
            let mounted = old_ways::by_copies(&overlay, &maps).unwrap();
            let expected = [(300_007, 65534), (300_000, 300_000)];
            assert_eq!(owners(&mounted), expected);
        }
        // The way of kernels without `lowerdir+`; a tmpfs has no idmapped mounts before 6.3.
        let (uids, gids) = maps.ranges();
        let namespace = proa_kernel::user::namespace(&uids, &gids).unwrap();
        match old_ways::by_string(&overlay, Some(&namespace)) {
            Ok(mounted) => assert_eq!(owners(&mounted)[1], (300_000, 300_000)),
            Err(error) => assert_eq!(error.raw_os_error(), Some(libc::EINVAL)),
        }
        Ok(0)
    });
    outcome.text();
}

#[test]
fn version_1_hierarchies_appear_as_the_container_is_to_see_them() {
    let ground = Ground::new();
    let mut mount = Mount::default();
    mount
        .set_destination("/sys/fs/cgroup".into())
        .set_typ(Some("cgroup".into()));
    mount.set_options(Some(["ro", "nosuid"].map(str::to_owned).to_vec()));
    let spec = super::support::spec("ls /sys/fs/cgroup; cd /sys/fs/cgroup/a,b && ls", |spec| {
        add_mount(spec, mount);
    });
    std::fs::create_dir_all(ground.path("cgroup/tasks")).unwrap();
    let hierarchy = CgroupMount {
        name: "a,b".into(),
        controllers: "a,b".into(),
        directory: ground.path("cgroup"),
    };
    let mut plan = Plan::new(
        &spec,
        PlanOptions {
            cgroup: CgroupView::PerController(vec![hierarchy]),
            ..ground.options()
        },
    )
    .unwrap();
    for mount in &mut plan.mounts {
        if let crate::plan::MountSource::Cgroup1 { namespaced, .. } = &mut mount.source {
            *namespaced = false;
        }
    }
    assert_eq!(run(&plan).text(), "a\na,b\nb\ntasks");
}

#[test]
fn nothing_of_a_container_stays_mounted_on_the_host() {
    let ground = Ground::new();
    ground.sh("true").text();
    let mounts = std::fs::read_to_string("/proc/self/mountinfo").unwrap();
    assert!(
        !mounts.contains(&*ground.folder.path().to_string_lossy()),
        "{mounts}"
    );
    assert_eq!(std::fs::metadata(ground.path("image")).unwrap().uid(), 0);
}

#[test]
fn the_layers_of_an_image_are_shown_over_one_another() {
    let ground = Ground::new();
    for (name, text) in [("one", "1"), ("two", "2")] {
        std::fs::create_dir_all(ground.path(name).join("etc")).unwrap();
        std::fs::write(ground.path(name).join("etc").join(name), text).unwrap();
    }
    std::os::unix::fs::symlink("/etc", ground.path("two/link")).unwrap();
    let show = |lowers: &[&str], beneath: Option<&str>, script: &str| {
        let layers = Layers {
            lowers: lowers.iter().map(|name| ground.path(name)).collect(),
            beneath: beneath.map(Into::into),
        };
        let mut mount = Mount::default();
        mount
            .set_destination("/image".into())
            .set_typ(Some("overlay".into()))
            .set_options(Some(layers.options()));
        let plan = ground.plan(script, |spec| add_mount(spec, mount));
        run(&plan).text().to_owned()
    };
    let both = ["one", "two", "image"];
    let told = show(
        &both,
        None,
        "cat /image/etc/one /image/etc/two; touch /image/x || true",
    );
    assert!(
        told.starts_with("12") && told.contains("Read-only"),
        "{told}"
    );
    // Whether it is one layer or several, and through a link of theirs.
    assert_eq!(show(&both, Some("link"), "cat /image/one"), "1");
    assert_eq!(show(&["two"], Some("etc"), "cat /image/two"), "2");
}
