//! Five hundred containers, twenty at a time, all of them running in the end.

use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Instant;

use serde_json::{Value, json};

use crate::support::{Agent, Image};
use crate::table::{Series, Table, median};

const COUNT: usize = 500;
const AT_A_TIME: usize = 20;
/// How many of the first and of the last are compared.
const EDGE: usize = 50;

pub fn many(table: &mut Table) {
    let agent = Agent::start();
    let image = agent.load(&Image::busybox());
    let next = AtomicUsize::new(0);
    let times = Mutex::new(vec![0.0; COUNT]);
    let whole = Instant::now();
    std::thread::scope(|scope| {
        for _ in 0..AT_A_TIME {
            scope.spawn(|| {
                let mut api = agent.api();
                let body = json!({ "Image": image, "Cmd": ["sleep", "1000"], "HostConfig": { "NetworkMode": "none" } });
                loop {
                    let number = next.fetch_add(1, Ordering::Relaxed);
                    if number >= COUNT {
                        return;
                    }
                    let started = Instant::now();
                    let id = api.post("/containers/create", &body).ok().json()["Id"].as_str().expect("an id").to_owned();
                    api.post(&format!("/containers/{id}/start"), &Value::Null).ok();
                    times.lock().expect("no thread panics with it")[number] = started.elapsed().as_secs_f64() * 1000.0;
                }
            });
        }
    });
    let took = whole.elapsed().as_secs_f64();
    let running = agent
        .api()
        .get("/containers/json")
        .ok()
        .json()
        .as_array()
        .map_or(0, Vec::len);
    assert_eq!(running, COUNT, "all of them run");
    let times = times.into_inner().expect("the threads have ended");
    // The very first ones meet an engine that is still alone; a whole batch is left out.
    let first = median(&times[AT_A_TIME..AT_A_TIME + EDGE]);
    let last = median(&times[COUNT - EDGE..]);
    let series = |name: &str, value: f64| Series {
        name: name.to_owned(),
        values: vec![value],
    };
    table.add(
        "500 containers, 20 at a time: the last 50",
        "ms",
        vec![series("proa", last), series("the first 50", first)],
    );
    table.promise("the first 50", 2.0);
    table.add(
        "500 containers, 20 at a time: together",
        "s",
        vec![series("proa", took)],
    );
}
