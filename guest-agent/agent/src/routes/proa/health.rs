//! How the engine is, and the machine beneath it.

use std::fs;
use std::time::UNIX_EPOCH;

use hyper::StatusCode;
use proa_protocol::proa::{DiskHealth, Health, MemoryHealth, PROTOCOL};
use rustix::time::{ClockId, clock_gettime};

use crate::init::state::State;
use crate::server::{Answer, Call, json};

/// `GET /proa/v1/health`
pub(super) async fn answer(call: &Call) -> Answer {
    let since = call
        .server
        .since
        .duration_since(UNIX_EPOCH)
        .map_or(0, |since| since.as_secs());
    let running = call
        .engine()
        .list(proa_engine::ListOptions::default())
        .await?
        .len();
    let up = clock_gettime(ClockId::Boottime);
    let disk = disk(&call.engine().config().root);
    let engine = if disk.fault.is_some() {
        "degraded"
    } else {
        "running"
    };
    let health = Health {
        version: crate::VERSION.to_owned(),
        protocol: PROTOCOL,
        boot_id: text("/proc/sys/kernel/random/boot_id"),
        uptime_ms: up.tv_sec as u64 * 1000 + up.tv_nsec as u64 / 1_000_000,
        since: since as i64,
        pid: std::process::id(),
        engine: engine.to_owned(),
        running: running as u64,
        memory: memory(&text("/proc/meminfo")),
        disk,
    };
    json(StatusCode::OK, &health)
}

fn text(file: &str) -> String {
    let text = fs::read_to_string(file).unwrap_or_default();
    text.trim_end().to_owned()
}

/// From `proc_meminfo(5)`, which counts in KiB.
fn memory(text: &str) -> MemoryHealth {
    let number = |name: &str| {
        let line = text.lines().find_map(|line| line.strip_prefix(name))?;
        line.split_ascii_whitespace().next()?.parse::<u64>().ok()
    };
    MemoryHealth {
        total: number("MemTotal:").unwrap_or(0) << 10,
        available: number("MemAvailable:").unwrap_or(0) << 10,
    }
}

fn disk(root: &std::path::Path) -> DiskHealth {
    let room = rustix::fs::statvfs(root).ok();
    let found = State::read().map(|state| state.disk).unwrap_or_default();
    DiskHealth {
        total: room
            .as_ref()
            .map_or(0, |room| room.f_blocks * room.f_frsize),
        used: room.map_or(0, |room| (room.f_blocks - room.f_bfree) * room.f_frsize),
        fault: found.fault,
        repaired: found.repaired,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn memory_is_told_in_bytes() {
        let told = memory("MemTotal:       2048 kB\nMemFree: 1 kB\nMemAvailable:    1024 kB\n");
        assert_eq!((told.total, told.available), (2 << 20, 1 << 20));
        assert_eq!(memory(""), MemoryHealth::default());
    }
}
