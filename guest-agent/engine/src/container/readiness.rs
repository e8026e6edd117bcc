//! How long a container takes until it is ready: until its health check first succeeds, or, where it has none and a
//! network of its own, until something in it listens at a port.

use std::{fs, time::Duration};

use jiff::Timestamp;
use proa_protocol::Readiness;
use tokio::time::{Instant, sleep};

use super::{Container, definition::Definition, state::Running};
use crate::{clock, engine::lock};

/// After so long nothing is looked for any more: not every container listens.
const PATIENCE: Duration = Duration::from_secs(300);

/// How soon is looked for the first time; most short-lived containers have ended by then.
const FIRST: Duration = Duration::from_millis(15);

/// The longest wait between two looks.
const LONGEST: Duration = Duration::from_secs(1);

/// What is known of a container's latest start.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) enum Measured {
    /// Nothing: it was not started by this process, or never.
    #[default]
    Unknown,
    /// It has been started and is not ready yet.
    Waiting,
    /// It took so long.
    Ready(Readiness),
}

impl Measured {
    /// For the documents.
    pub(crate) fn document(&self) -> Option<Readiness> {
        match self {
            Measured::Ready(readiness) => Some(readiness.clone()),
            Measured::Unknown | Measured::Waiting => None,
        }
    }
}

/// Measures a start that has just been made.
pub(super) fn watch(container: &Container, definition: &Definition, running: &Running) {
    *lock(&container.readiness) = Measured::Waiting;
    let mode = definition.host.network_mode.as_str();
    // Ports in a namespace that is shared with others say nothing of this container.
    let own = mode != "host" && !mode.starts_with("container:");
    if own && !super::health::is_checked(definition) {
        tokio::spawn(look_for_a_port(container.clone(), running.clone()));
    }
}

/// It is ready by what its health check says.
pub(super) fn healthy(container: &Container, started: Timestamp) {
    ready(container, started, "health", "");
}

fn ready(container: &Container, started: Timestamp, by: &str, port: &str) {
    let mut measured = lock(&container.readiness);
    if *measured == Measured::Waiting {
        let took = clock::now().duration_since(started).as_millis();
        *measured = Measured::Ready(Readiness {
            milliseconds: u64::try_from(took).unwrap_or_default(),
            by: by.to_owned(),
            port: port.to_owned(),
        });
    }
}

async fn look_for_a_port(container: Container, running: Running) {
    let begin = Instant::now();
    let mut wait = FIRST;
    while begin.elapsed() < PATIENCE {
        tokio::select! {
            () = sleep(wait) => {}
            () = running.link.gone() => return,
        }
        let pid = running.pid;
        let Ok(found) = tokio::task::spawn_blocking(move || listening(pid)).await else {
            return;
        };
        if let Some(port) = found {
            ready(&container, running.started, "port", &format!("{port}/tcp"));
            return;
        }
        wait = (wait * 3 / 2).min(LONGEST);
    }
}

/// The lowest port that something listens at in the network namespace of a process.
fn listening(pid: u32) -> Option<u16> {
    let tables = ["tcp", "tcp6"].map(|name| fs::read_to_string(format!("/proc/{pid}/net/{name}")));
    let ports = tables
        .iter()
        .flatten()
        .filter_map(|table| lowest_listener(table));
    ports.min()
}

/// `LISTEN` of the kernel's `tcp_states.h`, as `proc_pid_net(5)` shows it.
const LISTEN: &str = "0A";

/// 127.0.0.11, where this engine itself answers for names, as the table shows it on a little-endian machine.
const NAMES: &str = "0B00007F";

fn lowest_listener(table: &str) -> Option<u16> {
    let ports = table.lines().skip(1).filter_map(|line| {
        let mut words = line.split_whitespace().skip(1);
        let (address, port) = words.next()?.split_once(':')?;
        let listens = words.nth(1)? == LISTEN && address != NAMES;
        listens.then(|| u16::from_str_radix(port, 16).ok())?
    });
    ports.min()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_listeners_that_are_the_container_s_own_count() {
        let head = "  sl  local_address rem_address   st tx_queue rx_queue\n";
        let line = |at: &str, state: &str| format!("   0: {at} 00000000:0000 {state} 00000000:0\n");
        let table = |lines: &[String]| format!("{head}{}", lines.concat());
        assert_eq!(lowest_listener(head), None);
        assert_eq!(
            lowest_listener(&table(&[line("0B00007F:9C41", "0A")])),
            None
        );
        assert_eq!(
            lowest_listener(&table(&[line("0100007F:1F90", "01")])),
            None
        );
        let two = [line("00000000:1F90", "0A"), line("00000000:0050", "0A")];
        assert_eq!(lowest_listener(&table(&two)), Some(80));
    }
}
