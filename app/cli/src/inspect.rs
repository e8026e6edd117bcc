//! `inspect`: what the engine knows of something, as it says it.

use clap::Args;
use proa_host::{EngineError, Request};
use serde_json::Value;

use crate::failure::{Exit, Failure};
use crate::output::{self, format};
use crate::session::Session;
use crate::template::{Template, compact_json};
use crate::verb::Act;

/// Flags of `inspect`.
#[derive(Args, Debug)]
pub(crate) struct Inspect {
    /// json, or a template
    #[arg(short, long)]
    format: Option<String>,
    /// Show the sizes of containers
    #[arg(short, long)]
    size: bool,
    /// Look only for a container, image, network or volume
    #[arg(long = "type")]
    kind: Option<String>,
    #[arg(value_name = "NAME|ID", required = true)]
    names: Vec<String>,
}

/// Flags of `inspect` about one kind of thing.
#[derive(Args, Debug)]
pub(crate) struct InspectOne<const KIND: usize> {
    /// json, or a template
    #[arg(short, long)]
    format: Option<String>,
    /// Show the sizes of containers
    #[arg(short, long, hide = KIND != CONTAINER)]
    size: bool,
    /// Show details of a network
    #[arg(short, long, hide = true)]
    verbose: bool,
    #[arg(value_name = "NAME|ID", required = true)]
    names: Vec<String>,
}

/// Kinds, in the order in which a bare name is looked for.
const KINDS: [(&str, &[&str]); 4] = [
    ("container", &["containers", "", "json"]),
    ("image", &["images", "", "json"]),
    ("network", &["networks", ""]),
    ("volume", &["volumes", ""]),
];
pub(crate) const CONTAINER: usize = 0;
pub(crate) const IMAGE: usize = 1;
pub(crate) const NETWORK: usize = 2;
pub(crate) const VOLUME: usize = 3;

impl Act for Inspect {
    async fn act(self, session: &Session) -> Result<Exit, Failure> {
        let kinds = match self.kind.as_deref() {
            None | Some("") => &KINDS[..],
            Some(kind) => match KINDS.iter().position(|(name, _)| *name == kind) {
                Some(at) => &KINDS[at..=at],
                None => {
                    return Err(Failure::usage(format!(
                        "{kind:?} is not a valid value for --type"
                    )));
                }
            },
        };
        show(
            session,
            kinds,
            &self.names,
            self.size,
            self.format.as_deref(),
        )
        .await
    }
}

impl<const KIND: usize> Act for InspectOne<KIND> {
    async fn act(self, session: &Session) -> Result<Exit, Failure> {
        show(
            session,
            &KINDS[KIND..=KIND],
            &self.names,
            self.size,
            self.format.as_deref(),
        )
        .await
    }
}

async fn show(
    session: &Session,
    kinds: &[(&str, &[&str])],
    names: &[String],
    size: bool,
    format: Option<&str>,
) -> Result<Exit, Failure> {
    let (mut found, mut failures) = (Vec::new(), Vec::new());
    for name in names {
        match find(session, kinds, name, size).await {
            Ok(value) => found.push(value),
            Err(failure) => failures.push(failure),
        }
    }
    output::write(text(&found, format)?.as_bytes())?;
    failures.iter().for_each(Failure::report);
    if failures.is_empty() {
        Ok(Exit::OK)
    } else {
        Err(Failure::Reported)
    }
}

async fn find(
    session: &Session,
    kinds: &[(&str, &[&str])],
    name: &str,
    size: bool,
) -> Result<Value, Failure> {
    let engine = session.engine()?;
    for (kind, path) in kinds {
        let path: Vec<&str> = path
            .iter()
            .map(|part| if part.is_empty() { name } else { part })
            .collect();
        let request = Request::get(&path).flag("size", size && *kind == "container");
        match engine.ask::<Value>(request).await {
            Err(error) if error.is_not_found() && kinds.len() > 1 => {}
            // Names that only one kind of thing can have are refused by the others.
            Err(EngineError::Refused { status: 400, .. }) if kinds.len() > 1 => {}
            other => return Ok(other?),
        }
    }
    Err(Failure::usage(format!("no such object: {name}")))
}

/// All that was found as one list, or a line for each by the template.
pub(crate) fn text(found: &[Value], format: Option<&str>) -> Result<String, Failure> {
    let format = format.unwrap_or_default();
    match format {
        "" => Ok(pretty(&Value::Array(found.to_vec())) + "\n"),
        "json" => Ok(compact_json(&Value::Array(found.to_vec())) + "\n"),
        template => {
            let template = Template::parse(&format::unescaped(template))?;
            found
                .iter()
                .map(|value| Ok(template.render(value)? + "\n"))
                .collect()
        }
    }
}

/// JSON with four spaces, as Docker prints it.
pub(crate) fn pretty(value: &Value) -> String {
    let mut text = Vec::new();
    let formatter = serde_json::ser::PrettyFormatter::with_indent(b"    ");
    let written = serde::Serialize::serialize(
        value,
        &mut serde_json::Serializer::with_formatter(&mut text, formatter),
    );
    // A JSON value always serialises, into UTF-8.
    written
        .ok()
        .and_then(|()| String::from_utf8(text).ok())
        .unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn what_is_found_is_a_list_or_lines() {
        let found = [json!({"Id": "1", "A": []}), json!({"Id": "2"})];
        let shown = |format| text(&found, format).ok();
        assert_eq!(shown(Some("{{.Id}}")).as_deref(), Some("1\n2\n"));
        assert_eq!(
            shown(Some("json")).as_deref(),
            Some("[{\"Id\":\"1\",\"A\":[]},{\"Id\":\"2\"}]\n")
        );
        assert!(shown(None).is_some_and(|text| {
            text.starts_with("[\n    {\n        \"Id\": \"1\",\n        \"A\": []\n")
        }));
        assert_eq!(text(&[], None).ok().as_deref(), Some("[]\n"));
    }
}
