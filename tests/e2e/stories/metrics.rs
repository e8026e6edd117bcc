//! The engine in numbers, as a monitoring system collects them.

use serde_json::json;

use crate::kit::Engine;

/// The value of a metric; its name with the labels.
fn value(text: &str, name: &str) -> i64 {
    let line = text.lines().find_map(|line| line.strip_prefix(name));
    let line = line.unwrap_or_else(|| panic!("no {name} in:\n{text}"));
    line.trim().parse().unwrap()
}

#[test]
fn metrics_count_what_there_is() {
    let engine = Engine::start();
    let told = || {
        let answer = engine.agent.api().get("/metrics").ok();
        String::from_utf8(answer.body).unwrap()
    };
    let running = r#"engine_daemon_container_states_containers{state="running"}"#;
    let (before, events) = (told(), "engine_daemon_events_total");
    assert_eq!(value(&before, running), 0);
    engine.shell("sleep 1000", &json!({}));
    let after = told();
    assert_eq!(value(&after, running), 1);
    assert_eq!(value(&after, "proa_containers_unhealthy"), 0);
    assert_eq!(value(&after, "proa_images"), 1);
    assert!(value(&after, events) > value(&before, events), "{after}");
    assert!(value(&after, "process_resident_memory_bytes") > 0);
    // Every line of the format is a comment or a name and a number.
    for line in after.lines().filter(|line| !line.starts_with("# ")) {
        let (_, number) = line.rsplit_once(' ').unwrap();
        assert!(number.parse::<i64>().is_ok(), "{line}");
    }
}
