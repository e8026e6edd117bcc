//! The engine in numbers, as Prometheus reads them (its text format, version 0.0.4). Where Docker's daemon has a metric
//! of the same meaning, it has the same name here.

use std::fmt::Write as _;
use std::sync::Arc;

use proa_engine::{Engine, ListOptions, Result};
use proa_protocol::Info;

/// What the answer is.
pub(crate) const TYPE: &str = "text/plain; version=0.0.4; charset=utf-8";

/// All of them.
pub(crate) async fn told(engine: &Arc<Engine>) -> Result<String> {
    let info = engine.info().await?;
    let mut text = Text::default();
    containers(engine, &info, &mut text).await?;
    host(&info, &mut text);
    let events = engine.events_told() as i64;
    text.one(
        "engine_daemon_events_total",
        "counter",
        "Events told",
        events,
    );
    text.gauge("proa_images", "Images", info.images);
    let layers = engine.images().layers_size() as i64;
    text.gauge("proa_layers_bytes", "Size of all layers", layers);
    text.gauge(
        "process_open_fds",
        "Descriptors of the API server",
        info.n_fd,
    );
    if let Some(resident) = resident() {
        let name = "process_resident_memory_bytes";
        text.gauge(name, "Memory of the API server", resident);
    }
    Ok(text.0)
}

async fn containers(engine: &Arc<Engine>, info: &Info, text: &mut Text) -> Result<()> {
    let name = "engine_daemon_container_states_containers";
    text.head(name, "gauge", "Containers in each state");
    for (state, count) in [
        ("paused", info.containers_paused),
        ("running", info.containers_running),
        ("stopped", info.containers_stopped),
    ] {
        text.line(name, &format!("{{state={state:?}}}"), count);
    }
    let everything = ListOptions {
        all: true,
        ..ListOptions::default()
    };
    let all = engine.list(everything).await?;
    let unhealthy = all.iter().filter(|one| one.health.status == "unhealthy");
    let name = "proa_containers_unhealthy";
    let count = unhealthy.count() as i64;
    text.gauge(name, "Containers whose health check fails", count);
    Ok(())
}

fn host(info: &Info, text: &mut Text) {
    let name = "engine_daemon_engine_cpus_cpus";
    text.gauge(name, "Processors of the host", info.ncpu);
    let name = "engine_daemon_engine_memory_bytes";
    text.gauge(name, "Memory of the host", info.mem_total);
    let name = "engine_daemon_engine_info";
    text.head(name, "gauge", "What this engine is");
    let labels = format!(
        "{{architecture={:?},daemon_id={:?},kernel={:?},os={:?},version={:?}}}",
        info.architecture, info.id, info.kernel_version, info.operating_system, info.server_version
    );
    text.line(name, &labels, 1);
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

    fn gauge(&mut self, name: &str, help: &str, value: i64) {
        self.one(name, "gauge", help, value);
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
