//! What `run` and `create` take, exactly as it was typed.

use clap::Args;

use crate::flags::{bytes, duration};

/// The flags of `run` and `create`; what they mean is said in [`super::spec`].
#[derive(Args, Clone, Debug, Default)]
pub(crate) struct CreateFlags {
    /// Give the container a name
    #[arg(long, default_value = "", hide_default_value = true)]
    pub(crate) name: String,
    /// Keep standard input open even if not attached
    #[arg(short, long)]
    pub(crate) interactive: bool,
    /// Give the container a terminal
    #[arg(short, long)]
    pub(crate) tty: bool,
    /// Attach to stdin, stdout or stderr
    #[arg(short, long)]
    pub(crate) attach: Vec<String>,
    /// Remove the container and its anonymous volumes when it exits
    #[arg(long)]
    pub(crate) rm: bool,
    /// Download the image first: always, missing or never
    #[arg(long, default_value = "missing")]
    pub(crate) pull: String,
    /// Do not show the download
    #[arg(short, long)]
    pub(crate) quiet: bool,
    /// Use this platform of a multi-platform image (os/arch/variant)
    #[arg(long)]
    pub(crate) platform: Option<String>,
    /// Write the container's ID to this file
    #[arg(long)]
    pub(crate) cidfile: Option<String>,
    /// For compatibility; images are never signed here
    #[arg(long, hide = true)]
    pub(crate) disable_content_trust: bool,

    #[command(flatten, next_help_heading = "Process")]
    pub(crate) process: ProcessFlags,
    #[command(flatten, next_help_heading = "Resources")]
    pub(crate) resources: ResourceFlags,
    #[command(flatten, next_help_heading = "Files and devices")]
    pub(crate) files: FileFlags,
    #[command(flatten, next_help_heading = "Network")]
    pub(crate) network: NetworkFlags,
    #[command(flatten, next_help_heading = "Isolation")]
    pub(crate) isolation: IsolationFlags,
    #[command(flatten, next_help_heading = "Life")]
    pub(crate) life: LifeFlags,

    /// The image, the command and its arguments
    #[arg(
        value_name = "IMAGE [COMMAND] [ARG...]",
        required = true,
        trailing_var_arg = true
    )]
    pub(crate) words: Vec<String>,
}

/// The process in the container.
#[derive(Args, Clone, Debug, Default)]
pub(crate) struct ProcessFlags {
    /// Set an environment variable: NAME=VALUE, or NAME for the value it has here
    #[arg(short, long)]
    pub(crate) env: Vec<String>,
    /// Read environment variables from a file
    #[arg(long)]
    pub(crate) env_file: Vec<String>,
    /// Run this instead of the image's entrypoint
    #[arg(long)]
    pub(crate) entrypoint: Option<String>,
    /// Working directory
    #[arg(short, long, default_value = "", hide_default_value = true)]
    pub(crate) workdir: String,
    /// User and group: name or number, [:group or number]
    #[arg(short, long, default_value = "", hide_default_value = true)]
    pub(crate) user: String,
    /// Additional groups
    #[arg(long)]
    pub(crate) group_add: Vec<String>,
    /// Run an init that forwards signals and reaps processes
    #[arg(long)]
    pub(crate) init: bool,
    /// Signal that stops the container
    #[arg(long, default_value = "", hide_default_value = true)]
    pub(crate) stop_signal: String,
    /// Seconds to wait for it to stop before it is killed
    #[arg(long, allow_negative_numbers = true)]
    pub(crate) stop_timeout: Option<i64>,
    /// Limits of the process: name=soft[:hard]
    #[arg(long)]
    pub(crate) ulimit: Vec<String>,
}

/// What the container may use.
#[derive(Args, Clone, Debug, Default)]
pub(crate) struct ResourceFlags {
    /// Memory limit (512m, 2g)
    #[arg(short, long, value_parser = bytes::positive)]
    pub(crate) memory: Option<i64>,
    /// Memory and swap together; -1 for no limit
    #[arg(long, value_parser = bytes::swap, allow_hyphen_values = true)]
    pub(crate) memory_swap: Option<i64>,
    /// Memory it is pressed back to when the host runs short
    #[arg(long, value_parser = bytes::positive)]
    pub(crate) memory_reservation: Option<i64>,
    /// How eagerly it is swapped (0 to 100)
    #[arg(long, allow_negative_numbers = true)]
    pub(crate) memory_swappiness: Option<i64>,
    /// Kernel memory limit (old kernels)
    #[arg(long, value_parser = bytes::positive, hide = true)]
    pub(crate) kernel_memory: Option<i64>,
    /// Do not kill it when it is out of memory
    #[arg(long)]
    pub(crate) oom_kill_disable: bool,
    /// How readily the host kills it when out of memory (-1000 to 1000)
    #[arg(long, allow_negative_numbers = true)]
    pub(crate) oom_score_adj: Option<i64>,
    /// Number of CPUs (0.5, 2)
    #[arg(long, value_parser = bytes::nano_cpus)]
    pub(crate) cpus: Option<i64>,
    /// Share of CPU time (relative weight)
    #[arg(short, long, allow_negative_numbers = true)]
    pub(crate) cpu_shares: Option<i64>,
    /// CPU time per period, in microseconds
    #[arg(long, allow_negative_numbers = true)]
    pub(crate) cpu_quota: Option<i64>,
    /// The period, in microseconds
    #[arg(long, allow_negative_numbers = true)]
    pub(crate) cpu_period: Option<i64>,
    /// Real-time period, in microseconds
    #[arg(long, allow_negative_numbers = true)]
    pub(crate) cpu_rt_period: Option<i64>,
    /// Real-time run time, in microseconds
    #[arg(long, allow_negative_numbers = true)]
    pub(crate) cpu_rt_runtime: Option<i64>,
    /// CPUs it may run on (0-3, 0,1)
    #[arg(long, default_value = "", hide_default_value = true)]
    pub(crate) cpuset_cpus: String,
    /// Memory nodes it may use (0-3, 0,1)
    #[arg(long, default_value = "", hide_default_value = true)]
    pub(crate) cpuset_mems: String,
    /// Most processes at a time; -1 for no limit
    #[arg(long, allow_negative_numbers = true)]
    pub(crate) pids_limit: Option<i64>,
    /// Share of block I/O (10 to 1000)
    #[arg(long)]
    pub(crate) blkio_weight: Option<u16>,
    /// Share of one device's block I/O: /dev/name:weight
    #[arg(long)]
    pub(crate) blkio_weight_device: Vec<String>,
    /// Most bytes read per second: /dev/name:1mb
    #[arg(long)]
    pub(crate) device_read_bps: Vec<String>,
    /// Most bytes written per second: /dev/name:1mb
    #[arg(long)]
    pub(crate) device_write_bps: Vec<String>,
    /// Most reads per second: /dev/name:100
    #[arg(long)]
    pub(crate) device_read_iops: Vec<String>,
    /// Most writes per second: /dev/name:100
    #[arg(long)]
    pub(crate) device_write_iops: Vec<String>,
    /// Size of /dev/shm
    #[arg(long, value_parser = bytes::positive)]
    pub(crate) shm_size: Option<i64>,
}

/// What it finds in its file system.
#[derive(Args, Clone, Debug, Default)]
pub(crate) struct FileFlags {
    /// Mount a folder or a volume: source:target[:options]
    #[arg(short, long)]
    pub(crate) volume: Vec<String>,
    /// Mount something: type=bind|volume|tmpfs,source=…,target=…
    #[arg(long)]
    pub(crate) mount: Vec<String>,
    /// Mount a tmpfs: path[:options]
    #[arg(long)]
    pub(crate) tmpfs: Vec<String>,
    /// Mount what another container has mounted
    #[arg(long)]
    pub(crate) volumes_from: Vec<String>,
    /// Driver of new volumes
    #[arg(long, default_value = "", hide_default_value = true)]
    pub(crate) volume_driver: String,
    /// Make the root file system read-only
    #[arg(long)]
    pub(crate) read_only: bool,
    /// Options of the storage driver
    #[arg(long)]
    pub(crate) storage_opt: Vec<String>,
    /// Give it a device of the host: /dev/a[:/dev/b][:rwm]
    #[arg(long)]
    pub(crate) device: Vec<String>,
    /// Add a rule to the devices it may use: "c 1:3 rwm"
    #[arg(long)]
    pub(crate) device_cgroup_rule: Vec<String>,
    /// GPUs: all, a number, or device=…
    #[arg(long)]
    pub(crate) gpus: Option<String>,
}

/// How it is reached, and what it reaches.
#[derive(Args, Clone, Debug, Default)]
pub(crate) struct NetworkFlags {
    /// Network to join: none, host, container:NAME, or a network's name
    #[arg(long, alias = "net")]
    pub(crate) network: Vec<String>,
    /// Other names for it in the network
    #[arg(long, alias = "net-alias")]
    pub(crate) network_alias: Vec<String>,
    /// Publish a port: [[ip:]host port:]container port[/protocol]
    #[arg(short, long)]
    pub(crate) publish: Vec<String>,
    /// Publish all exposed ports to free ones
    #[arg(short = 'P', long)]
    pub(crate) publish_all: bool,
    /// Expose a port or a range of ports
    #[arg(long)]
    pub(crate) expose: Vec<String>,
    /// Host name
    #[arg(short = 'h', long, default_value = "", hide_default_value = true)]
    pub(crate) hostname: String,
    /// Domain name
    #[arg(long, default_value = "", hide_default_value = true)]
    pub(crate) domainname: String,
    /// Add a line to /etc/hosts: name:address
    #[arg(long)]
    pub(crate) add_host: Vec<String>,
    /// DNS server
    #[arg(long)]
    pub(crate) dns: Vec<String>,
    /// DNS search domain
    #[arg(long)]
    pub(crate) dns_search: Vec<String>,
    /// DNS option
    #[arg(long, alias = "dns-opt")]
    pub(crate) dns_option: Vec<String>,
    /// Link to another container
    #[arg(long)]
    pub(crate) link: Vec<String>,
    /// IPv4 address
    #[arg(long, default_value = "", hide_default_value = true)]
    pub(crate) ip: String,
    /// IPv6 address
    #[arg(long, default_value = "", hide_default_value = true)]
    pub(crate) ip6: String,
    /// Link-local address
    #[arg(long)]
    pub(crate) link_local_ip: Vec<String>,
    /// MAC address
    #[arg(long, default_value = "", hide_default_value = true)]
    pub(crate) mac_address: String,
    /// Limit its bandwidth: 10mbit, or in=10mbit,out=1mbit
    #[arg(long, default_value = "", hide_default_value = true)]
    pub(crate) net_rate: String,
}

/// How it is kept apart.
#[derive(Args, Clone, Debug, Default)]
pub(crate) struct IsolationFlags {
    /// Give it all capabilities and devices
    #[arg(long)]
    pub(crate) privileged: bool,
    /// Add a capability
    #[arg(long)]
    pub(crate) cap_add: Vec<String>,
    /// Drop a capability
    #[arg(long)]
    pub(crate) cap_drop: Vec<String>,
    /// Security option: seccomp=FILE|unconfined, no-new-privileges, apparmor=NAME, systempaths=unconfined
    #[arg(long)]
    pub(crate) security_opt: Vec<String>,
    /// PID namespace: host or container:NAME
    #[arg(long, default_value = "", hide_default_value = true)]
    pub(crate) pid: String,
    /// IPC namespace: none, private, shareable, host or container:NAME
    #[arg(long, default_value = "", hide_default_value = true)]
    pub(crate) ipc: String,
    /// UTS namespace: host
    #[arg(long, default_value = "", hide_default_value = true)]
    pub(crate) uts: String,
    /// User namespace: host
    #[arg(long, default_value = "", hide_default_value = true)]
    pub(crate) userns: String,
    /// Cgroup namespace: host or private
    #[arg(long, default_value = "", hide_default_value = true)]
    pub(crate) cgroupns: String,
    /// Parent of its cgroup
    #[arg(long, default_value = "", hide_default_value = true)]
    pub(crate) cgroup_parent: String,
    /// Set a namespaced kernel parameter
    #[arg(long)]
    pub(crate) sysctl: Vec<String>,
    /// Runtime
    #[arg(long, default_value = "", hide_default_value = true)]
    pub(crate) runtime: String,
    /// Isolation technology
    #[arg(long, default_value = "", hide = true)]
    pub(crate) isolation: String,
}

/// How it lives, and what is written down about it.
#[derive(Args, Clone, Debug, Default)]
pub(crate) struct LifeFlags {
    /// What to do when it exits: no, on-failure[:times], always, unless-stopped
    #[arg(long, default_value = "no")]
    pub(crate) restart: String,
    /// Add a label
    #[arg(short, long)]
    pub(crate) label: Vec<String>,
    /// Read labels from a file
    #[arg(long)]
    pub(crate) label_file: Vec<String>,
    /// Add an annotation, passed on to the runtime
    #[arg(long)]
    pub(crate) annotation: Vec<String>,
    /// Where its output is kept
    #[arg(long, default_value = "", hide_default_value = true)]
    pub(crate) log_driver: String,
    /// Option of the log driver
    #[arg(long)]
    pub(crate) log_opt: Vec<String>,
    /// Command that checks its health
    #[arg(long)]
    pub(crate) health_cmd: Option<String>,
    /// Time between two checks (30s)
    #[arg(long, value_parser = duration::nanoseconds)]
    pub(crate) health_interval: Option<i64>,
    /// Failures in a row that make it unhealthy
    #[arg(long)]
    pub(crate) health_retries: Option<i64>,
    /// Longest time for a check
    #[arg(long, value_parser = duration::nanoseconds)]
    pub(crate) health_timeout: Option<i64>,
    /// Time at the start in which failures do not count
    #[arg(long, value_parser = duration::nanoseconds)]
    pub(crate) health_start_period: Option<i64>,
    /// Time between two checks in that time
    #[arg(long, value_parser = duration::nanoseconds)]
    pub(crate) health_start_interval: Option<i64>,
    /// Switch the image's health check off
    #[arg(long)]
    pub(crate) no_healthcheck: bool,
}
