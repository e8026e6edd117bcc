//! What happens to containers in the machine, as far as it moves their ports.

use std::collections::HashMap;
use std::sync::Arc;

use serde::Deserialize;

use super::Ports;
use crate::machine::guest::{Guest, GuestError};

/// One of the engine's events.
#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "PascalCase", default)]
struct Event {
    #[serde(rename = "Type")]
    kind: String,
    action: String,
    actor: Actor,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct Actor {
    #[serde(rename = "ID")]
    id: String,
    #[serde(rename = "Attributes")]
    attributes: HashMap<String, String>,
}

impl Event {
    /// The container whose ports may have moved.
    fn container(&self) -> Option<&str> {
        match (self.kind.as_str(), self.action.as_str()) {
            ("container", "start" | "restart" | "die" | "stop" | "destroy" | "rename") => {
                Some(&self.actor.id)
            }
            ("network", "connect" | "disconnect") => {
                self.actor.attributes.get("container").map(String::as_str)
            }
            _ => None,
        }
    }
}

/// Opens the ports of whatever runs, and then follows events until they end.
pub(super) async fn follow(
    ports: &Ports,
    guest: &Arc<Guest>,
    notice: &impl Fn(String),
) -> Result<(), GuestError> {
    // Events first: what starts between the two is told twice rather than not at all.
    let mut events = guest.events::<Event>().await?;
    let mut containers = guest.running_ids().await?;
    // Some may have ended while nobody listened.
    containers.extend(ports.containers().await);
    for container in containers {
        follow_one(ports, guest, &container, notice).await;
    }
    while let Some(event) = events.next().await.map_err(GuestError::Silent)? {
        if let Some(container) = event.container() {
            follow_one(ports, guest, container, notice).await;
        }
    }
    Ok(())
}

/// The start was acknowledged long ago, so that a port which cannot be opened can only be told.
async fn follow_one(ports: &Ports, guest: &Arc<Guest>, container: &str, notice: &impl Fn(String)) {
    if let Err(problem) = ports.follow(guest, container).await {
        tracing::warn!("{problem}");
        notice(problem.to_string());
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(text: &str, expected: Option<&str>) {
        let event: Event = serde_json::from_str(text).expect("well-formed");
        assert_eq!(event.container(), expected, "{text}");
    }

    #[test]
    fn starts_ends_and_moves_concern_ports() {
        check(
            r#"{"Type":"container","Action":"start","Actor":{"ID":"a"}}"#,
            Some("a"),
        );
        check(
            r#"{"Type":"container","Action":"exec_start: sh","Actor":{"ID":"a"}}"#,
            None,
        );
        check(
            r#"{"Type":"network","Action":"connect","Actor":{"ID":"n","Attributes":{"container":"a"}}}"#,
            Some("a"),
        );
    }
}
