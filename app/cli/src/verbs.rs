//! All verbs.

use std::ffi::OsString;

use clap::{Arg, ArgAction, Command};

use crate::inspect::{self, InspectOne};
use crate::system::prune::{self, PruneOne};
use crate::verb::{Topic, Verb};
use crate::{container, context, image, machine, network, registry, system, volume, xray};

/// What can be said, in the order in which `proa` lists it.
pub(crate) const VERBS: &[Verb] = &[
    RUN,
    EXEC,
    DEBUG,
    CREATE,
    START,
    STOP,
    RESTART,
    KILL,
    PAUSE,
    UNPAUSE,
    ATTACH,
    WAIT,
    RENAME,
    UPDATE,
    REMOVE,
    LIST,
    LOGS,
    INSPECT,
    TOP,
    STATS,
    PORT,
    DIFF,
    EVENTS,
    IMAGES,
    PULL,
    PUSH,
    TAG,
    RMI,
    HISTORY,
    SEARCH,
    LOGIN,
    LOGOUT,
    COMMIT,
    EXPORT,
    IMPORT,
    SAVE,
    LOAD,
    INFO,
    VERSION,
    COMPLETION,
    Verb::group("container", "Verbs about containers", CONTAINER),
    Verb::group("image", "Verbs about images", IMAGE),
    Verb::group("volume", "Verbs about volumes", VOLUME),
    Verb::group("network", "Verbs about networks", NETWORK),
    Verb::group(
        "context",
        "Lead Docker's own clients to our engine",
        CONTEXT,
    ),
    Verb::group("machine", "Verbs about the virtual machine", MACHINE),
    Verb::group("system", "Verbs about the engine as a whole", SYSTEM),
    Verb::group("xray", "What the kernel does for a container", XRAY),
];

const RUN: Verb =
    Verb::leaf::<container::run::Run>("run", Topic::Run, "Run a command in a new container");
const EXEC: Verb =
    Verb::leaf::<container::exec::Exec>("exec", Topic::Run, "Run a command in a running container");
const DEBUG: Verb = Verb::leaf::<container::debug::Debug>(
    "debug",
    Topic::Run,
    "Open a shell with tools beside a container that has none",
);
const CREATE: Verb = Verb::leaf::<container::create::Create>(
    "create",
    Topic::Run,
    "Create a container without starting it",
);
const START: Verb =
    Verb::leaf::<container::start::Start>("start", Topic::Run, "Start containers that exist");
const STOP: Verb =
    Verb::leaf::<container::stop::Stop>("stop", Topic::Run, "Stop running containers");
const RESTART: Verb =
    Verb::leaf::<container::restart::Restart>("restart", Topic::Run, "Stop and start containers");
const KILL: Verb =
    Verb::leaf::<container::kill::Kill>("kill", Topic::Run, "Send running containers a signal");
const PAUSE: Verb = Verb::leaf::<container::pause::Pause>(
    "pause",
    Topic::Run,
    "Freeze all processes of containers",
);
const UNPAUSE: Verb =
    Verb::leaf::<container::unpause::Unpause>("unpause", Topic::Run, "Let frozen containers go on");
const ATTACH: Verb =
    Verb::leaf::<container::attach::Attach>("attach", Topic::Run, "Attach to a running container");
const WAIT: Verb = Verb::leaf::<container::wait::Wait>(
    "wait",
    Topic::Run,
    "Wait until containers stop, and print their exit codes",
);
const RENAME: Verb =
    Verb::leaf::<container::rename::Rename>("rename", Topic::Run, "Rename a container");
const UPDATE: Verb = Verb::leaf::<container::update::Update>(
    "update",
    Topic::Run,
    "Change the limits of containers",
);
const REMOVE: Verb = Verb::leaf::<container::remove::Remove>("rm", Topic::Run, "Remove containers");
const LIST: Verb = Verb::leaf::<container::list::List>("ps", Topic::Look, "List containers");
const LOGS: Verb =
    Verb::leaf::<container::logs::Logs>("logs", Topic::Look, "Show what a container wrote");
const INSPECT: Verb = Verb::leaf::<inspect::Inspect>(
    "inspect",
    Topic::Look,
    "Show all that is known of something",
);
const TOP: Verb =
    Verb::leaf::<container::top::Top>("top", Topic::Look, "Show the processes of a container");
const STATS: Verb =
    Verb::leaf::<container::stats::Stats>("stats", Topic::Look, "Show what containers use, live");
const PORT: Verb =
    Verb::leaf::<container::port::Port>("port", Topic::Look, "Show where ports are published");
const DIFF: Verb = Verb::leaf::<container::diff::Diff>(
    "diff",
    Topic::Look,
    "Show which files a container changed",
);
const EVENTS: Verb =
    Verb::leaf::<system::events::Events>("events", Topic::Look, "Show what happens in the engine");
const IMAGES: Verb = Verb::leaf::<image::list::List>("images", Topic::Images, "List images");
const PULL: Verb = Verb::leaf::<image::pull::PullFlags>("pull", Topic::Images, "Download an image");
const PUSH: Verb = Verb::leaf::<image::push::Push>("push", Topic::Images, "Upload an image");
const TAG: Verb = Verb::leaf::<image::tag::Tag>("tag", Topic::Images, "Give an image another name");
const RMI: Verb = Verb::leaf::<image::remove::Remove>("rmi", Topic::Images, "Remove images");
const HISTORY: Verb =
    Verb::leaf::<image::history::History>("history", Topic::Images, "Show how an image came to be");
const SEARCH: Verb =
    Verb::leaf::<registry::search::Search>("search", Topic::Images, "Search Docker Hub");
const LOGIN: Verb =
    Verb::leaf::<registry::login::Login>("login", Topic::Images, "Log in to a registry");
const LOGOUT: Verb =
    Verb::leaf::<registry::logout::Logout>("logout", Topic::Images, "Log out from a registry");
const COMMIT: Verb = Verb::leaf::<container::commit::Commit>(
    "commit",
    Topic::Keep,
    "Make an image of a container's changes",
);
const EXPORT: Verb = Verb::leaf::<container::export::Export>(
    "export",
    Topic::Keep,
    "Save a container's file system as a tar file",
);
const IMPORT: Verb = Verb::leaf::<image::import::Import>(
    "import",
    Topic::Keep,
    "Make an image of a tar file of a file system",
);
const SAVE: Verb =
    Verb::leaf::<image::save::Save>("save", Topic::Keep, "Save images as a tar file");
const LOAD: Verb =
    Verb::leaf::<image::load::Load>("load", Topic::Keep, "Load images from a tar file");
const INFO: Verb =
    Verb::leaf::<system::info::Info>("info", Topic::Engine, "Show the engine and its host");
const VERSION: Verb =
    Verb::leaf::<system::version::Version>("version", Topic::Engine, "Show versions");
const COMPLETION: Verb = Verb::leaf::<system::completion::Completion>(
    "completion",
    Topic::Engine,
    "Print a shell's completion script",
);

const CONTAINER: &[Verb] = &[
    ATTACH,
    COMMIT,
    CREATE,
    DEBUG,
    DIFF,
    EXEC,
    EXPORT,
    Verb::leaf::<InspectOne<{ inspect::CONTAINER }>>(
        "inspect",
        Topic::Unlisted,
        "Show all that is known of containers",
    ),
    KILL,
    LOGS,
    LIST.named("ls").also(&["ps", "list"]),
    PAUSE,
    PORT,
    Verb::leaf::<PruneOne<{ prune::CONTAINERS }>>(
        "prune",
        Topic::Unlisted,
        "Remove all stopped containers",
    ),
    RENAME,
    RESTART,
    REMOVE.also(&["remove"]),
    RUN,
    START,
    STATS,
    STOP,
    TOP,
    UNPAUSE,
    UPDATE,
    WAIT,
];

const IMAGE: &[Verb] = &[
    HISTORY,
    IMPORT,
    Verb::leaf::<InspectOne<{ inspect::IMAGE }>>(
        "inspect",
        Topic::Unlisted,
        "Show all that is known of images",
    ),
    LOAD,
    IMAGES.named("ls").also(&["list"]),
    Verb::leaf::<PruneOne<{ prune::IMAGES }>>("prune", Topic::Unlisted, "Remove unused images"),
    PULL,
    PUSH,
    RMI.named("rm").also(&["remove"]),
    SAVE,
    TAG,
];

const VOLUME: &[Verb] = &[
    Verb::leaf::<volume::create::Create>("create", Topic::Unlisted, "Create a volume"),
    Verb::leaf::<InspectOne<{ inspect::VOLUME }>>(
        "inspect",
        Topic::Unlisted,
        "Show all that is known of volumes",
    ),
    Verb::leaf::<volume::list::List>("ls", Topic::Unlisted, "List volumes").also(&["list"]),
    Verb::leaf::<PruneOne<{ prune::VOLUMES }>>("prune", Topic::Unlisted, "Remove unused volumes"),
    Verb::leaf::<volume::remove::Remove>("rm", Topic::Unlisted, "Remove volumes").also(&["remove"]),
];

const NETWORK: &[Verb] = &[
    Verb::leaf::<network::connect::Connect>(
        "connect",
        Topic::Unlisted,
        "Connect a container to a network",
    ),
    Verb::leaf::<network::create::Create>("create", Topic::Unlisted, "Create a network"),
    Verb::leaf::<network::disconnect::Disconnect>(
        "disconnect",
        Topic::Unlisted,
        "Disconnect a container from a network",
    ),
    Verb::leaf::<InspectOne<{ inspect::NETWORK }>>(
        "inspect",
        Topic::Unlisted,
        "Show all that is known of networks",
    ),
    Verb::leaf::<network::list::List>("ls", Topic::Unlisted, "List networks").also(&["list"]),
    Verb::leaf::<PruneOne<{ prune::NETWORKS }>>("prune", Topic::Unlisted, "Remove unused networks"),
    Verb::leaf::<network::remove::Remove>("rm", Topic::Unlisted, "Remove networks")
        .also(&["remove"]),
];

const SYSTEM: &[Verb] = &[
    Verb::leaf::<system::df::Df>("df", Topic::Unlisted, "Show what takes up space"),
    EVENTS,
    INFO,
    Verb::leaf::<prune::PruneAll>("prune", Topic::Unlisted, "Remove what is not used"),
    Verb::leaf::<system::start::Start>("start", Topic::Unlisted, "Start an engine on this machine"),
];

const CONTEXT: &[Verb] = &[
    Verb::leaf::<context::Create>(
        "create",
        Topic::Unlisted,
        "Make a context for Docker's clients",
    ),
    Verb::leaf::<context::Use>(
        "use",
        Topic::Unlisted,
        "Choose the context that Docker's clients use",
    ),
];

const MACHINE: &[Verb] = &[
    Verb::leaf::<machine::archive::Backup>(
        "backup",
        Topic::Unlisted,
        "Save the data disk of the stopped machine as one file",
    ),
    Verb::leaf::<machine::logs::Logs>(
        "logs",
        Topic::Unlisted,
        "Show what the machine's kernel and agent say",
    ),
    Verb::leaf::<machine::reset::Reset>(
        "reset",
        Topic::Unlisted,
        "Throw away everything that is in the machine",
    ),
    Verb::leaf::<machine::restart::Restart>(
        "restart",
        Topic::Unlisted,
        "Stop the machine and start it again",
    ),
    Verb::leaf::<machine::archive::Restore>(
        "restore",
        Topic::Unlisted,
        "Make the data disk of the stopped machine of a backup",
    ),
    Verb::leaf::<machine::set::Set>("set", Topic::Unlisted, "Change what the machine is made of"),
    Verb::leaf::<machine::share::Share>(
        "share",
        Topic::Unlisted,
        "Let the machine see a folder of this host",
    ),
    Verb::leaf::<machine::share::Shares>(
        "shares",
        Topic::Unlisted,
        "List the folders that the machine sees",
    ),
    Verb::leaf::<machine::shell::Shell>("shell", Topic::Unlisted, "Open a shell in the machine"),
    Verb::leaf::<machine::start::Start>("start", Topic::Unlisted, "Start the machine"),
    Verb::leaf::<machine::status::Status>("status", Topic::Unlisted, "Show how the machine is"),
    Verb::leaf::<machine::stop::Stop>(
        "stop",
        Topic::Unlisted,
        "Stop the containers and the machine",
    ),
    Verb::leaf::<machine::share::Unshare>(
        "unshare",
        Topic::Unlisted,
        "Hide a folder of this host from the machine",
    ),
    Verb::leaf::<machine::usage::Usage>(
        "usage",
        Topic::Unlisted,
        "Show what the machine costs this computer",
    ),
];

const XRAY: &[Verb] = &[Verb::leaf::<xray::path::Path>(
    "path",
    Topic::Unlisted,
    "Follow a request from the host's port to the process that listens",
)];

/// The whole command line.
pub(crate) fn command(arguments: &[OsString]) -> Command {
    let with_values = arguments.iter().any(says_boolean);
    Command::new("proa")
        .version(env!("CARGO_PKG_VERSION"))
        .about("Runs containers")
        .disable_help_flag(true)
        .disable_version_flag(true)
        .infer_subcommands(false)
        .subcommand_required(true)
        .subcommand_value_name("VERB")
        .arg(
            Arg::new("host")
                .short('H')
                .long("host")
                .value_name("ADDRESS")
                .help("Where the engine listens"),
        )
        .arg(
            Arg::new("context")
                .short('c')
                .long("context")
                .value_name("NAME")
                .help("One of Docker's contexts"),
        )
        .arg(
            Arg::new("version")
                .short('v')
                .long("version")
                .action(ArgAction::Version)
                .help("Print the version"),
        )
        .arg(
            Arg::new("help")
                .long("help")
                .action(ArgAction::Help)
                .help("Print help"),
        )
        .subcommands(VERBS.iter().map(|verb| verb.command(with_values)))
}

/// Whether an argument gives a switch a value: `--rm=false`.
fn says_boolean(argument: &OsString) -> bool {
    let Some(text) = argument.to_str() else {
        return false;
    };
    text.starts_with('-')
        && matches!(
            text.split_once('='),
            Some((_, "true" | "false" | "0" | "1"))
        )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_table_is_well_formed() {
        for with_values in ["--x=true", "x"] {
            let mut command = command(&[OsString::from(with_values)]);
            command.build();
            command.debug_assert();
        }
    }

    #[test]
    fn switches_may_be_given_a_value_as_docker_allows() {
        let words = [
            "proa",
            "run",
            "--rm=false",
            "-t=true",
            "--sig-proxy=false",
            "x",
        ]
        .map(OsString::from);
        let matches = command(&words)
            .try_get_matches_from(&words)
            .expect("well-formed");
        let (_, run) = matches.subcommand().expect("a verb");
        assert_eq!(
            (
                run.get_flag("rm"),
                run.get_flag("tty"),
                run.get_flag("sig_proxy")
            ),
            (false, true, false)
        );
    }

    #[test]
    fn flags_after_the_image_belong_to_the_command() {
        let words =
            ["proa", "run", "-it", "--rm", "-h", "box", "x", "-d", "--rm"].map(OsString::from);
        let matches = command(&words)
            .try_get_matches_from(&words)
            .expect("well-formed");
        let (_, run) = matches.subcommand().expect("a verb");
        assert!(!run.get_flag("detach") && run.get_flag("rm"));
        assert_eq!(
            run.get_many::<String>("words")
                .map(|words| words.cloned().collect()),
            Some(vec!["x".to_owned(), "-d".into(), "--rm".into()])
        );
    }
}
