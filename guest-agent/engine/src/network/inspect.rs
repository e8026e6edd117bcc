//! `inspect`: a network's document.

use std::sync::Arc;

use proa_protocol::{EndpointResource, IpamConfig, Network, TextMap};

use super::{Active, Record};
use crate::{Engine, Result, clock, error::Context};

impl Engine {
    /// `GET /networks/{id}`. Clients read the addresses of `bridge` before anything runs, so it is made for them.
    pub async fn network(&self, wanted: &str) -> Result<Network> {
        let mut record = self.networks.find(wanted)?;
        if record.is_wired() && record.network.is_none() {
            let networks = Arc::clone(&self.networks);
            let made = move || networks.made(&record);
            let attempt = || format!("make network {wanted}");
            record = tokio::task::spawn_blocking(made).await.context(attempt)??;
        }
        let mut document = summary(&record);
        for (id, active) in self.networks.endpoints_of(&record.id) {
            document
                .containers
                .insert(active.container.to_string(), resource(id, active));
        }
        Ok(document)
    }
}

/// The document without its containers, as lists show it.
pub(super) fn summary(record: &Record) -> Network {
    let mut ipam = record.ipam.clone();
    if let Some(network) = &record.network {
        ipam.config = Some(network.pools.iter().map(pool).collect());
    } else if ipam.config.is_none() && !record.is_always_there() {
        ipam.config = Some(Vec::new());
    }
    Network {
        name: record.name.clone(),
        id: record.id.clone(),
        created: clock::document(Some(record.created)),
        scope: "local".to_owned(),
        driver: record.driver.clone(),
        enable_ipv4: record.ipv4,
        enable_ipv6: record.ipv6,
        ipam,
        internal: record.internal,
        attachable: record.attachable,
        options: record.options.clone(),
        labels: record.labels.clone(),
        ..Network::default()
    }
}

fn pool(pool: &proa_networks::Pool) -> IpamConfig {
    let reserved: TextMap = pool
        .reserved
        .iter()
        .map(|(name, address)| (name.clone(), address.to_string()))
        .collect();
    IpamConfig {
        subnet: pool.subnet.to_string(),
        ip_range: pool
            .range
            .map(|range| range.to_string())
            .unwrap_or_default(),
        gateway: pool.gateway.to_string(),
        auxiliary_addresses: (!reserved.is_empty()).then_some(reserved),
    }
}

fn resource(id: String, active: Active) -> EndpointResource {
    let text = |address: Option<String>| address.unwrap_or_default();
    let endpoint = active.endpoint;
    let endpoint = endpoint.as_ref();
    EndpointResource {
        name: active.container_name,
        endpoint_id: id,
        mac_address: text(endpoint.map(|endpoint| endpoint.mac.to_string())),
        ipv4_address: text(endpoint.and_then(|endpoint| Some(endpoint.ipv4?.to_string()))),
        ipv6_address: text(endpoint.and_then(|endpoint| Some(endpoint.ipv6?.to_string()))),
    }
}
