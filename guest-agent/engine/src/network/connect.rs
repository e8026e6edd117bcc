//! `connect` and `disconnect`, of containers that run and of those that do not.

use std::sync::Arc;

use proa_networks::Sandbox;
use proa_protocol::{EndpointSettings, NetworkConnectBody, NetworkDisconnectBody};

use super::{DEFAULT, Joint, Networks, Place, Record, join, ports, translate};
use crate::{
    Container, Engine, Error, Kind, Result,
    container::{definition::Definition, task::Request},
    error::Context,
};

/// The network a container is to be connected to or disconnected from.
#[derive(Clone)]
pub(crate) struct Target {
    pub(crate) record: Arc<Record>,
    pub(crate) settings: EndpointSettings,
}

impl Engine {
    /// `POST /networks/{id}/connect`
    pub async fn network_connect(&self, wanted: &str, body: NetworkConnectBody) -> Result<()> {
        let record = self.networks.find(wanted)?;
        let container = self.container(&body.container)?;
        let target = Target {
            record,
            settings: body.endpoint_config.unwrap_or_default(),
        };
        check(&container, &target.record)?;
        join::addresses(&target.record, &target.settings)?;
        join::mac(&target.settings.mac_address)?;
        let target = Box::new(target);
        container
            .ask(|answer| Request::Connect { target, answer })
            .await
    }

    /// `POST /networks/{id}/disconnect`
    pub async fn network_disconnect(
        &self,
        wanted: &str,
        body: NetworkDisconnectBody,
    ) -> Result<()> {
        let record = self.networks.find(wanted)?;
        let container = self.container(&body.container).map_err(|unknown| {
            // Docker looks for an endpoint of that name, then.
            let words = format!("endpoint {} not found", body.container);
            if body.force {
                Error::new(unknown.kind(), words)
            } else {
                unknown
            }
        })?;
        if record.driver == "host" {
            return Err(Error::bad(HOST));
        }
        let target = Box::new(Target {
            record,
            settings: EndpointSettings::default(),
        });
        container
            .ask(|answer| Request::Disconnect { target, answer })
            .await
    }
}

const HOST: &str =
    "container cannot be disconnected from host network or connected to host network";

fn check(container: &Container, record: &Record) -> Result<()> {
    let definition = container.seen().definition;
    let mode = definition.host.network_mode.as_str();
    if mode.starts_with("container:") {
        return Err(Error::bad(
            "container sharing network namespace with another container or host cannot be connected to any other network",
        ));
    }
    if mode == "host" || record.driver == "host" {
        return Err(Error::bad(HOST));
    }
    let alone = mode == "none"
        && definition
            .endpoints()
            .iter()
            .any(|(name, _)| name == "none");
    if alone || record.driver == "null" {
        return Err(Error::bad(
            "container cannot be connected to multiple networks with one of the networks in private (none) mode",
        ));
    }
    Ok(())
}

impl Networks {
    /// Joins a running container to one more network. Blocks.
    pub(crate) fn connect(
        &self,
        definition: &Definition,
        pid: u32,
        place: &Place,
        target: &Target,
    ) -> Result<Place> {
        let record = self.made(&target.record)?;
        if place.joint(&record.id).is_some() {
            return Err(Error::new(
                Kind::Forbidden,
                format!(
                    "endpoint with name {} already exists in network {}",
                    definition.name, record.name
                ),
            ));
        }
        let sandbox = self.fabric.sandbox_of(pid).map_err(translate)?;
        let wanted = join::Wanted {
            record,
            settings: target.settings.clone(),
        };
        let joint = self.attach(&sandbox, definition, &wanted, false)?;
        let id = joint.endpoint.id.clone();
        let mut joined = place.clone();
        joined.joints.push(joint);
        let settled = self
            .settle(definition, &sandbox, place, &mut joined)
            .and_then(|()| self.answer(&sandbox, definition, &joined));
        if let Err(error) = settled {
            if let Some(joint) = joined.joints.iter().find(|joint| joint.endpoint.id == id) {
                self.part(definition, &sandbox, joint);
            }
            return Err(error);
        }
        Ok(joined)
    }

    /// Takes a running container out of a network. Blocks.
    pub(crate) fn disconnect(
        &self,
        definition: &Definition,
        pid: u32,
        place: &Place,
        record: &Record,
    ) -> Result<Place> {
        let joint = place
            .joint(&record.id)
            .ok_or_else(|| not_connected(definition, record))?;
        let sandbox = self.fabric.sandbox_of(pid).map_err(translate)?;
        let mut left = place.clone();
        left.joints
            .retain(|other| other.endpoint.id != joint.endpoint.id);
        self.part(definition, &sandbox, joint);
        self.settle(definition, &sandbox, place, &mut left)?;
        Ok(left)
    }

    fn part(&self, definition: &Definition, sandbox: &Sandbox, joint: &Joint) {
        if let Err(error) = self.fabric.detach(Some(sandbox), &joint.endpoint) {
            tracing::warn!(id = %definition.id, network = joint.network, %error, "leaving a network failed");
        }
        self.detached(&joint.endpoint.id);
        self.unname(definition, &joint.endpoint.network);
    }

    /// The way out and the published ports follow the networks.
    fn settle(
        &self,
        definition: &Definition,
        sandbox: &Sandbox,
        before: &Place,
        now: &mut Place,
    ) -> Result<()> {
        let id = |joint: Option<&Joint>| joint.map(|joint| joint.endpoint.id.clone());
        if id(before.way_out()) == id(now.way_out()) {
            return Ok(());
        }
        if let Some(joint) = now.way_out() {
            self.fabric
                .route_through(sandbox, &joint.endpoint)
                .map_err(translate)?;
        }
        let requests = ports::wanted(&definition.config, &definition.host)?;
        if requests.is_empty() {
            return Ok(());
        }
        self.unpublish(definition, before);
        now.published.clear();
        let sockets = self.publish(definition, now, &requests)?;
        now.published = sockets.iter().map(|(port, _)| port.clone()).collect();
        self.hold(definition, sockets, now)
    }
}

pub(crate) fn not_connected(definition: &Definition, record: &Record) -> Error {
    Error::new(
        Kind::Forbidden,
        format!(
            "container {} is not connected to network {}",
            definition.id, record.name
        ),
    )
}

/// What a container that does not run has after a connect.
pub(crate) fn with(definition: &Definition, target: &Target) -> Definition {
    let mut changed = definition.clone();
    changed.endpoints = definition.endpoints().into_iter().collect();
    // It may have been given by its id.
    changed.endpoints.remove(&target.record.id);
    changed
        .endpoints
        .insert(target.record.name.clone(), target.settings.clone());
    changed.left_its_network = false;
    changed
}

/// What it has after a disconnect; `None`: it was not connected.
pub(crate) fn without(definition: &Definition, record: &Record) -> Option<Definition> {
    let mut changed = definition.clone();
    changed.endpoints = definition.endpoints().into_iter().collect();
    let names = [&record.name, &record.id];
    let removed = names
        .iter()
        .filter_map(|name| changed.endpoints.remove(*name))
        .count();
    changed.left_its_network = changed.endpoints.is_empty();
    (removed > 0).then_some(changed)
}

/// Docker's word for the default network where a document names it by its mode.
pub(crate) fn key_of(name: &str) -> &str {
    if name == "default" { DEFAULT } else { name }
}

/// Runs blocking work of networks for a container.
pub(crate) async fn blocking<T: Send + 'static>(
    work: impl FnOnce() -> Result<T> + Send + 'static,
) -> Result<T> {
    tokio::task::spawn_blocking(work)
        .await
        .context(|| "change a container's networks".into())?
}
