//! The engine about itself: version, what the machine can do, what takes room on its disk.

mod host;
pub mod usage;

use std::collections::BTreeMap;

use proa_kernel::cgroup::{Controller, Hierarchy, Version as CgroupVersion, host_memory};
use proa_protocol::timestamp;
use proa_protocol::{
    API_VERSION, AuthConfig, AuthResponse, DiskUsage, IndexInfo, Info, MIN_API_VERSION, Plugins,
    RegistryConfig, RuntimeInfo, SwarmInfo, TextMap, Version, VersionComponent, VersionPlatform,
};

use crate::{Engine, ListOptions, Result, clock};

/// The engine's version: Docker's whose behaviour it has, and its own behind the plus sign.
pub const VERSION: &str = concat!("28.5.2+proa.", env!("CARGO_PKG_VERSION"));

/// Which parts of the disk's use to add up.
#[derive(Clone, Copy, Debug, Default)]
pub struct DiskUsageOf {
    /// Images and their layers.
    pub images: bool,
    /// Containers.
    pub containers: bool,
    /// Volumes.
    pub volumes: bool,
    /// The cache of builds.
    pub build_cache: bool,
}

impl DiskUsageOf {
    /// Every part.
    pub fn all() -> Self {
        Self {
            images: true,
            containers: true,
            volumes: true,
            build_cache: true,
        }
    }
}

/// What the source was and when, if whoever built it said so: `scripts/dev` does for release binaries.
const COMMIT: &str = match option_env!("PROA_COMMIT") {
    Some(commit) => commit,
    None => "",
};
const BUILT: &str = match option_env!("PROA_BUILT") {
    Some(time) => time,
    None => "",
};

impl Engine {
    /// `GET /version`
    pub fn version(&self) -> Version {
        let kernel = host::kernel_release();
        let details = [
            ("ApiVersion", API_VERSION.to_string()),
            ("Arch", host::architecture().to_owned()),
            ("Experimental", "false".to_owned()),
            ("BuildTime", BUILT.to_owned()),
            ("GitCommit", COMMIT.to_owned()),
            ("KernelVersion", kernel.clone()),
            ("MinAPIVersion", MIN_API_VERSION.to_string()),
            ("Os", "linux".to_owned()),
        ];
        let details: TextMap = details
            .into_iter()
            .map(|(key, value)| (key.to_owned(), value))
            .collect();
        let engine = VersionComponent {
            name: "Engine".into(),
            version: VERSION.into(),
            details: Some(details),
        };
        Version {
            platform: VersionPlatform {
                name: concat!("Proa ", env!("CARGO_PKG_VERSION")).into(),
            },
            components: vec![engine],
            version: VERSION.into(),
            api_version: API_VERSION.to_string(),
            min_api_version: MIN_API_VERSION.to_string(),
            os: "linux".into(),
            arch: host::architecture().into(),
            kernel_version: kernel,
            git_commit: COMMIT.to_owned(),
            build_time: BUILT.to_owned(),
            ..Version::default()
        }
    }

    /// `GET /info`
    pub async fn info(&self) -> Result<Info> {
        let everything = ListOptions {
            all: true,
            ..ListOptions::default()
        };
        let mut info = self.host_info();
        for container in self.list(everything).await? {
            info.containers += 1;
            match container.state.as_str() {
                "running" => info.containers_running += 1,
                "paused" => info.containers_paused += 1,
                _ => info.containers_stopped += 1,
            }
        }
        info.images = self
            .images()
            .list(&proa_images::Filters::default(), true)?
            .len() as i64;
        Ok(info)
    }

    /// The part of [`Info`] that says nothing about containers.
    fn host_info(&self) -> Info {
        let (operating_system, os_version) = host::operating_system();
        let root = &self.config().root;
        let mut info = Info {
            id: host::id(root),
            driver: "overlay2".into(),
            driver_status: host::storage(root),
            plugins: plugins(),
            n_fd: host::open_descriptors(),
            n_goroutines: tasks(),
            system_time: timestamp::document(clock::now()),
            logging_driver: self.config().log.kind.clone(),
            cgroup_driver: "cgroupfs".into(),
            kernel_version: host::kernel_release(),
            operating_system,
            os_version,
            os_type: "linux".into(),
            architecture: host::machine(),
            index_server_address: "https://index.docker.io/v1/".into(),
            registry_config: registries(),
            ncpu: std::thread::available_parallelism().map_or(1, |count| count.get() as i64),
            mem_total: host_memory().unwrap_or_default() as i64,
            docker_root_dir: root.display().to_string(),
            http_proxy: host::proxy("HTTP_PROXY"),
            https_proxy: host::proxy("HTTPS_PROXY"),
            no_proxy: host::proxy("NO_PROXY"),
            name: host::name(),
            server_version: VERSION.into(),
            runtimes: BTreeMap::from([(
                "proa".to_owned(),
                RuntimeInfo {
                    path: "proa-agent oci".into(),
                    status: None,
                },
            )]),
            default_runtime: "proa".into(),
            swarm: SwarmInfo {
                local_node_state: "inactive".into(),
                ..SwarmInfo::default()
            },
            live_restore_enabled: true,
            init_binary: "docker-init".into(),
            security_options: host::security_options(),
            ..Info::default()
        };
        describe_limits(&mut info, self.cgroups());
        host::describe_network(&mut info);
        info
    }

    /// `GET /system/df`
    pub async fn disk_usage(&self, of: DiskUsageOf) -> Result<DiskUsage> {
        let mut usage = DiskUsage::default();
        if of.images {
            usage.layers_size = self.images().layers_size() as i64;
            usage.images = Some(self.image_usage().await?);
        }
        if of.containers {
            let sized = ListOptions {
                all: true,
                size: true,
                ..ListOptions::default()
            };
            usage.containers = Some(self.list(sized).await?);
        }
        if of.volumes {
            usage.volumes = Some(self.volume_usage().await?);
        }
        if of.build_cache {
            usage.build_cache = Some(Vec::new());
        }
        Ok(usage)
    }

    /// Tells that the cache of builds was pruned; nothing is in it as long as nothing is built.
    pub fn tell_builder_prune(&self) {
        let reclaimed = TextMap::from([("reclaimed".to_owned(), "0".to_owned())]);
        self.tell("builder", "prune", "", reclaimed);
    }

    /// How many events were told since this process began.
    pub fn events_told(&self) -> u64 {
        self.events.count()
    }

    /// `POST /auth`: tries credentials at their registry.
    pub async fn log_in(&self, credentials: AuthConfig) -> Result<AuthResponse> {
        let domain = registry_domain(&credentials.serveraddress);
        let login = self
            .images()
            .login(&domain, &crate::image::credentials(credentials))
            .await?;
        Ok(AuthResponse {
            status: "Login Succeeded".into(),
            identity_token: login.identity_token,
        })
    }
}

/// A registry's host and port from what a client has on file for it: a URL, or a host already.
fn registry_domain(address: &str) -> String {
    let bare = address
        .split_once("://")
        .map_or(address, |(_, rest)| rest)
        .split('/')
        .next()
        .unwrap_or_default();
    match bare {
        "" | "index.docker.io" | "registry-1.docker.io" => "docker.io".to_owned(),
        other => other.to_owned(),
    }
}

/// Tasks that are under way.
fn tasks() -> i64 {
    tokio::runtime::Handle::try_current()
        .map_or(0, |runtime| runtime.metrics().num_alive_tasks() as i64)
}

/// What is built in.
fn plugins() -> Plugins {
    let words = |list: &[&str]| list.iter().map(|&word| word.to_owned()).collect();
    Plugins {
        volume: words(&["local"]),
        network: words(&["bridge", "host", "null"]),
        authorization: None,
        log: words(&[
            "fluentd",
            "gelf",
            "journald",
            "json-file",
            "local",
            "syslog",
        ]),
    }
}

/// How registries are reached by default.
fn registries() -> RegistryConfig {
    let hub = IndexInfo {
        name: "docker.io".into(),
        mirrors: Vec::new(),
        secure: true,
        official: true,
    };
    RegistryConfig {
        insecure_registry_cidrs: vec!["::1/128".into(), "127.0.0.0/8".into()],
        index_configs: BTreeMap::from([("docker.io".to_owned(), hub)]),
        ..RegistryConfig::default()
    }
}

/// Which limits the machine's cgroups can enforce, and a warning for those they cannot.
fn describe_limits(info: &mut Info, hierarchy: &Hierarchy) {
    let has = |controller| hierarchy.has(controller);
    let first = hierarchy.version() != CgroupVersion::V2;
    info.cgroup_version = if first { "1" } else { "2" }.into();
    info.memory_limit = has(Controller::Memory);
    info.swap_limit = info.memory_limit && host::counts_swap();
    info.kernel_memory_tcp = first && info.memory_limit;
    info.oom_kill_disable = first && info.memory_limit;
    info.cpu_cfs_period = has(Controller::Cpu);
    info.cpu_cfs_quota = info.cpu_cfs_period;
    info.cpu_shares = info.cpu_cfs_period;
    info.cpu_set = has(Controller::Cpuset);
    info.pids_limit = has(Controller::Pids);
    let wanted = [
        (info.memory_limit, "memory limit"),
        (info.swap_limit, "swap limit"),
        (info.cpu_shares, "cpu shares"),
        (info.cpu_set, "cpuset"),
        (info.pids_limit, "pids limit"),
    ];
    let missing: Vec<_> = wanted
        .iter()
        .filter(|(has, _)| !has)
        .map(|(_, what)| format!("WARNING: No {what} support"))
        .collect();
    info.warnings = (!missing.is_empty()).then_some(missing);
}
