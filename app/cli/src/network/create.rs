//! `network create`.

use clap::Args;
use proa_host::Request;
use serde::Deserialize;
use serde_json::Value;

use crate::failure::{Exit, Failure};
use crate::flags::document::Document;
use crate::flags::pairs;
use crate::output;
use crate::session::Session;
use crate::verb::Act;

/// Flags of `network create`.
#[derive(Args, Debug)]
pub(crate) struct Create {
    /// Containers may join by hand
    #[arg(long)]
    attachable: bool,
    /// Addresses that the driver uses: name=address
    #[arg(long)]
    aux_address: Vec<String>,
    /// Driver
    #[arg(short, long, default_value = "bridge")]
    driver: String,
    /// Gateway of a subnet
    #[arg(long, value_delimiter = ',')]
    gateway: Vec<String>,
    /// No way out of this network
    #[arg(long)]
    internal: bool,
    /// Give addresses from this part of the subnet
    #[arg(long, value_delimiter = ',')]
    ip_range: Vec<String>,
    /// Driver of addresses
    #[arg(long, default_value = "default")]
    ipam_driver: String,
    /// Option of the driver of addresses
    #[arg(long)]
    ipam_opt: Vec<String>,
    /// Give IPv4 addresses
    #[arg(long, action = clap::ArgAction::Set, num_args = 0..=1, require_equals = true, default_missing_value = "true", hide_possible_values = true)]
    ipv4: Option<bool>,
    /// Give IPv6 addresses
    #[arg(long, action = clap::ArgAction::Set, num_args = 0..=1, require_equals = true, default_missing_value = "true", hide_possible_values = true)]
    ipv6: Option<bool>,
    /// Add a label
    #[arg(long)]
    label: Vec<String>,
    /// Option of the driver
    #[arg(short, long)]
    opt: Vec<String>,
    /// Scope
    #[arg(long, default_value = "", hide_default_value = true)]
    scope: String,
    /// Subnet (10.1.0.0/16)
    #[arg(long, value_delimiter = ',')]
    subnet: Vec<String>,
    #[arg(value_name = "NETWORK")]
    name: String,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Created {
    id: String,
    warning: Option<String>,
}

impl Act for Create {
    async fn act(self, session: &Session) -> Result<Exit, Failure> {
        let created: Created = session
            .engine()?
            .ask(Request::post(&["networks", "create"]).json(&self.document()?))
            .await?;
        if let Some(warning) = created.warning.filter(|warning| !warning.is_empty()) {
            eprintln!("WARNING: {warning}");
        }
        output::line(&created.id)?;
        Ok(Exit::OK)
    }
}

impl Create {
    fn document(&self) -> Result<Document, Failure> {
        let mut ipam = Document::default();
        ipam.put("Driver", &self.ipam_driver)
            .put("Options", pairs::map(&self.ipam_opt))
            .put("Config", self.subnets()?);
        let mut document = Document::default();
        document
            .put("Name", &self.name)
            .put("Driver", &self.driver)
            .put("Scope", &self.scope)
            .put("Internal", self.internal)
            .put("Attachable", self.attachable)
            .put("IPAM", ipam)
            .put("Options", pairs::map(&self.opt))
            .put("Labels", pairs::map(&self.label));
        for (field, flag) in [("EnableIPv4", self.ipv4), ("EnableIPv6", self.ipv6)] {
            if let Some(flag) = flag {
                document.always(field, flag);
            }
        }
        Ok(document)
    }

    /// A configuration for each subnet; gateways and ranges go to the subnet they lie in, by the order they are given.
    fn subnets(&self) -> Result<Vec<Value>, Failure> {
        let several = self.gateway.len().max(self.ip_range.len());
        if several > self.subnet.len() {
            return Err(Failure::usage(
                "every --gateway and --ip-range needs a --subnet",
            ));
        }
        let configuration = |(at, subnet): (usize, &String)| {
            let mut configuration = Document::default();
            configuration
                .put("Subnet", subnet)
                .put("IPRange", self.ip_range.get(at))
                .put("Gateway", self.gateway.get(at));
            if at == 0 {
                configuration.put("AuxiliaryAddresses", pairs::map(&self.aux_address));
            }
            configuration.into_value()
        };
        Ok(self.subnet.iter().enumerate().map(configuration).collect())
    }
}
