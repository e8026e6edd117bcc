//! What `proa` says without arguments: the verbs by topic.

use std::ffi::OsString;
use std::fmt::Write as _;
use std::io::Write as _;

use crate::output::style;
use crate::verb::{Kind, Topic, Verb};
use crate::verbs::VERBS;

const TOPICS: [(Topic, &str); 5] = [
    (Topic::Run, "Run containers"),
    (Topic::Look, "Look at them"),
    (Topic::Images, "Images"),
    (Topic::Keep, "Keep and clean up"),
    (Topic::Engine, "The engine"),
];

/// Whether the arguments ask for nothing else.
pub(crate) fn is_wanted(arguments: &[OsString]) -> bool {
    match arguments {
        [] | [_] => true,
        [_, only] => only == "help" || only == "--help" || only == "-h",
        _ => false,
    }
}

/// Prints the overview.
pub(crate) fn print() {
    // Nobody reads: nothing to be said about it.
    let _ = std::io::stdout().write_all(text().as_bytes());
}

fn text() -> String {
    let mut text = format!("{} runs containers.\n\n", style::strong("proa"));
    text += "  proa run --rm -it debian:13 bash     a shell in a new container\n";
    text += "  proa ps                              what is running\n";
    for (topic, title) in TOPICS {
        _ = writeln!(text, "\n{}", style::strong(title));
        for verb in VERBS.iter().filter(|verb| verb.topic == topic) {
            text += &line(verb);
        }
    }
    let groups: Vec<_> = VERBS
        .iter()
        .filter(|verb| matches!(verb.kind, Kind::Group(_)))
        .map(|verb| verb.name)
        .collect();
    _ = write!(
        text,
        "\nBy noun: {}, each with verbs of its own.\n",
        groups.join(", ")
    );
    text += "`proa VERB --help` explains a verb. -H and --context choose the engine, as do PROA_HOST and DOCKER_HOST.\n";
    text
}

fn line(verb: &Verb) -> String {
    format!("  {:<10} {}\n", verb.name, verb.about)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_topic_has_verbs() {
        for (topic, title) in TOPICS {
            assert!(
                VERBS.iter().any(|verb| verb.topic == topic),
                "{title} is empty"
            );
        }
    }
}
