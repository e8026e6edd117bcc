//! The agent in the machine, as the supervisor talks to it.

use std::net::SocketAddr;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use proa_protocol::proa::{Clock, Health, PROTOCOL, Share, Shares};
use proa_protocol::stream::frame;
use proa_protocol::tunnel::{Carrier, Target};
use proa_vm::Dialer;
use serde::Deserialize;
use serde::de::DeserializeOwned;
use serde_json::json;

use crate::{Endpoint, Engine, EngineError, Hijacked, Lines, Request};

/// How long a question may take that needs nothing but an answer.
const PATIENCE: Duration = Duration::from_secs(20);

/// Why the agent and this program do not go together.
#[derive(Debug, thiserror::Error)]
pub(super) enum GuestError {
    #[error("the engine in the machine does not answer")]
    Silent(#[source] EngineError),
    #[error("the engine in the machine does not answer in time")]
    Late,
    #[error(
        "the machine's agent {agent} speaks version {theirs} of the protocol and this program ({ours}) version {PROTOCOL}; \
         install proa and its image from the same release, then `proa machine restart`"
    )]
    Protocol {
        agent: String,
        theirs: u32,
        ours: &'static str,
    },
}

/// A way to the agent. Connections are made when they are needed and kept.
pub(super) struct Guest {
    engine: Engine,
}

impl Guest {
    pub(super) fn at(dialer: Dialer) -> Self {
        Self {
            engine: Engine::at(Endpoint::Machine(dialer)),
        }
    }

    /// Whether it answers, and speaks as we do.
    pub(super) async fn health(&self) -> Result<Health, GuestError> {
        let request = Request::get(&["proa", "v1", "health"]);
        let health: Health = self.ask(request).await?;
        // One from before there was a version speaks the first.
        match health.protocol {
            0 | PROTOCOL => Ok(health),
            theirs => Err(GuestError::Protocol {
                agent: health.version,
                theirs,
                ours: env!("CARGO_PKG_VERSION"),
            }),
        }
    }

    /// Sets its clock to ours.
    pub(super) async fn set_clock(&self) -> Result<(), GuestError> {
        let now = SystemTime::now().duration_since(UNIX_EPOCH);
        let clock = Clock {
            unix_nanoseconds: now.map_or(0, |now| now.as_nanos() as i64),
        };
        self.order(Request::post(&["proa", "v1", "clock"]).json(&clock))
            .await
    }

    /// Says where the shares are to be mounted.
    pub(super) async fn set_shares(&self, shares: &[proa_vm::Share]) -> Result<(), GuestError> {
        let shares = shares.iter().map(|share| Share {
            tag: share.tag.clone(),
            path: share.path.display().to_string(),
            readonly: share.readonly,
        });
        let shares = Shares {
            shares: shares.collect(),
        };
        let request = Request::new(crate::Method::PUT, &["proa", "v1", "shares"]);
        self.order(request.json(&shares)).await
    }

    /// Asks it to stop the containers and turn the machine off.
    pub(super) async fn shut_down(&self) -> Result<(), GuestError> {
        self.order(Request::post(&["proa", "v1", "shutdown"])).await
    }

    /// Stops a container at once.
    pub(super) async fn stop(&self, container: &str) -> Result<(), GuestError> {
        let request = Request::post(&["containers", container, "stop"]);
        self.order(request.query("t", "0")).await
    }

    /// The number of containers that run.
    pub(super) async fn running(&self) -> Result<usize, GuestError> {
        let found: Vec<serde_json::Value> = self.ask(Request::get(&["containers", "json"])).await?;
        Ok(found.len())
    }

    /// The ids of the containers that run.
    pub(super) async fn running_ids(&self) -> Result<Vec<String>, GuestError> {
        #[derive(Deserialize)]
        struct Listed {
            #[serde(rename = "Id")]
            id: String,
        }
        let found: Vec<Listed> = self.ask(Request::get(&["containers", "json"])).await?;
        Ok(found.into_iter().map(|found| found.id).collect())
    }

    /// A container's document; none if there is no such container.
    pub(super) async fn inspect<T: DeserializeOwned>(
        &self,
        container: &str,
    ) -> Result<Option<T>, GuestError> {
        match self
            .ask(Request::get(&["containers", container, "json"]))
            .await
        {
            Ok(document) => Ok(Some(document)),
            Err(GuestError::Silent(e)) if e.is_not_found() => Ok(None),
            Err(e) => Err(e),
        }
    }

    /// What happens to containers and networks from now on.
    pub(super) async fn events<T: DeserializeOwned>(&self) -> Result<Lines<T>, GuestError> {
        let filters = json!({"type": {"container": true, "network": true}}).to_string();
        let request = Request::get(&["events"]).query("filters", &filters);
        let answer = self.engine.send(request).await;
        Ok(answer.map_err(GuestError::Silent)?.lines())
    }

    /// A tunnel; frames go both ways in it.
    pub(super) async fn tunnel(
        &self,
        carrier: Carrier,
        address: SocketAddr,
    ) -> Result<Hijacked, GuestError> {
        let target = Target { carrier, address };
        let request = Request::post(&["proa", "v1", "tunnel"])
            .query("to", &target.to_string())
            .header(frame::NAME, frame::VALUE);
        self.engine
            .hijack(request)
            .await
            .map_err(GuestError::Silent)
    }

    async fn ask<T: DeserializeOwned>(&self, request: Request) -> Result<T, GuestError> {
        let answer = tokio::time::timeout(PATIENCE, self.engine.ask(request)).await;
        answer
            .map_err(|_| GuestError::Late)?
            .map_err(GuestError::Silent)
    }

    async fn order(&self, request: Request) -> Result<(), GuestError> {
        let answer = tokio::time::timeout(PATIENCE, self.engine.order(request)).await;
        answer
            .map_err(|_| GuestError::Late)?
            .map_err(GuestError::Silent)
    }
}
