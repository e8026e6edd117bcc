//! Measurements into medians, ratios, a table and a file.

use std::time::Duration;

use serde_json::{Value, json};

/// What was measured of one contender.
pub struct Series {
    pub name: String,
    pub values: Vec<f64>,
}

/// One line of the table: ours beside a peer, with the ratio that was promised.
struct Line {
    what: String,
    unit: &'static str,
    ours: Series,
    peers: Vec<Series>,
    promised: Option<(String, f64)>,
}

/// All lines so far.
#[derive(Default)]
pub struct Table(Vec<Line>);

impl Table {
    /// Interleaves: each round runs every contender once, in turn. The first is ours.
    pub fn measure<'a>(
        &mut self,
        what: &str,
        rounds: usize,
        contenders: Vec<(&str, Box<dyn FnMut() -> Duration + 'a>)>,
    ) {
        let (names, mut runs): (Vec<_>, Vec<_>) = contenders.into_iter().unzip();
        let mut series: Vec<_> = names
            .iter()
            .map(|name| Series {
                name: (*name).to_owned(),
                values: Vec::new(),
            })
            .collect();
        // One round that does not count warms caches everywhere.
        for round in 0..=rounds {
            for (series, run) in series.iter_mut().zip(&mut runs) {
                let took = run().as_secs_f64() * 1000.0;
                if round > 0 {
                    series.values.push(took);
                }
            }
        }
        self.add(what, "ms", series);
    }

    /// A line from finished series; the first is ours.
    pub fn add(&mut self, what: &str, unit: &'static str, series: Vec<Series>) {
        let mut series = series.into_iter();
        let ours = series.next().expect("ours is measured");
        self.0.push(Line {
            what: what.to_owned(),
            unit,
            ours,
            peers: series.collect(),
            promised: None,
        });
    }

    /// Says of the last line what its ratio to `peer` may be at most; `best` stands for the best of the peers.
    pub fn promise(&mut self, peer: &str, at_most: f64) {
        self.0.last_mut().expect("a line was added").promised = Some((peer.to_owned(), at_most));
    }

    pub fn print(&self) {
        println!(
            "\n{:<46} {:>12}  peers (ratio of ours to theirs)",
            "median", "proa"
        );
        for line in &self.0 {
            let ours = median(&line.ours.values);
            let peers = line.peers.iter().map(|peer| {
                let theirs = median(&peer.values);
                format!("{} {theirs:.2} ({:.2})", peer.name, ours / theirs)
            });
            println!(
                "{:<46} {:>9.2} {:<2}  {}{}",
                line.what,
                ours,
                line.unit,
                peers.collect::<Vec<_>>().join(", "),
                verdict(line)
            );
        }
    }

    pub fn save(&self) {
        let lines: Vec<Value> = self.0.iter().map(document).collect();
        let folder = concat!(env!("CARGO_MANIFEST_DIR"), "/../../tests/bench/results");
        let seconds = std::time::UNIX_EPOCH
            .elapsed()
            .expect("the clock is past 1970")
            .as_secs();
        let path = format!("{folder}/{seconds}.json");
        let written = std::fs::create_dir_all(folder)
            .and_then(|()| std::fs::write(&path, format!("{:#}\n", json!(lines))));
        match written {
            Ok(()) => println!("\nwritten to tests/bench/results/{seconds}.json"),
            Err(error) => eprintln!("write {path}: {error}"),
        }
    }
}

fn document(line: &Line) -> Value {
    let series = |series: &Series| json!({ "name": series.name, "median": median(&series.values), "p10": quantile(&series.values, 0.1), "p90": quantile(&series.values, 0.9), "runs": series.values.len() });
    json!({
        "what": line.what, "unit": line.unit, "ours": series(&line.ours),
        "peers": line.peers.iter().map(series).collect::<Vec<_>>(),
        "promised": line.promised.as_ref().map(|(peer, ratio)| json!({ "peer": peer, "ratio": ratio })),
    })
}

fn verdict(line: &Line) -> String {
    let Some((peer, at_most)) = &line.promised else {
        return String::new();
    };
    let medians = line
        .peers
        .iter()
        .filter(|series| peer == "best" || &series.name == peer)
        .map(|series| median(&series.values));
    let ratio = median(&line.ours.values) / medians.fold(f64::INFINITY, f64::min);
    let word = if ratio <= *at_most {
        "kept"
    } else {
        "NOT KEPT"
    };
    format!("; promised at most {at_most:.3} of {peer}: {word}")
}

pub fn median(values: &[f64]) -> f64 {
    quantile(values, 0.5)
}

fn quantile(values: &[f64], at: f64) -> f64 {
    let mut sorted = values.to_vec();
    sorted.sort_by(f64::total_cmp);
    sorted
        .get(((sorted.len().saturating_sub(1)) as f64 * at).round() as usize)
        .copied()
        .unwrap_or(f64::NAN)
}
