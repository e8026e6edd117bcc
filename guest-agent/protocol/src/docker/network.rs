//! Networks and a container's place in them.
#![expect(missing_docs, reason = "Docker's API reference describes the fields")]

use std::collections::BTreeMap;

use super::TextMap;
use crate::document::omit;

/// Ports by `80/tcp`, each with where it is published.
pub type PortMap = BTreeMap<String, Option<Vec<PortBinding>>>;

documents! {
    /// Where a port is published.
    pub struct PortBinding {
        pub host_ip: String,
        pub host_port: String,
    }

    /// The networks that a new container joins.
    pub struct NetworkingConfig {
        pub endpoints_config: Option<BTreeMap<String, EndpointSettings>>,
    }

    /// One container in one network.
    pub struct EndpointSettings {
        #[serde(rename = "IPAMConfig")]
        pub ipam_config: Option<EndpointIpamConfig>,
        pub links: Option<Vec<String>>,
        pub aliases: Option<Vec<String>>,
        pub mac_address: String,
        pub driver_opts: Option<TextMap>,
        pub gw_priority: i64,
        #[serde(rename = "NetworkID")]
        pub network_id: String,
        #[serde(rename = "EndpointID")]
        pub endpoint_id: String,
        pub gateway: String,
        #[serde(rename = "IPAddress")]
        pub ip_address: String,
        #[serde(rename = "IPPrefixLen")]
        pub ip_prefix_len: i64,
        #[serde(rename = "IPv6Gateway")]
        pub ipv6_gateway: String,
        #[serde(rename = "GlobalIPv6Address")]
        pub global_ipv6_address: String,
        #[serde(rename = "GlobalIPv6PrefixLen")]
        pub global_ipv6_prefix_len: i64,
        #[serde(rename = "DNSNames")]
        pub dns_names: Option<Vec<String>>,
    }

    /// Addresses that a client chose.
    pub struct EndpointIpamConfig {
        #[serde(rename = "IPv4Address", skip_serializing_if = "omit::zero")]
        pub ipv4_address: String,
        #[serde(rename = "IPv6Address", skip_serializing_if = "omit::zero")]
        pub ipv6_address: String,
        #[serde(rename = "LinkLocalIPs", skip_serializing_if = "omit::empty")]
        pub link_local_ips: Option<Vec<String>>,
    }

    /// A container's networks as its inspection shows them, with the old fields of the default one.
    pub struct NetworkSettings {
        pub bridge: String,
        #[serde(rename = "SandboxID")]
        pub sandbox_id: String,
        pub sandbox_key: String,
        pub ports: Option<PortMap>,
        pub hairpin_mode: bool,
        #[serde(rename = "LinkLocalIPv6Address")]
        pub link_local_ipv6_address: String,
        #[serde(rename = "LinkLocalIPv6PrefixLen")]
        pub link_local_ipv6_prefix_len: i64,
        #[serde(rename = "SecondaryIPAddresses")]
        pub secondary_ip_addresses: Option<Vec<Address>>,
        #[serde(rename = "SecondaryIPv6Addresses")]
        pub secondary_ipv6_addresses: Option<Vec<Address>>,
        #[serde(rename = "EndpointID")]
        pub endpoint_id: String,
        pub gateway: String,
        #[serde(rename = "GlobalIPv6Address")]
        pub global_ipv6_address: String,
        #[serde(rename = "GlobalIPv6PrefixLen")]
        pub global_ipv6_prefix_len: i64,
        #[serde(rename = "IPAddress")]
        pub ip_address: String,
        #[serde(rename = "IPPrefixLen")]
        pub ip_prefix_len: i64,
        #[serde(rename = "IPv6Gateway")]
        pub ipv6_gateway: String,
        pub mac_address: String,
        pub networks: Option<BTreeMap<String, EndpointSettings>>,
    }

    /// An address with its prefix's length.
    pub struct Address {
        pub addr: String,
        pub prefix_len: i64,
    }

    /// `GET /networks/{id}`
    pub struct Network {
        pub name: String,
        pub id: String,
        pub created: String,
        pub scope: String,
        pub driver: String,
        #[serde(rename = "EnableIPv4")]
        pub enable_ipv4: bool,
        #[serde(rename = "EnableIPv6")]
        pub enable_ipv6: bool,
        #[serde(rename = "IPAM")]
        pub ipam: Ipam,
        pub internal: bool,
        pub attachable: bool,
        pub ingress: bool,
        pub config_from: ConfigReference,
        pub config_only: bool,
        pub containers: BTreeMap<String, EndpointResource>,
        pub options: TextMap,
        pub labels: TextMap,
    }

    /// Where addresses come from.
    pub struct Ipam {
        pub driver: String,
        pub options: Option<TextMap>,
        pub config: Option<Vec<IpamConfig>>,
    }

    /// One pool of addresses.
    pub struct IpamConfig {
        #[serde(skip_serializing_if = "omit::zero")]
        pub subnet: String,
        #[serde(rename = "IPRange", skip_serializing_if = "omit::zero")]
        pub ip_range: String,
        #[serde(skip_serializing_if = "omit::zero")]
        pub gateway: String,
        #[serde(rename = "AuxiliaryAddresses", skip_serializing_if = "omit::empty")]
        pub auxiliary_addresses: Option<TextMap>,
    }

    /// The network that lends its settings.
    pub struct ConfigReference {
        pub network: String,
    }

    /// One container in a network's inspection.
    pub struct EndpointResource {
        pub name: String,
        #[serde(rename = "EndpointID")]
        pub endpoint_id: String,
        pub mac_address: String,
        #[serde(rename = "IPv4Address")]
        pub ipv4_address: String,
        #[serde(rename = "IPv6Address")]
        pub ipv6_address: String,
    }

    /// The body of `POST /networks/create`.
    pub struct NetworkCreateBody {
        pub name: String,
        pub driver: String,
        pub scope: String,
        #[serde(rename = "EnableIPv4", skip_serializing_if = "Option::is_none")]
        pub enable_ipv4: Option<bool>,
        #[serde(rename = "EnableIPv6", skip_serializing_if = "Option::is_none")]
        pub enable_ipv6: Option<bool>,
        #[serde(rename = "IPAM")]
        pub ipam: Option<Ipam>,
        pub internal: bool,
        pub attachable: bool,
        pub ingress: bool,
        pub config_only: bool,
        pub config_from: Option<ConfigReference>,
        pub options: Option<TextMap>,
        pub labels: Option<TextMap>,
    }

    /// The answer of `POST /networks/create`.
    pub struct NetworkCreateResponse {
        pub id: String,
        pub warning: String,
    }

    /// The body of `POST /networks/{id}/connect`.
    pub struct NetworkConnectBody {
        pub container: String,
        pub endpoint_config: Option<EndpointSettings>,
    }

    /// The body of `POST /networks/{id}/disconnect`.
    pub struct NetworkDisconnectBody {
        pub container: String,
        pub force: bool,
    }

    /// The answer of `POST /networks/prune`.
    pub struct NetworkPruneResponse {
        pub networks_deleted: Option<Vec<String>>,
    }
}
