//! `stats`: what containers use, live.

use std::collections::HashMap;
use std::time::Duration;

use clap::Args;
use proa_host::{Engine, Request};
use serde::Deserialize;

use crate::failure::{Exit, Failure};
use crate::output::format::{Listing, Row, row};
use crate::output::{self, size};
use crate::session::Session;
use crate::terminal;
use crate::verb::Act;

/// Flags of `stats`.
#[derive(Args, Debug)]
pub(crate) struct Stats {
    /// Show all containers, not only running ones
    #[arg(short, long)]
    all: bool,
    /// table, json, or a template
    #[arg(long)]
    format: Option<String>,
    /// Show one measurement and end
    #[arg(long)]
    no_stream: bool,
    /// Do not shorten anything
    #[arg(long)]
    no_trunc: bool,
    #[arg(value_name = "CONTAINER")]
    containers: Vec<String>,
}

const HEADINGS: &[(&str, &str)] = &[
    ("Container", "CONTAINER"),
    ("Name", "NAME"),
    ("ID", "CONTAINER ID"),
    ("CPUPerc", "CPU %"),
    ("MemUsage", "MEM USAGE / LIMIT"),
    ("MemPerc", "MEM %"),
    ("NetIO", "NET I/O"),
    ("BlockIO", "BLOCK I/O"),
    ("PIDs", "PIDS"),
];
const TABLE: &str = "{{.ID}}\t{{.Name}}\t{{.CPUPerc}}\t{{.MemUsage}}\t{{.MemPerc}}\t{{.NetIO}}\t{{.BlockIO}}\t{{.PIDs}}";

impl Act for Stats {
    async fn act(self, session: &Session) -> Result<Exit, Failure> {
        let engine = session.engine()?;
        if self.no_stream {
            let names = self.names(engine).await?;
            let samples = futures_util::future::join_all(
                names.iter().map(|name| sample(engine, name, false)),
            )
            .await;
            let mut rows = Vec::new();
            for (name, sample) in names.iter().zip(samples) {
                let sample = sample?;
                rows.push(sample.row(name, &sample.precpu_stats, self.no_trunc));
            }
            self.print(rows, false)?;
            return Ok(Exit::OK);
        }
        self.live(engine).await
    }
}

impl Stats {
    /// One measurement a second, each compared with the one before.
    async fn live(&self, engine: &Engine) -> Result<Exit, Failure> {
        let mut before: HashMap<String, Cpu> = HashMap::new();
        let mut first = true;
        loop {
            let names = self.names(engine).await?;
            let samples =
                futures_util::future::join_all(names.iter().map(|name| sample(engine, name, true)))
                    .await;
            let (mut rows, mut now) = (Vec::new(), HashMap::new());
            for (name, sample) in names.iter().zip(samples) {
                match sample {
                    Ok(sample) => {
                        let previous = before.get(name).unwrap_or(&sample.cpu_stats);
                        rows.push(sample.row(name, previous, self.no_trunc));
                        now.insert(name.clone(), sample.cpu_stats);
                    }
                    // One that was named must be there; others may go at any time.
                    Err(failure) if first && !self.containers.is_empty() => return Err(failure),
                    Err(_) => {}
                }
            }
            self.print(rows, true)?;
            before = now;
            let pause = if first {
                Duration::from_millis(300)
            } else {
                Duration::from_secs(1)
            };
            first = false;
            tokio::time::sleep(pause).await;
        }
    }

    async fn names(&self, engine: &Engine) -> Result<Vec<String>, Failure> {
        #[derive(Deserialize)]
        #[serde(rename_all = "PascalCase")]
        struct Listed {
            id: String,
        }
        if !self.containers.is_empty() {
            return Ok(self.containers.clone());
        }
        let listed: Vec<Listed> = engine
            .ask(Request::get(&["containers", "json"]).flag("all", self.all))
            .await?;
        Ok(listed.into_iter().map(|listed| listed.id).collect())
    }

    fn print(&self, rows: Vec<Row>, live: bool) -> Result<(), Failure> {
        let listing = Listing {
            table: TABLE.to_owned(),
            headings: HEADINGS,
            rows,
        };
        let text = listing.shown(self.format.as_deref())?;
        // On a terminal each measurement takes the place of the one before, line by line so that nothing flickers.
        let text = if live && terminal::stdout_is_one() {
            format!("\x1b[H{}\x1b[J", text.replace('\n', "\x1b[K\n"))
        } else {
            text
        };
        output::write(text.as_bytes())
    }
}

async fn sample(engine: &Engine, name: &str, one_shot: bool) -> Result<Sample, Failure> {
    let request = Request::get(&["containers", name, "stats"])
        .query("stream", "0")
        .flag("one-shot", one_shot);
    Ok(engine.ask(request).await?)
}

#[derive(Deserialize, Default)]
#[serde(default)]
struct Sample {
    id: String,
    name: String,
    cpu_stats: Cpu,
    precpu_stats: Cpu,
    memory_stats: Memory,
    pids_stats: Pids,
    blkio_stats: BlockIo,
    networks: Option<HashMap<String, Network>>,
}

#[derive(Deserialize, Default)]
#[serde(default)]
struct Cpu {
    cpu_usage: CpuUsage,
    system_cpu_usage: u64,
    online_cpus: u64,
}

#[derive(Deserialize, Default)]
#[serde(default)]
struct CpuUsage {
    total_usage: u64,
    percpu_usage: Option<Vec<u64>>,
}

#[derive(Deserialize, Default)]
#[serde(default)]
struct Memory {
    usage: u64,
    limit: u64,
    stats: Option<HashMap<String, u64>>,
}

#[derive(Deserialize, Default)]
#[serde(default)]
struct Pids {
    current: u64,
}

#[derive(Deserialize, Default)]
#[serde(default)]
struct BlockIo {
    io_service_bytes_recursive: Option<Vec<BlockIoEntry>>,
}

#[derive(Deserialize, Default)]
#[serde(default)]
struct BlockIoEntry {
    op: String,
    value: u64,
}

#[derive(Deserialize, Default)]
#[serde(default)]
struct Network {
    rx_bytes: u64,
    tx_bytes: u64,
}

impl Sample {
    fn row(&self, container: &str, before: &Cpu, whole: bool) -> Row {
        let id: String = if whole {
            self.id.clone()
        } else {
            self.id.chars().take(12).collect()
        };
        let used = self.memory_stats.used();
        let limit = self.memory_stats.limit;
        let memory_share = if limit == 0 {
            0.0
        } else {
            used as f64 / limit as f64 * 100.0
        };
        let (received, sent) = self
            .networks
            .iter()
            .flat_map(HashMap::values)
            .fold((0, 0), |(received, sent), network| {
                (received + network.rx_bytes, sent + network.tx_bytes)
            });
        row([
            (
                "BlockIO",
                format!(
                    "{} / {}",
                    size::short(self.blkio_stats.sum('r')),
                    size::short(self.blkio_stats.sum('w'))
                ),
            ),
            ("CPUPerc", format!("{:.2}%", self.cpu_stats.percent(before))),
            ("Container", container.to_owned()),
            ("ID", id),
            ("MemPerc", format!("{memory_share:.2}%")),
            (
                "MemUsage",
                format!("{} / {}", size::binary(used), size::binary(limit)),
            ),
            ("Name", self.name.trim_start_matches('/').to_owned()),
            (
                "NetIO",
                format!("{} / {}", size::short(received), size::short(sent)),
            ),
            ("PIDs", self.pids_stats.current.to_string()),
        ])
    }
}

impl Cpu {
    fn percent(&self, before: &Cpu) -> f64 {
        let used = self
            .cpu_usage
            .total_usage
            .saturating_sub(before.cpu_usage.total_usage) as f64;
        let passed = self
            .system_cpu_usage
            .saturating_sub(before.system_cpu_usage) as f64;
        let cpus = match (self.online_cpus, &self.cpu_usage.percpu_usage) {
            (0, Some(list)) => list.len() as f64,
            (count, _) => count as f64,
        };
        if used > 0.0 && passed > 0.0 {
            used / passed * cpus * 100.0
        } else {
            0.0
        }
    }
}

impl Memory {
    /// Without the file cache that would be given back at once (version 1 and version 2 name it differently).
    fn used(&self) -> u64 {
        let stat = |name: &str| {
            self.stats
                .as_ref()
                .and_then(|stats| stats.get(name))
                .copied()
        };
        let cache = stat("total_inactive_file")
            .or_else(|| stat("inactive_file"))
            .unwrap_or(0);
        if cache < self.usage {
            self.usage - cache
        } else {
            self.usage
        }
    }
}

impl BlockIo {
    fn sum(&self, first_letter: char) -> u64 {
        let entries = self.io_service_bytes_recursive.iter().flatten();
        entries
            .filter(|entry| entry.op.to_ascii_lowercase().starts_with(first_letter))
            .map(|entry| entry.value)
            .sum()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn measurements_become_shares() {
        let sample: Sample = serde_json::from_value(serde_json::json!({
            "id": "0123456789abcdef", "name": "/web",
            "cpu_stats": {"cpu_usage": {"total_usage": 300}, "system_cpu_usage": 2000, "online_cpus": 2},
            "precpu_stats": {"cpu_usage": {"total_usage": 100}, "system_cpu_usage": 1000},
            "memory_stats": {"usage": 3 << 20, "limit": 8 << 20, "stats": {"inactive_file": 1 << 20}},
            "pids_stats": {"current": 4},
            "blkio_stats": {"io_service_bytes_recursive": [{"op": "Read", "value": 1000}, {"op": "write", "value": 5}]},
            "networks": {"eth0": {"rx_bytes": 1, "tx_bytes": 2000}},
        }))
        .expect("a sample");
        let row = sample.row("web", &sample.precpu_stats, false);
        let shown = |field: &str| row[field].as_str().unwrap_or_default().to_owned();
        assert_eq!(shown("CPUPerc"), "40.00%");
        assert_eq!(
            (shown("MemUsage"), shown("MemPerc")),
            ("2MiB / 8MiB".to_owned(), "25.00%".to_owned())
        );
        assert_eq!(
            (shown("NetIO"), shown("BlockIO")),
            ("1B / 2kB".to_owned(), "1kB / 5B".to_owned())
        );
        assert_eq!(
            (shown("ID"), shown("PIDs")),
            ("0123456789ab".to_owned(), "4".to_owned())
        );
    }
}
