//! The networks that always exist. `bridge` is listed because clients look for it.

use proa_protocol::{Filters, Ipam, Network};

use crate::{Engine, Error, Result};

/// Name, driver and id of each. The ids are the same on every machine, as nothing else about them differs either.
const ALWAYS: [(&str, &str, &str); 3] = [
    (
        "bridge",
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

/// The id of a network that always exists.
pub fn id_of(name: &str) -> Option<&'static str> {
    ALWAYS
        .iter()
        .find(|(known, ..)| *known == name)
        .map(|(.., id)| *id)
}

impl Engine {
    /// `GET /networks`
    pub fn networks(&self, filters: &Filters) -> Result<Vec<Network>> {
        let known = ["dangling", "driver", "id", "label", "name", "scope", "type"];
        filters
            .only(&known)
            .map_err(|e| Error::bad(e.to_string()))?;
        // None of them goes away when nobody uses it.
        let dangling = filters
            .truth("dangling")
            .map_err(|e| Error::bad(e.to_string()))?;
        let fits = |network: &Network| {
            dangling != Some(true)
                && filters.any("name", |wanted| network.name.contains(wanted))
                && filters.any("id", |wanted| network.id.starts_with(wanted))
                && filters.allows("driver", &network.driver)
                && filters.allows("scope", "local")
                && filters.allows("type", "builtin")
                && filters.labels("label", &network.labels)
        };
        Ok(ALWAYS
            .iter()
            .map(|always| document(*always))
            .filter(fits)
            .collect())
    }

    /// `GET /networks/{id}`
    pub fn network(&self, wanted: &str) -> Result<Network> {
        let found = ALWAYS
            .iter()
            .find(|(name, _, id)| *name == wanted || *id == wanted);
        let found = found.or_else(|| {
            let mut fits = ALWAYS
                .iter()
                .filter(|(.., id)| !wanted.is_empty() && id.starts_with(wanted));
            fits.next().filter(|_| fits.next().is_none())
        });
        found
            .map(|found| document(*found))
            .ok_or_else(|| Error::not_found(format!("network {wanted} not found")))
    }
}

fn document((name, driver, id): (&str, &str, &str)) -> Network {
    Network {
        name: name.to_owned(),
        id: id.to_owned(),
        created: proa_protocol::timestamp::NEVER.to_owned(),
        scope: "local".to_owned(),
        driver: driver.to_owned(),
        enable_ipv4: true,
        ipam: Ipam {
            driver: "default".to_owned(),
            ..Ipam::default()
        },
        ..Network::default()
    }
}
