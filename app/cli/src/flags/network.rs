//! `--network`: a mode, a name, or `name=…,alias=…,ip=…`.

use std::collections::BTreeMap;

use serde_json::Value;

use super::csv;
use super::document::Document;
use crate::failure::Failure;

/// One network a container joins, and how.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Attachment {
    pub(crate) name: String,
    pub(crate) aliases: Vec<String>,
    pub(crate) ip: String,
    pub(crate) ip6: String,
    pub(crate) link_local: Vec<String>,
    pub(crate) links: Vec<String>,
    pub(crate) mac: String,
    pub(crate) driver_options: BTreeMap<String, String>,
    pub(crate) gateway_priority: i64,
}

impl Attachment {
    /// Reads one `--network`.
    pub(crate) fn parse(text: &str) -> Result<Self, Failure> {
        let mut attachment = Self::default();
        if !text.contains('=') {
            text.clone_into(&mut attachment.name);
            return Ok(attachment);
        }
        let bad = |what: String| Failure::usage(format!("invalid --network {text:?}: {what}"));
        for (key, value) in csv::pairs(text).map_err(bad)? {
            let value = value.ok_or_else(|| bad(format!("{key:?} lacks a value")))?;
            match key.as_str() {
                "name" => attachment.name = value,
                "alias" => attachment.aliases.push(value),
                "ip" => attachment.ip = value,
                "ip6" => attachment.ip6 = value,
                "mac-address" => attachment.mac = value,
                "link-local-ip" => attachment.link_local.push(value),
                "gw-priority" => {
                    attachment.gateway_priority = value
                        .parse()
                        .map_err(|_| bad(format!("not a number: {value}")))?;
                }
                "driver-opt" => {
                    let (key, value) = value
                        .split_once('=')
                        .ok_or_else(|| bad(format!("invalid driver option {value:?}")))?;
                    attachment
                        .driver_options
                        .insert(key.to_owned(), value.to_owned());
                }
                _ => return Err(bad(format!("unexpected key {key:?}"))),
            }
        }
        Ok(attachment)
    }

    /// The endpoint's document; nothing when nothing but the name was said.
    pub(crate) fn settings(&self) -> Value {
        let mut addresses = Document::default();
        addresses
            .put("IPv4Address", &self.ip)
            .put("IPv6Address", &self.ip6)
            .put("LinkLocalIPs", &self.link_local);
        let mut settings = Document::default();
        settings
            .put("IPAMConfig", addresses)
            .put("Links", &self.links)
            .put("Aliases", &self.aliases)
            .put("MacAddress", &self.mac)
            .put("DriverOpts", &self.driver_options)
            .put("GwPriority", self.gateway_priority);
        settings.into_value()
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn a_network_is_a_name_or_a_list_of_settings() {
        let plain = Attachment::parse("host").expect("well-formed");
        assert_eq!((plain.name.as_str(), plain.settings()), ("host", json!({})));
        let full = Attachment::parse("name=net,alias=a,alias=b,ip=10.0.0.2,driver-opt=x=y")
            .expect("well-formed");
        let expected = json!({"IPAMConfig": {"IPv4Address": "10.0.0.2"}, "Aliases": ["a", "b"], "DriverOpts": {"x": "y"}});
        assert_eq!((full.name.as_str(), full.settings()), ("net", expected));
        assert!(Attachment::parse("name=x,frob=1").is_err());
    }
}
