//! `xray path`: the hops of a request, from the host's port to the process that listens.

use clap::Args;
use proa_host::Request;
use serde::Deserialize;
use serde_json::Value;

use crate::failure::{Exit, Failure};
use crate::output::{self, table};
use crate::session::Session;
use crate::verb::Act;

/// Flags of `xray path`.
#[derive(Args, Debug)]
pub(crate) struct Path {
    /// Follow packets of UDP
    #[arg(long)]
    udp: bool,
    /// Look only: make no connection to measure times
    #[arg(long)]
    no_probe: bool,
    /// Print the engine's document
    #[arg(long)]
    json: bool,
    /// The container
    container: String,
    /// The port inside of it
    port: u16,
}

#[derive(Deserialize)]
struct Followed {
    hops: Vec<Hop>,
    probes: Vec<Probe>,
}

#[derive(Deserialize)]
struct Hop {
    kind: String,
    name: String,
    #[serde(default)]
    detail: String,
    traffic: Option<Traffic>,
    probed: Option<Traffic>,
    nanoseconds: Option<u64>,
    unmeasured: Option<String>,
    problem: Option<String>,
}

#[derive(Deserialize)]
struct Traffic {
    packets: u64,
}

#[derive(Deserialize)]
struct Probe {
    way: String,
    to: String,
    nanoseconds: Option<u64>,
    error: Option<String>,
}

impl Act for Path {
    async fn act(self, session: &Session) -> Result<Exit, Failure> {
        let request = Request::get(&["proa", "v1", "xray", &self.container, "path"])
            .query("port", &self.port.to_string())
            .query("protocol", if self.udp { "udp" } else { "tcp" })
            .query("probe", if self.no_probe { "0" } else { "1" });
        let document: Value = session.engine()?.ask(request).await?;
        if self.json {
            output::line(&format!("{document:#}"))?;
            return Ok(Exit::OK);
        }
        let followed: Followed = serde_json::from_value(document).map_err(|error| {
            Failure::usage(format!("the engine's answer makes no sense: {error}"))
        })?;
        output::write(text(&followed).as_bytes())?;
        let broken = followed.hops.iter().any(|hop| hop.problem.is_some());
        Ok(Exit(i32::from(broken)))
    }
}

fn text(followed: &Followed) -> String {
    let mut lines = vec!["HOP\tNAME\tPACKETS\tOF PROBES\tTIME\tDETAIL".to_owned()];
    lines.extend(followed.hops.iter().map(row));
    let mut text = table::aligned(&lines);
    let problems = followed.hops.iter().filter_map(|hop| {
        let problem = hop.problem.as_ref()?;
        Some(format!(
            "\nStops at the {} {}: {problem}\n",
            hop.kind, hop.name
        ))
    });
    text.extend(problems);
    let unmeasured = followed.hops.iter().filter_map(|hop| {
        let why = hop.unmeasured.as_ref()?;
        Some(format!("{}\tnot timed: {why}", hop.kind))
    });
    let mut notes: Vec<String> = unmeasured.collect();
    notes.extend(followed.probes.iter().map(told));
    if !notes.is_empty() {
        text.push('\n');
        text.push_str(&table::aligned(&notes));
    }
    text
}

fn row(hop: &Hop) -> String {
    let packets = |traffic: &Option<Traffic>| {
        traffic
            .as_ref()
            .map_or_else(|| "-".into(), |traffic| traffic.packets.to_string())
    };
    let columns = [
        hop.kind.clone(),
        hop.name.clone(),
        packets(&hop.traffic),
        packets(&hop.probed),
        hop.nanoseconds.map_or_else(|| "-".into(), time),
        hop.detail.clone(),
    ];
    columns.join("\t")
}

fn told(probe: &Probe) -> String {
    let outcome = match (probe.nanoseconds, &probe.error) {
        (Some(took), _) => format!("handshake in {}", time(took)),
        (None, error) => error.clone().unwrap_or_else(|| "no answer".into()),
    };
    format!("probe\t{} to {}: {outcome}", probe.way, probe.to)
}

fn time(nanoseconds: u64) -> String {
    format!("{} µs", nanoseconds / 1000)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_path_is_told_with_what_stops_it() {
        let document = serde_json::json!({
            "hops": [
                {"kind": "rule", "name": "inet proa", "detail": "8080 becomes 80", "traffic": {"packets": 7, "bytes": 9},
                 "probed": {"packets": 5, "bytes": 6}, "nanoseconds": 1500},
                {"kind": "socket", "name": "port 80/tcp", "problem": "nothing listens", "unmeasured": "why"},
            ],
            "probes": [{"way": "inside", "to": "10.0.0.2:80", "error": "refused"}],
        });
        let followed = serde_json::from_value(document).expect("a document");
        let expected = "\
HOP       NAME          PACKETS   OF PROBES   TIME      DETAIL
rule      inet proa     7         5           1 µs      8080 becomes 80
socket    port 80/tcp   -         -           -         

Stops at the socket port 80/tcp: nothing listens

socket    not timed: why
probe     inside to 10.0.0.2:80: refused
";
        assert_eq!(text(&followed), expected);
    }
}
