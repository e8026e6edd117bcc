//! The engine in numbers, as Prometheus reads them (its text format, version 0.0.4). Where Docker's daemon has a metric
//! of the same meaning, it has the same name here.

use std::fmt::Write as _;
use std::sync::Arc;

use proa_engine::{Engine, ListOptions, Result};

/// What the answer is.
pub(crate) const TYPE: &str = "text/plain; version=0.0.4; charset=utf-8";

/// All of them.
pub(crate) async fn told(engine: &Arc<Engine>) -> Result<String> {
    let info = engine.info().await?;
    let everything = ListOptions {
        all: true,
        ..ListOptions::default()
    };
    let containers = engine.list(everything).await?;
    let unhealthy = containers
        .iter()
        .filter(|one| one.health.status == "unhealthy");
    let mut text = Text::default();
    let name = "engine_daemon_container_states_containers";
    text.head(name, "gauge", "Containers in each state");
    for (state, count) in [
        ("paused", info.containers_paused),
        ("running", info.containers_running),
        ("stopped", info.containers_stopped),
    ] {
        text.line(name, &format!("{{state={state:?}}}"), count);
    }
    text.one(
        "engine_daemon_engine_cpus_cpus",
        "gauge",
        "Processors of the host",
        info.ncpu,
    );
    text.one(
        "engine_daemon_engine_memory_bytes",
        "gauge",
        "Memory of the host",
        info.mem_total,
    );
    let name = "engine_daemon_engine_info";
    text.head(name, "gauge", "What this engine is");
    let labels = format!(
        "{{architecture={:?},daemon_id={:?},kernel={:?},os={:?},version={:?}}}",
        info.architecture, info.id, info.kernel_version, info.operating_system, info.server_version
    );
    text.line(name, &labels, 1);
    text.one(
        "engine_daemon_events_total",
        "counter",
        "Events told",
        engine.events_told() as i64,
    );
    text.one(
        "proa_containers_unhealthy",
        "gauge",
        "Containers whose health check fails",
        unhealthy.count() as i64,
    );
    text.one("proa_images", "gauge", "Images", info.images);
    text.one(
        "proa_layers_bytes",
        "gauge",
        "Size of all layers",
        engine.images().layers_size() as i64,
    );
    text.one(
        "process_open_fds",
        "gauge",
        "Descriptors of the API server",
        info.n_fd,
    );
    if let Some(resident) = resident() {
        text.one(
            "process_resident_memory_bytes",
            "gauge",
            "Memory of the API server",
            resident,
        );
    }
    Ok(text.0)
}

/// `statm` of proc_pid_statm(5): its second field, in pages.
fn resident() -> Option<i64> {
    let text = std::fs::read_to_string("/proc/self/statm").ok()?;
    let pages: i64 = text.split_whitespace().nth(1)?.parse().ok()?;
    Some(pages * rustix::param::page_size() as i64)
}

/// The format: a metric's help and type, then its values.
#[derive(Default)]
struct Text(String);

impl Text {
    fn head(&mut self, name: &str, kind: &str, help: &str) {
        // Writing to a string does not fail.
        let _ = write!(self.0, "# HELP {name} {help}\n# TYPE {name} {kind}\n");
    }

    fn line(&mut self, name: &str, labels: &str, value: i64) {
        let _ = writeln!(self.0, "{name}{labels} {value}");
    }

    fn one(&mut self, name: &str, kind: &str, help: &str, value: i64) {
        self.head(name, kind, help);
        self.line(name, "", value);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_metric_has_a_help_a_type_and_a_value() {
        let mut text = Text::default();
        text.one("x_total", "counter", "What it counts", 3);
        assert_eq!(
            text.0,
            "# HELP x_total What it counts\n# TYPE x_total counter\nx_total 3\n"
        );
        assert!(resident().unwrap() > 0);
    }
}
