//! `events`: what happens in the engine.

use std::collections::BTreeMap;
use std::fmt::Write as _;

use clap::Args;
use jiff::Timestamp;
use proa_host::Request;
use serde_json::Value;

use crate::failure::{Exit, Failure};
use crate::flags::{filter, moment};
use crate::output::{self, format};
use crate::session::Session;
use crate::template::{Template, compact_json};
use crate::verb::Act;

/// Flags of `events`.
#[derive(Args, Debug)]
pub(crate) struct Events {
    /// Show only those that match: name=value
    #[arg(short, long)]
    filter: Vec<String>,
    /// json, or a template
    #[arg(long)]
    format: Option<String>,
    /// Show what happened since: a time, or so long ago (42m)
    #[arg(long)]
    since: Option<String>,
    /// Show what happens until: a time, or so long ago (42m)
    #[arg(long)]
    until: Option<String>,
}

impl Act for Events {
    async fn act(self, session: &Session) -> Result<Exit, Failure> {
        let now = Timestamp::now();
        let moment = |text: &Option<String>| {
            text.as_deref()
                .map(|text| moment::seconds(text, now))
                .transpose()
                .map_err(Failure::usage)
        };
        let request = Request::get(&["events"])
            .maybe("since", moment(&self.since)?)
            .maybe("until", moment(&self.until)?)
            .maybe("filters", filter::query(&self.filter)?);
        let template = match self.format.as_deref() {
            None | Some("" | "json") => None,
            Some(format) => Some(Template::parse(&format::unescaped(format))?),
        };
        let mut events = session.engine()?.send(request).await?.lines::<Value>();
        while let Some(event) = events.next().await? {
            let line = match &template {
                Some(template) => template.render(&event)?,
                None if self.format.as_deref() == Some("json") => compact_json(&event),
                None => spelled(&event),
            };
            output::line(&line)?;
        }
        Ok(Exit::OK)
    }
}

/// `time type action id (attributes)`, as Docker prints an event.
fn spelled(event: &Value) -> String {
    let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
    let nanos = event["timeNano"].as_i64().unwrap_or(0);
    let time = Timestamp::from_nanosecond(i128::from(nanos))
        .map(|moment| {
            moment
                .to_zoned(jiff::tz::TimeZone::system())
                .strftime("%Y-%m-%dT%H:%M:%S.%9f%:z")
                .to_string()
        })
        .unwrap_or_default();
    let attributes: BTreeMap<String, String> = event["Actor"]["Attributes"]
        .as_object()
        .into_iter()
        .flatten()
        .map(|(key, value)| (key.clone(), text(value)))
        .collect();
    let mut line = format!(
        "{time} {} {} {}",
        text(&event["Type"]),
        text(&event["Action"]),
        text(&event["Actor"]["ID"])
    );
    if !attributes.is_empty() {
        let pairs: Vec<_> = attributes
            .iter()
            .map(|(key, value)| format!("{key}={value}"))
            .collect();
        _ = write!(line, " ({})", pairs.join(", "));
    }
    line
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_event_is_a_line() {
        let event = serde_json::json!({
            "Type": "container", "Action": "die", "timeNano": 1_136_214_245_000_000_005_i64,
            "Actor": {"ID": "abc", "Attributes": {"name": "web", "exitCode": "0"}},
        });
        let line = spelled(&event);
        assert!(
            line.starts_with("2006-01-02T") && line.contains(":05.000000005"),
            "{line}"
        );
        assert!(
            line.ends_with(" container die abc (exitCode=0, name=web)"),
            "{line}"
        );
    }
}
