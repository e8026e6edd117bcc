//! What a verb is: a name, flags, and something to do.

use std::future::Future;
use std::pin::Pin;

use clap::{Arg, ArgAction, ArgMatches, Args, Command};

use crate::failure::{Exit, Failure};
use crate::session::Session;

/// Flags of a verb that know what to do.
pub(crate) trait Act: Args {
    /// Does it.
    fn act(self, session: &Session) -> impl Future<Output = Result<Exit, Failure>>;
}

/// Under which heading `proa` lists a verb.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Topic {
    Run,
    Look,
    Images,
    Keep,
    Engine,
    /// Only in its group.
    Unlisted,
}

/// One verb, or a group of them.
pub(crate) struct Verb {
    pub(crate) name: &'static str,
    pub(crate) aliases: &'static [&'static str],
    pub(crate) about: &'static str,
    pub(crate) topic: Topic,
    pub(crate) kind: Kind,
}

type Acting<'a> = Pin<Box<dyn Future<Output = Result<Exit, Failure>> + 'a>>;

pub(crate) enum Kind {
    Leaf {
        flags: fn(Command) -> Command,
        valued: fn(Command) -> Command,
        act: for<'a> fn(&'a ArgMatches, &'a Session) -> Acting<'a>,
    },
    Group(&'static [Verb]),
}

impl Verb {
    /// A verb with the flags `A`.
    pub(crate) const fn leaf<A: Act + 'static>(
        name: &'static str,
        topic: Topic,
        about: &'static str,
    ) -> Self {
        let kind = Kind::Leaf {
            flags: augmented::<A>,
            valued: augmented_with_values::<A>,
            act: |matches, session| Box::pin(acted::<A>(matches, session)),
        };
        Self {
            name,
            aliases: &[],
            about,
            topic,
            kind,
        }
    }

    /// Verbs about one noun.
    pub(crate) const fn group(
        name: &'static str,
        about: &'static str,
        verbs: &'static [Verb],
    ) -> Self {
        Self {
            name,
            aliases: &[],
            about,
            topic: Topic::Unlisted,
            kind: Kind::Group(verbs),
        }
    }

    pub(crate) const fn named(mut self, name: &'static str) -> Self {
        self.name = name;
        self
    }

    pub(crate) const fn also(mut self, aliases: &'static [&'static str]) -> Self {
        self.aliases = aliases;
        self
    }

    /// The clap command; the flags are only made when this verb was typed. `with_values`: switches take `=true` and
    /// `=false`, which their help does not say.
    pub(crate) fn command(&self, with_values: bool) -> Command {
        let command = Command::new(self.name)
            .about(self.about)
            .visible_aliases(self.aliases.iter().copied());
        match &self.kind {
            Kind::Leaf { valued, .. } if with_values => command.defer(*valued),
            Kind::Leaf { flags, .. } => command.defer(*flags),
            Kind::Group(verbs) => command
                .subcommand_required(true)
                .arg_required_else_help(true)
                .arg(help("Explain these verbs").short('h'))
                .subcommands(verbs.iter().map(|verb| verb.command(with_values))),
        }
    }
}

/// The flags of `A`, and `--help`; `-h` too, where the verb has no flag of that name.
fn augmented<A: Args>(command: Command) -> Command {
    let command = A::augment_args(command.disable_help_flag(true)).mut_args(|arg| {
        let takes_value =
            !arg.is_positional() && matches!(arg.get_action(), ArgAction::Set | ArgAction::Append);
        // As in Docker, whatever follows a flag that takes a value is the value, a dash in front or not.
        if takes_value && !arg.is_require_equals_set() {
            arg.allow_hyphen_values(true)
        } else {
            arg
        }
    });
    let taken = command
        .get_arguments()
        .any(|arg| arg.get_short() == Some('h'));
    let help = help("Explain this verb");
    command.arg(if taken { help } else { help.short('h') })
}

fn help(about: &'static str) -> Arg {
    Arg::new("help")
        .long("help")
        .action(ArgAction::Help)
        .help(about)
}

fn augmented_with_values<A: Args>(command: Command) -> Command {
    augmented::<A>(command).mut_args(|arg| match arg.get_action() {
        ArgAction::SetTrue => arg
            .action(ArgAction::Set)
            .num_args(0..=1)
            .require_equals(true)
            .value_parser(clap::builder::BoolishValueParser::new())
            .default_missing_value("true")
            .default_value("false"),
        _ => arg,
    })
}

async fn acted<A: Act>(matches: &ArgMatches, session: &Session) -> Result<Exit, Failure> {
    let flags = A::from_arg_matches(matches).map_err(|error| Failure::usage(error.to_string()))?;
    flags.act(session).await
}
