//! runc's verbs and flags.

use std::path::PathBuf;

use clap::{Args, Parser, Subcommand, ValueEnum};

/// Runs containers from OCI bundles, with runc's command line.
#[derive(Debug, Parser)]
#[command(name = "proa-oci", version = super::features::VERSION, disable_help_subcommand = true)]
pub(crate) struct OciArguments {
    #[command(flatten)]
    pub(super) globals: Globals,
    #[command(subcommand)]
    pub(super) verb: Verb,
}

#[derive(Clone, Debug, Args)]
pub(super) struct Globals {
    /// Where the state of containers is kept.
    #[arg(long, value_name = "FOLDER", default_value = "/run/proa/oci")]
    pub root: PathBuf,
    /// A file that failures are appended to.
    #[arg(long, value_name = "FILE")]
    pub log: Option<PathBuf>,
    /// How failures are written there.
    #[arg(long, value_enum, default_value = "text")]
    pub log_format: LogFormat,
    /// Accepted; there is nothing more to say.
    #[arg(long)]
    pub debug: bool,
    /// Cgroup paths are `slice:prefix:name`; the cgroup is made where systemd would make it.
    #[arg(long)]
    pub systemd_cgroup: bool,
    /// Accepted; there is no CRIU.
    #[arg(long, hide = true)]
    pub criu: Option<String>,
    /// Accepted; runs as root.
    #[arg(long, hide = true)]
    pub rootless: Option<String>,
}

#[derive(Clone, Copy, Debug, ValueEnum)]
pub(super) enum LogFormat {
    Text,
    Json,
}

#[derive(Debug, Subcommand)]
pub(super) enum Verb {
    /// Makes a container whose command waits for `start`.
    Create(CreateArguments),
    /// Makes a container and starts it.
    Run(RunArguments),
    /// Lets a created container's command run.
    Start { id: String },
    /// Prints a container's state.
    State { id: String },
    /// Sends a signal to a container's first process.
    Kill(KillArguments),
    /// Takes a stopped container away.
    Delete(DeleteArguments),
    /// Runs a further process in a container.
    Exec(ExecArguments),
    /// Lists a container's processes.
    Ps(PsArguments),
    /// Freezes a container.
    Pause { id: String },
    /// Thaws it.
    Resume { id: String },
    /// Changes limits of a running container.
    Update(UpdateArguments),
    /// Lists the containers.
    List(ListArguments),
    /// Writes an example `config.json`.
    Spec(SpecArguments),
    /// Says what this runtime can do.
    Features,
}

#[derive(Clone, Debug, Args)]
pub(super) struct CreateArguments {
    /// The container's id.
    pub id: String,
    /// The folder with `config.json`.
    #[arg(long, short = 'b', default_value = ".")]
    pub bundle: PathBuf,
    /// The socket that gets the master side of the terminal.
    #[arg(long, value_name = "SOCKET")]
    pub console_socket: Option<PathBuf>,
    /// The file that gets the first process's id.
    #[arg(long, value_name = "FILE")]
    pub pid_file: Option<PathBuf>,
    /// Changes the root by moving it instead of `pivot_root`.
    #[arg(long)]
    pub no_pivot: bool,
    /// Keeps the caller's session keyring.
    #[arg(long)]
    pub no_new_keyring: bool,
    /// How many descriptors from 3 on the command gets.
    #[arg(long, default_value_t = 0)]
    pub preserve_fds: u32,
}

#[derive(Clone, Debug, Args)]
pub(super) struct RunArguments {
    #[command(flatten)]
    pub create: CreateArguments,
    /// Does not wait for the container's end.
    #[arg(long, short = 'd')]
    pub detach: bool,
    /// Leaves the container's state when it has ended.
    #[arg(long)]
    pub keep: bool,
    /// Accepted; this command adopts nobody.
    #[arg(long, hide = true)]
    pub no_subreaper: bool,
}

#[derive(Clone, Debug, Args)]
pub(super) struct KillArguments {
    /// All processes of the container.
    #[arg(long, short = 'a')]
    pub all: bool,
    /// The container's id.
    pub id: String,
    /// Name or number.
    #[arg(default_value = "SIGTERM")]
    pub signal: String,
}

#[derive(Clone, Debug, Args)]
pub(super) struct DeleteArguments {
    /// Kills it first if it runs.
    #[arg(long, short = 'f')]
    pub force: bool,
    /// The container's id.
    pub id: String,
}

#[derive(Clone, Debug, Args)]
pub(super) struct ExecArguments {
    /// The socket that gets the master side of the terminal.
    #[arg(long, value_name = "SOCKET")]
    pub console_socket: Option<PathBuf>,
    /// Working directory.
    #[arg(long)]
    pub cwd: Option<PathBuf>,
    /// `NAME=value`. Repeatable.
    #[arg(long, short = 'e')]
    pub env: Vec<String>,
    /// With a terminal.
    #[arg(long, short = 't')]
    pub tty: bool,
    /// `uid[:gid]`.
    #[arg(long, short = 'u')]
    pub user: Option<String>,
    /// Supplementary groups. Repeatable.
    #[arg(long, short = 'g')]
    pub additional_gids: Vec<u32>,
    /// A file with a `process` section.
    #[arg(long, short = 'p', value_name = "FILE")]
    pub process: Option<PathBuf>,
    /// Does not wait for the process's end.
    #[arg(long, short = 'd')]
    pub detach: bool,
    /// The file that gets the process's id.
    #[arg(long, value_name = "FILE")]
    pub pid_file: Option<PathBuf>,
    /// SELinux label.
    #[arg(long)]
    pub process_label: Option<String>,
    /// AppArmor profile.
    #[arg(long)]
    pub apparmor: Option<String>,
    /// No further privileges by `execve`.
    #[arg(long)]
    pub no_new_privs: bool,
    /// A capability to add. Repeatable.
    #[arg(long, short = 'c')]
    pub cap: Vec<String>,
    /// How many descriptors from 3 on the command gets.
    #[arg(long, default_value_t = 0)]
    pub preserve_fds: u32,
    /// Runs in a paused container too.
    #[arg(long)]
    pub ignore_paused: bool,
    /// Accepted; the container's own cgroup is used.
    #[arg(long, hide = true)]
    pub cgroup: Vec<String>,
    /// The container's id.
    pub id: String,
    /// The command, unless `--process` has it.
    #[arg(trailing_var_arg = true, allow_hyphen_values = true)]
    pub command: Vec<String>,
}

#[derive(Clone, Debug, Args)]
pub(super) struct PsArguments {
    /// How they are listed.
    #[arg(long, short = 'f', value_enum, default_value = "table")]
    pub format: TableFormat,
    /// The container's id.
    pub id: String,
    /// Accepted; columns are always the same.
    #[arg(trailing_var_arg = true, allow_hyphen_values = true, hide = true)]
    pub options: Vec<String>,
}

#[derive(Clone, Debug, Args)]
pub(super) struct ListArguments {
    /// How they are listed.
    #[arg(long, short = 'f', value_enum, default_value = "table")]
    pub format: TableFormat,
    /// Only the ids.
    #[arg(long, short = 'q')]
    pub quiet: bool,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(super) enum TableFormat {
    Table,
    Json,
}

#[derive(Clone, Debug, Args)]
pub(super) struct SpecArguments {
    /// The folder to write it to.
    #[arg(long, short = 'b', default_value = ".")]
    pub bundle: PathBuf,
    /// For a user namespace of one's own.
    #[arg(long)]
    pub rootless: bool,
}

#[derive(Clone, Debug, Args)]
pub(super) struct UpdateArguments {
    /// A file with a `resources` section, `-` for standard input.
    #[arg(long, short = 'r', value_name = "FILE")]
    pub resources: Option<PathBuf>,
    /// 10…1000.
    #[arg(long)]
    pub blkio_weight: Option<u16>,
    /// Microseconds.
    #[arg(long)]
    pub cpu_period: Option<u64>,
    /// Microseconds per period.
    #[arg(long, allow_negative_numbers = true)]
    pub cpu_quota: Option<i64>,
    /// Microseconds.
    #[arg(long)]
    pub cpu_burst: Option<u64>,
    /// Relative weight.
    #[arg(long)]
    pub cpu_share: Option<u64>,
    /// Microseconds.
    #[arg(long)]
    pub cpu_rt_period: Option<u64>,
    /// Microseconds per period.
    #[arg(long, allow_negative_numbers = true)]
    pub cpu_rt_runtime: Option<i64>,
    /// 1 runs only when nothing else does.
    #[arg(long)]
    pub cpu_idle: Option<i64>,
    /// CPUs to use.
    #[arg(long)]
    pub cpuset_cpus: Option<String>,
    /// Memory nodes to use.
    #[arg(long)]
    pub cpuset_mems: Option<String>,
    /// Bytes.
    #[arg(long, allow_negative_numbers = true)]
    pub memory: Option<i64>,
    /// Bytes.
    #[arg(long, allow_negative_numbers = true)]
    pub memory_reservation: Option<i64>,
    /// Bytes of memory and swap together.
    #[arg(long, allow_negative_numbers = true)]
    pub memory_swap: Option<i64>,
    /// Processes and threads.
    #[arg(long, allow_negative_numbers = true)]
    pub pids_limit: Option<i64>,
    /// The container's id.
    pub id: String,
}
