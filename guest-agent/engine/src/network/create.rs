//! `create`: from Docker's document to a network.

use std::{collections::BTreeMap, net::IpAddr, sync::Arc};

use proa_networks::{NetworkRequest, PoolRequest};
use proa_protocol::{Ipam, IpamConfig, NetworkCreateBody, NetworkCreateResponse};

use super::{ALWAYS, DEFAULT, Networks, Record, settings, translate};
use crate::{Engine, Error, Kind, Result, clock, engine::lock, error::Context, id};

impl Engine {
    /// `POST /networks/create`. Goes on when the caller goes away.
    pub async fn network_create(
        self: &Arc<Self>,
        body: NetworkCreateBody,
    ) -> Result<NetworkCreateResponse> {
        let engine = Arc::clone(self);
        let attempt = || format!("create network {}", body.name);
        let creation = tokio::spawn({
            let body = body.clone();
            async move { engine.create_network(body).await }
        });
        let record = creation.await.context(attempt)??;
        Ok(NetworkCreateResponse {
            id: record.id.clone(),
            warning: String::new(),
        })
    }

    async fn create_network(&self, body: NetworkCreateBody) -> Result<Arc<Record>> {
        check(&body)?;
        let record = draft(body)?;
        let request = request(&record)?;
        let networks = Arc::clone(&self.networks);
        let making = move || networks.make_new(record, &request);
        let made = tokio::task::spawn_blocking(making).await;
        let record = made.context(|| "create a network".into())??;
        let change = Networks::change_of(&record)?;
        if let Err(error) = self.networks.db.commit(change).await {
            let networks = Arc::clone(&self.networks);
            let id = record.id.clone();
            let undo = tokio::task::spawn_blocking(move || networks.take_back(&id));
            // What happened before is what is told.
            let _ = undo.await;
            return Err(error);
        }
        self.tell_network("create", &record, None);
        Ok(record)
    }
}

impl Networks {
    /// Makes a network whose name is free, and shows it.
    fn make_new(&self, mut record: Record, request: &NetworkRequest) -> Result<Arc<Record>> {
        self.let_the_default_choose(request);
        let _changing = lock(&self.changing);
        let taken = lock(&self.known)
            .by_id
            .values()
            .any(|known| known.name == record.name);
        if taken {
            return Err(Error::conflict(format!(
                "network with name {} already exists",
                record.name
            )));
        }
        record.network = Some(self.fabric.create(request).map_err(translate)?);
        Ok(self.insert(record))
    }

    /// The default network has the first subnet, whatever is made before it is needed: scripts name its gateway.
    fn let_the_default_choose(&self, request: &NetworkRequest) {
        let chosen = |pool: &PoolRequest| pool.subnet.is_some_and(|subnet| subnet.addr().is_ipv4());
        if !request.ipv4 || request.pools.iter().any(chosen) {
            return;
        }
        if let Err(error) = self.find(DEFAULT).and_then(|record| self.made(&record)) {
            tracing::warn!(error = error.told(), "the default network cannot be made");
        }
    }

    fn take_back(&self, id: &str) {
        let _changing = lock(&self.changing);
        lock(&self.known).by_id.remove(id);
        if let Err(error) = self.fabric.remove(id) {
            tracing::error!(id, %error, "taking back a network failed");
        }
    }

    /// The network with its part of the kernel, made now if that is the default one's first use. Blocks.
    pub(crate) fn made(&self, record: &Arc<Record>) -> Result<Arc<Record>> {
        if record.network.is_some() || !record.is_wired() {
            return Ok(Arc::clone(record));
        }
        let _changing = lock(&self.changing);
        let record = self.find(&record.id)?;
        if record.network.is_some() {
            return Ok(record);
        }
        let request = NetworkRequest {
            driver: settings::default_bridge(&self.engine_name),
            ..request(&record)?
        };
        let network = self.fabric.create(&request).map_err(translate)?;
        let mut options = record.options.clone();
        options.insert(
            "com.docker.network.bridge.name".to_owned(),
            network.interface.clone(),
        );
        let record = Record {
            network: Some(network),
            options,
            ..record.as_ref().clone()
        };
        // Lost in a power cut it is made again.
        self.db.write_soon(Self::change_of(&record)?);
        Ok(self.insert(record))
    }
}

fn check(body: &NetworkCreateBody) -> Result<()> {
    let forbidden = |words: String| Err(Error::new(Kind::Forbidden, words));
    let name = body.name.as_str();
    if name.is_empty() {
        return Err(Error::bad("invalid name: "));
    }
    if name.chars().all(char::is_whitespace) || name.contains(['/', ':', '\0']) {
        return Err(Error::bad(format!("invalid network name: {name}")));
    }
    if name == "default" || ALWAYS.iter().any(|(known, ..)| *known == name) {
        return forbidden(format!(
            "operation is not permitted on predefined {name} network "
        ));
    }
    if body.scope == "swarm" || body.ingress {
        return forbidden(
            "cannot create a swarm scoped network when swarm is not active".to_owned(),
        );
    }
    if !matches!(body.scope.as_str(), "" | "local") {
        return forbidden(format!("invalid scope: {}", body.scope));
    }
    if body.config_only
        || body
            .config_from
            .as_ref()
            .is_some_and(|from| !from.network.is_empty())
    {
        return Err(Error::new(
            Kind::NotImplemented,
            "configuration-only networks are not supported by this engine",
        ));
    }
    if body.enable_ipv4 == Some(false) && body.enable_ipv6 != Some(true) {
        return Err(Error::bad("IPv4 or IPv6 must be enabled"));
    }
    Ok(())
}

fn draft(body: NetworkCreateBody) -> Result<Record> {
    let mut ipam = body.ipam.unwrap_or_default();
    if ipam.driver.is_empty() {
        DEFAULT_IPAM.clone_into(&mut ipam.driver);
    }
    if !matches!(ipam.driver.as_str(), DEFAULT_IPAM | "null") {
        return Err(Error::not_found(format!(
            "plugin \"{}\" not found",
            ipam.driver
        )));
    }
    // Docker's clients send an empty configuration for "choose yourself".
    ipam.config = ipam.config.map(|configs| {
        let said = |config: &IpamConfig| *config != IpamConfig::default();
        configs.into_iter().filter(said).collect()
    });
    let driver = if matches!(body.driver.as_str(), "" | "default") {
        DEFAULT.to_owned()
    } else {
        body.driver
    };
    Ok(Record {
        id: id::random_hex().context(|| "make an id".into())?,
        name: body.name,
        created: clock::now(),
        driver,
        ipv4: body.enable_ipv4.unwrap_or(true),
        ipv6: body.enable_ipv6.unwrap_or(false),
        internal: body.internal,
        attachable: body.attachable,
        ipam,
        options: body.options.unwrap_or_default(),
        labels: body.labels.unwrap_or_default(),
        network: None,
    })
}

const DEFAULT_IPAM: &str = "default";

/// What is asked of the kernel's side.
fn request(record: &Record) -> Result<NetworkRequest> {
    Ok(NetworkRequest {
        id: record.id.clone(),
        name: record.name.clone(),
        driver: settings::driver(&record.driver, &record.options)?,
        ipv4: record.ipv4,
        ipv6: record.ipv6,
        pools: pools(&record.ipam)?,
        internal: record.internal,
    })
}

fn pools(ipam: &Ipam) -> Result<Vec<PoolRequest>> {
    ipam.config.iter().flatten().map(pool).collect()
}

fn pool(config: &IpamConfig) -> Result<PoolRequest> {
    let bad = |words: String| Error::bad(format!("invalid network config:\n{words}"));
    let address = |text: &str, what: &str| -> Result<Option<IpAddr>> {
        let parsed = (!text.is_empty()).then(|| text.parse());
        parsed
            .transpose()
            .map_err(|_| bad(format!("invalid {what} address: {text}")))
    };
    let network = |text: &str, what: &str| -> Result<Option<ipnet::IpNet>> {
        let parsed = (!text.is_empty()).then(|| text.parse::<ipnet::IpNet>());
        let parsed = parsed.transpose().map_err(|_| {
            bad(format!(
                "invalid {what} {text}: invalid CIDR block notation"
            ))
        })?;
        match parsed {
            Some(net) if net.addr() != net.network() => {
                let proper = net.trunc();
                Err(bad(format!("invalid {what} {text}: it should be {proper}")))
            }
            other => Ok(other),
        }
    };
    let mut reserved = BTreeMap::new();
    for (name, text) in config.auxiliary_addresses.iter().flatten() {
        if let Some(found) = address(text, "auxiliary")? {
            reserved.insert(name.clone(), found);
        }
    }
    let subnet = network(&config.subnet, "subnet")?;
    let range = network(&config.ip_range, "ip-range")?;
    let gateway = address(&config.gateway, "gateway")?;
    if let (Some(subnet), Some(range)) = (subnet, range)
        && !subnet.contains(&range)
    {
        return Err(bad(format!(
            "invalid ip-range {range}: parent subnet {subnet} doesn't contain ip-range"
        )));
    }
    if let (Some(subnet), Some(gateway)) = (subnet, gateway)
        && !subnet.contains(&gateway)
    {
        return Err(bad(format!(
            "invalid gateway {gateway}: parent subnet {subnet} doesn't contain this address"
        )));
    }
    Ok(PoolRequest {
        subnet,
        range,
        gateway,
        reserved,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn told(body: NetworkCreateBody) -> String {
        let drafted = check(&body)
            .and_then(|()| draft(body))
            .and_then(|record| request(&record));
        match drafted {
            Ok(_) => String::new(),
            Err(error) => format!("{:?} {}", error.kind(), error.told()),
        }
    }

    fn body(change: impl FnOnce(&mut NetworkCreateBody)) -> NetworkCreateBody {
        let mut body = NetworkCreateBody {
            name: "n".to_owned(),
            ..NetworkCreateBody::default()
        };
        change(&mut body);
        body
    }

    fn with_subnet(subnet: &str) -> NetworkCreateBody {
        let config = IpamConfig {
            subnet: subnet.to_owned(),
            ..IpamConfig::default()
        };
        body(|body| {
            body.ipam = Some(Ipam {
                config: Some(vec![config]),
                ..Ipam::default()
            });
        })
    }

    #[test]
    fn a_network_is_refused_in_dockers_words() {
        assert_eq!(told(body(|_| ())), "");
        assert_eq!(
            told(body(|body| body.name = "host".to_owned())),
            "Forbidden operation is not permitted on predefined host network "
        );
        assert_eq!(
            told(body(|body| body.driver = "host".to_owned())),
            "Forbidden only one instance of \"host\" network is allowed"
        );
        assert_eq!(told(with_subnet("10.1.0.0/16")), "");
        assert_eq!(
            told(with_subnet("10.1.0.1/16")),
            "BadParameter invalid network config:\ninvalid subnet 10.1.0.1/16: it should be 10.1.0.0/16"
        );
        assert_eq!(
            told(with_subnet("10.1")),
            "BadParameter invalid network config:\ninvalid subnet 10.1: invalid CIDR block notation"
        );
    }
}
