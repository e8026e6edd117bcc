//! `list`: networks by Docker's filters.

use proa_protocol::{Filters, Network};

use super::Record;
use crate::{Engine, Error, Result};

const KEYS: &[&str] = &["dangling", "driver", "id", "label", "name", "scope", "type"];

impl Engine {
    /// `GET /networks`
    pub fn networks(&self, filters: &Filters) -> Result<Vec<Network>> {
        let wanted = Wanted::read(filters)?;
        let all = self.networks.all();
        let found = all
            .iter()
            .filter(|record| wanted.accepts(record, self.is_dangling(record)));
        Ok(found
            .map(|record| super::inspect::summary(record))
            .collect())
    }

    /// Whether nobody is in a network that a user made.
    fn is_dangling(&self, record: &Record) -> bool {
        !record.is_always_there() && self.networks.endpoints_of(&record.id).is_empty()
    }
}

struct Wanted<'a> {
    filters: &'a Filters,
    dangling: Option<bool>,
}

impl<'a> Wanted<'a> {
    fn read(filters: &'a Filters) -> Result<Self> {
        let bad = |error: proa_protocol::BadFilter| Error::bad(error.to_string());
        filters.only(KEYS).map_err(bad)?;
        let dangling = filters.truth("dangling").map_err(|_| {
            Error::bad(
                "invalid value for filter 'dangling', must be \"true\" (or \"1\"), or \"false\" (or \"0\")",
            )
        })?;
        let odd = filters
            .values("type")
            .find(|kind| !matches!(*kind, "builtin" | "custom"));
        if let Some(kind) = odd {
            return Err(Error::bad(format!("invalid filter: 'type'='{kind}'")));
        }
        Ok(Wanted { filters, dangling })
    }

    fn accepts(&self, record: &Record, dangling: bool) -> bool {
        let kind = if record.is_always_there() {
            "builtin"
        } else {
            "custom"
        };
        self.dangling.is_none_or(|wanted| wanted == dangling)
            && self
                .filters
                .any("name", |wanted| record.name.contains(wanted))
            && self.filters.any("id", |wanted| record.id.contains(wanted))
            && self.filters.allows("driver", &record.driver)
            && self.filters.allows("scope", "local")
            && self.filters.allows("type", kind)
            && self.filters.labels("label", &record.labels)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(key: &str, value: &str, expected: bool) {
        let record = super::super::always("bridge", "bridge", super::super::ALWAYS[0].2);
        let filters = Filters::default().with(key, value);
        let accepted = Wanted::read(&filters).map(|wanted| wanted.accepts(&record, false));
        assert_eq!(accepted.ok(), Some(expected), "{key}={value}");
    }

    #[test]
    fn networks_are_chosen_by_name_driver_kind_and_use() {
        check("name", "ridge", true);
        check("name", "host", false);
        check("driver", "bridge", true);
        check("type", "custom", false);
        check("type", "builtin", true);
        check("dangling", "true", false);
        check("dangling", "false", true);
        check("label", "a", false);
    }
}
