//! The spec of a default container is Docker's, and each option changes what it says it does.

use super::*;
use proa_protocol::models::ResourcesUlimits;

struct Case {
    config: ContainerConfig,
    host: HostConfig,
    mounts: Vec<MountPoint>,
    joined: Joined,
}

impl Default for Case {
    fn default() -> Self {
        let config = ContainerConfig {
            hostname: Some("abc".into()),
            ..ContainerConfig::default()
        };
        Self {
            config,
            host: HostConfig::default(),
            mounts: Vec::new(),
            joined: Joined::default(),
        }
    }
}

impl Case {
    fn spec(&self) -> Result<Spec, SpecError> {
        let files = Files {
            resolv_conf: "/f/r".into(),
            hostname: "/f/n".into(),
            hosts: "/f/h".into(),
        };
        build(&Input {
            id: "abcdef",
            config: &self.config,
            host: &self.host,
            args: &["sleep".to_owned(), "1".to_owned()],
            user: User::default(),
            mounts: &self.mounts,
            files: &files,
            joined: &self.joined,
            cgroup: Path::new("/proa/abcdef"),
            devices: &[],
            seccomp: None,
            id_maps: None,
            machine: &Machine::default(),
            root: Path::new("/root"),
        })
    }
}

#[test]
fn a_default_container_has_dockers_mounts() {
    let spec = Case::default().spec().unwrap();
    let mut mounts: Vec<String> = spec
        .mounts()
        .as_ref()
        .unwrap()
        .iter()
        .map(|mount| {
            format!(
                "{} {}",
                mount.destination().display(),
                mount.options().as_ref().unwrap().join(",")
            )
        })
        .collect();
    mounts.sort();
    assert_eq!(
        mounts,
        [
            "/dev nosuid,strictatime,mode=755,size=65536k",
            "/dev/mqueue nosuid,noexec,nodev",
            "/dev/pts nosuid,noexec,newinstance,ptmxmode=0666,mode=0620,gid=5",
            "/dev/shm nosuid,noexec,nodev,mode=1777,size=67108864",
            "/etc/hostname rbind,rprivate",
            "/etc/hosts rbind,rprivate",
            "/etc/resolv.conf rbind,rprivate",
            "/proc nosuid,noexec,nodev",
            "/sys nosuid,noexec,nodev,ro",
            "/sys/fs/cgroup nosuid,noexec,nodev,ro",
        ]
    );
}

#[test]
fn a_privileged_container_sees_and_writes_everything() {
    let mut case = Case::default();
    case.host.privileged = Some(true);
    let spec = case.spec().unwrap();
    let linux = spec.linux().as_ref().unwrap();
    assert!(linux.masked_paths().as_ref().unwrap().is_empty());
    let sys = spec
        .mounts()
        .as_ref()
        .unwrap()
        .iter()
        .find(|m| m.destination() == Path::new("/sys"))
        .unwrap();
    assert!(!sys.options().as_ref().unwrap().contains(&"ro".to_owned()));
}

#[test]
fn the_environment_starts_with_path_and_a_later_value_replaces() {
    let env = environment(
        "h",
        true,
        &["A=1".into(), "PATH=/x".into(), "A=2".into(), "TERM".into()],
    );
    assert_eq!(env, ["PATH=/x", "HOSTNAME=h", "A=2"]);
    assert_eq!(
        with_home(env, Some("/home/x")).last().unwrap(),
        "HOME=/home/x"
    );
}

#[test]
fn a_soft_limit_stays_below_the_hard_one() {
    let limit = |soft, hard| {
        rlimits(&[ResourcesUlimits {
            name: Some("nofile".into()),
            soft: Some(soft),
            hard: Some(hard),
        }])
        .map(|list| (list[0].soft(), list[0].hard()))
        .map_err(|error| error.to_string())
    };
    assert_eq!(limit(5, 6), Ok((5, 6)));
    assert_eq!(limit(-1, -1), Ok((u64::MAX, u64::MAX)));
    assert_eq!(
        limit(7, 6).unwrap_err(),
        "ulimit soft limit must be less than or equal to hard limit: nofile=7:6"
    );
}

#[test]
fn a_sysctl_of_a_shared_namespace_is_refused() {
    let mut case = Case::default();
    case.host.sysctls = Some([("net.ipv4.ip_forward".to_owned(), "1".to_owned())].into());
    assert!(case.spec().is_ok());
    case.joined.network = Shared::Host;
    assert_eq!(
        case.spec().unwrap_err().to_string(),
        "sysctl 'net.ipv4.ip_forward' not allowed in host network namespace"
    );
}

#[test]
fn half_a_processor_is_half_a_period() {
    let host = HostConfig {
        nano_cpus: Some(500_000_000),
        memory: Some(1 << 28),
        ..HostConfig::default()
    };
    let resources = resources(&host).unwrap();
    let cpu = resources.cpu().as_ref().unwrap();
    assert_eq!((cpu.quota(), cpu.period()), (Some(50_000), Some(100_000)));
    assert_eq!(resources.memory().as_ref().unwrap().swap(), Some(1 << 29));
}

#[test]
fn deeper_mounts_come_later_and_a_users_mount_replaces_a_default() {
    let mut case = Case::default();
    let path = |destination: &str| MountPoint {
        destination: destination.into(),
        origin: Origin::Path {
            source: "/s".into(),
            beneath: None,
            propagation: "rprivate".into(),
            recursive: true,
            writable_beneath: false,
        },
        read_only: true,
    };
    case.mounts = vec![path("/data/cache"), path("/data"), path("/etc/hosts")];
    let spec = case.spec().unwrap();
    let places: Vec<_> = spec
        .mounts()
        .as_ref()
        .unwrap()
        .iter()
        .map(|m| m.destination().display().to_string())
        .collect();
    assert_eq!(
        places.iter().filter(|place| *place == "/etc/hosts").count(),
        1
    );
    let place = |name: &str| places.iter().position(|place| place == name).unwrap();
    assert!(place("/data") < place("/data/cache"));
}

#[test]
fn security_options_have_two_spellings() {
    let parse = |text: &str| SecurityOptions::parse(&[text.to_owned()]);
    assert!(parse("no-new-privileges").unwrap().no_new_privileges);
    assert!(parse("no-new-privileges:true").unwrap().no_new_privileges);
    assert_eq!(
        parse("seccomp:unconfined").unwrap().seccomp,
        Seccomp::Unconfined
    );
    assert_eq!(
        parse("colour=red").unwrap_err().to_string(),
        "invalid --security-opt: \"colour=red\""
    );
}
