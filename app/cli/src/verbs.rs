//! All verbs.

use std::ffi::OsString;

use clap::{Arg, ArgAction, Command};

use crate::verb::{Topic, Verb};
use crate::{container, image};

/// What can be said, in the order in which `proa` lists it.
pub(crate) const VERBS: &[Verb] = &[
    Verb::leaf::<container::run::Run>("run", Topic::Run, "Run a command in a new container"),
    Verb::leaf::<container::create::Create>("create", Topic::Run, "Create a container without starting it"),
    Verb::leaf::<container::start::Start>("start", Topic::Run, "Start containers that exist"),
    Verb::leaf::<container::attach::Attach>("attach", Topic::Run, "Attach to a running container"),
    Verb::leaf::<container::remove::Remove>("rm", Topic::Run, "Remove containers"),
    Verb::leaf::<container::list::List>("ps", Topic::Look, "List containers"),
    Verb::leaf::<container::logs::Logs>("logs", Topic::Look, "Show what a container wrote"),
    Verb::leaf::<image::list::List>("images", Topic::Images, "List images"),
    Verb::leaf::<image::pull::PullFlags>("pull", Topic::Images, "Download an image"),
];

/// The whole command line.
pub(crate) fn command(arguments: &[OsString]) -> Command {
    let with_values = arguments.iter().any(|argument| says_boolean(argument));
    Command::new("proa")
        .version(env!("CARGO_PKG_VERSION"))
        .about("Runs containers")
        .disable_help_flag(true)
        .disable_version_flag(true)
        .infer_subcommands(false)
        .subcommand_required(true)
        .subcommand_value_name("VERB")
        .arg(Arg::new("host").short('H').long("host").value_name("ADDRESS").help("Where the engine listens"))
        .arg(Arg::new("context").short('c').long("context").value_name("NAME").help("One of Docker's contexts"))
        .arg(Arg::new("version").short('v').long("version").action(ArgAction::Version).help("Print the version"))
        .arg(Arg::new("help").long("help").action(ArgAction::Help).help("Print help"))
        .subcommands(VERBS.iter().map(|verb| verb.command(with_values)))
}

/// Whether an argument gives a switch a value: `--rm=false`.
fn says_boolean(argument: &OsString) -> bool {
    let Some(text) = argument.to_str() else {
        return false;
    };
    text.starts_with('-') && matches!(text.split_once('='), Some((_, "true" | "false" | "0" | "1")))
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
        let words = ["proa", "run", "--rm=false", "-t=true", "--sig-proxy=false", "x"].map(OsString::from);
        let matches = command(&words).try_get_matches_from(&words).expect("well-formed");
        let (_, run) = matches.subcommand().expect("a verb");
        assert_eq!((run.get_flag("rm"), run.get_flag("tty"), run.get_flag("sig_proxy")), (false, true, false));
    }

    #[test]
    fn flags_after_the_image_belong_to_the_command() {
        let words = ["proa", "run", "-it", "--rm", "-h", "box", "x", "-d", "--rm"].map(OsString::from);
        let matches = command(&words).try_get_matches_from(&words).expect("well-formed");
        let (_, run) = matches.subcommand().expect("a verb");
        assert!(!run.get_flag("detach") && run.get_flag("rm"));
        assert_eq!(run.get_many::<String>("words").map(|words| words.cloned().collect()), Some(vec!["x".to_owned(), "-d".into(), "--rm".into()]));
    }
}
