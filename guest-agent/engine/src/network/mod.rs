//! Networks: those a user made, and the three that always exist.
//!
//! A network is a [`Record`] here, kept in the database, and a value of `proa-networks` inside of it where the kernel
//! has something of it. `bridge` is made when it is first needed. Which containers are in a network is known by their
//! endpoints, which are noted here for as long as a container runs.

pub(crate) mod connect;
mod create;
mod errors;
mod inspect;
pub(crate) mod join;
mod list;
pub(crate) mod names;
pub(crate) mod ports;
mod prune;
pub(crate) mod rate;
mod remove;
pub(crate) mod reopen;
pub(crate) mod settings;

use std::{
    collections::{BTreeMap, HashMap},
    sync::{Arc, Mutex},
    time::Instant,
};

use jiff::Timestamp;
use proa_networks::{
    Endpoint, Fabric, Settings,
    names::{Names, Server, Upstreams},
};
use proa_protocol::{Ipam, TextMap};
use proa_runtime::client::Keeper;
use serde::{Deserialize, Serialize};
use tokio::{io::unix::AsyncFd, task::JoinHandle};

pub(crate) use connect::Target;
pub(crate) use errors::translate;
pub(crate) use join::{Joint, Place};

use crate::{
    Engine, Error, Result,
    db::{Change, Db},
    engine::lock,
    id::Id,
    pollable::Pollable,
};

/// The network of containers that ask for none.
pub(crate) const DEFAULT: &str = "bridge";

/// Name, driver and id of those that always exist. The ids are the same on every machine, as nothing else about them
/// differs either.
const ALWAYS: [(&str, &str, &str); 3] = [
    (
        DEFAULT,
        "bridge",
        "2f1c6d0b7a934e58c0d2b1f4e6a7985330c4d1e2f3a5b6c798d0e1f2a3b4c5d6",
    ),
    (
        "host",
        "host",
        "7b0e95c8d4a1f3e26b5c8d9eaf102b3c4d5e6f708192a3b4c5d6e7f80912a3b4",
    ),
    (
        "none",
        "null",
        "c94d2e7f60b18a3d5e9c07f1b2a4d6e8f00112233445566778899aabbccddeef",
    ),
];

/// A network.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(crate) struct Record {
    pub(crate) id: String,
    pub(crate) name: String,
    pub(crate) created: Timestamp,
    /// `bridge`, `macvlan`, `ipvlan`, `host` or `null`.
    pub(crate) driver: String,
    pub(crate) ipv4: bool,
    pub(crate) ipv6: bool,
    pub(crate) internal: bool,
    pub(crate) attachable: bool,
    /// As it was asked for: whether a container may choose its address depends on it.
    pub(crate) ipam: Ipam,
    pub(crate) options: TextMap,
    pub(crate) labels: TextMap,
    /// What the kernel has of it.
    pub(crate) network: Option<proa_networks::Network>,
}

impl Record {
    /// Whether it is one of the three that always exist.
    pub(crate) fn is_always_there(&self) -> bool {
        ALWAYS.iter().any(|(.., id)| *id == self.id)
    }

    /// Whether containers in it have addresses.
    pub(crate) fn is_wired(&self) -> bool {
        !matches!(self.driver.as_str(), "host" | "null")
    }
}

/// An endpoint of a container that runs, or is about to.
#[derive(Clone, Debug)]
pub(crate) struct Active {
    pub(crate) network: String,
    pub(crate) container: Id,
    pub(crate) container_name: String,
    /// Not yet while it is being attached.
    pub(crate) endpoint: Option<Endpoint>,
}

/// Every network of the engine.
pub(crate) struct Networks {
    pub(crate) fabric: Arc<Fabric>,
    names: Arc<Names>,
    upstreams: Arc<Upstreams>,
    /// Whose interfaces ours are.
    engine_name: String,
    /// What runs for live containers.
    wires: Mutex<HashMap<Id, Wires>>,
    /// When published ports were last given back.
    released: Mutex<Option<Instant>>,
    db: Db,
    keeper: Arc<AsyncFd<Pollable<Keeper>>>,
    known: Mutex<Known>,
    /// Held by whoever makes or removes one.
    changing: Mutex<()>,
}

/// Tasks that end with a container's run.
#[derive(Default)]
struct Wires {
    ports: Vec<JoinHandle<()>>,
    server: Option<Server>,
}

impl Drop for Wires {
    fn drop(&mut self) {
        self.ports.iter().for_each(JoinHandle::abort);
    }
}

#[derive(Default)]
struct Known {
    by_id: BTreeMap<String, Arc<Record>>,
    /// By their ids.
    active: BTreeMap<String, Active>,
}

impl Networks {
    /// Reads what was kept. Nothing is made.
    pub(crate) fn open(
        settings: Settings,
        keeper: Arc<AsyncFd<Pollable<Keeper>>>,
        db: Db,
        stored: &[String],
    ) -> Result<Arc<Self>> {
        let engine_name = settings.engine.clone();
        let fabric = Fabric::open(settings).map_err(translate)?;
        let mut known = Known::default();
        for (name, driver, id) in ALWAYS {
            let record = always(name, driver, id);
            known.by_id.insert(record.id.clone(), Arc::new(record));
        }
        for text in stored {
            match serde_json::from_str::<Record>(text) {
                Ok(record) => drop(known.by_id.insert(record.id.clone(), Arc::new(record))),
                Err(error) => tracing::error!(%error, "a network's record cannot be read"),
            }
        }
        Ok(Arc::new(Networks {
            fabric: Arc::new(fabric),
            names: Arc::new(Names::new()),
            upstreams: Arc::new(Upstreams::of_host()),
            engine_name,
            wires: Mutex::default(),
            released: Mutex::default(),
            db,
            keeper,
            known: Mutex::new(known),
            changing: Mutex::default(),
        }))
    }

    /// All of them, by name.
    pub(crate) fn all(&self) -> Vec<Arc<Record>> {
        let mut all: Vec<_> = lock(&self.known).by_id.values().cloned().collect();
        all.sort_by(|a, b| a.name.cmp(&b.name));
        all
    }

    /// One by its id, its name, or a unique prefix of its id.
    pub(crate) fn find(&self, wanted: &str) -> Result<Arc<Record>> {
        let known = lock(&self.known);
        if let Some(record) = known.by_id.get(wanted) {
            return Ok(Arc::clone(record));
        }
        if let Some(record) = known.by_id.values().find(|record| record.name == wanted) {
            return Ok(Arc::clone(record));
        }
        let fits = |record: &&Arc<Record>| !wanted.is_empty() && record.id.starts_with(wanted);
        let mut matching = known.by_id.values().filter(fits);
        match (matching.next(), matching.count()) {
            (Some(record), 0) => Ok(Arc::clone(record)),
            (Some(_), others) => Err(Error::bad(format!(
                "network {wanted} is ambiguous ({} matches found based on ID prefix)",
                others + 1
            ))),
            (None, _) => Err(Error::not_found(format!("network {wanted} not found"))),
        }
    }

    /// The endpoints of a network, each with its id.
    pub(crate) fn endpoints_of(&self, network: &str) -> Vec<(String, Active)> {
        let known = lock(&self.known);
        let inside = known
            .active
            .iter()
            .filter(|(_, active)| active.network == network);
        inside
            .map(|(id, active)| (id.clone(), active.clone()))
            .collect()
    }

    /// Notes an endpoint to be, unless its network is gone.
    fn reserve(&self, id: &str, active: Active) -> Result<()> {
        let mut known = lock(&self.known);
        if !known.by_id.contains_key(&active.network) {
            return Err(Error::not_found(format!(
                "network {} not found",
                active.network
            )));
        }
        known.active.insert(id.to_owned(), active);
        Ok(())
    }

    fn attached(&self, endpoint: &Endpoint) {
        if let Some(active) = lock(&self.known).active.get_mut(&endpoint.id) {
            active.endpoint = Some(endpoint.clone());
        }
    }

    fn detached(&self, id: &str) {
        lock(&self.known).active.remove(id);
    }

    /// A container has another name.
    pub(crate) fn renamed(&self, container: &Id, name: &str) {
        for active in lock(&self.known).active.values_mut() {
            if active.container == *container {
                name.clone_into(&mut active.container_name);
            }
        }
    }

    /// Adds a record, or another state of one.
    fn insert(&self, record: Record) -> Arc<Record> {
        let record = Arc::new(record);
        lock(&self.known)
            .by_id
            .insert(record.id.clone(), Arc::clone(&record));
        record
    }

    fn change_of(record: &Record) -> Result<Change> {
        let text = serde_json::to_string(record)
            .map_err(|error| Error::internal("write down a network").with(error))?;
        Ok(Change::Network {
            id: record.id.clone(),
            record: text,
        })
    }
}

fn always(name: &str, driver: &str, id: &str) -> Record {
    let bridge = name == DEFAULT;
    Record {
        id: id.to_owned(),
        name: name.to_owned(),
        created: crate::clock::now(),
        driver: driver.to_owned(),
        ipv4: true,
        ipv6: false,
        internal: false,
        attachable: false,
        ipam: Ipam {
            driver: "default".to_owned(),
            ..Ipam::default()
        },
        options: if bridge {
            settings::of_default_bridge()
        } else {
            TextMap::new()
        },
        labels: TextMap::new(),
        network: None,
    }
}

impl Engine {
    /// Tells what happened to a network.
    pub(crate) fn tell_network(&self, action: &str, record: &Record, container: Option<&Id>) {
        let mut attributes = TextMap::from([
            ("name".to_owned(), record.name.clone()),
            ("type".to_owned(), record.driver.clone()),
        ]);
        if let Some(container) = container {
            attributes.insert("container".to_owned(), container.to_string());
        }
        self.events.tell("network", action, &record.id, attributes);
    }
}
