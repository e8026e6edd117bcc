//! Networks: which, and how the container appears in them.

use std::collections::BTreeMap;

use serde_json::Value;

use crate::container::flags::NetworkFlags;
use crate::failure::Failure;
use crate::flags::document::Document;
use crate::flags::network::Attachment;

/// The networks to join; flags about addresses and names belong to the first.
pub(super) fn attachments(flags: &NetworkFlags) -> Result<Vec<Attachment>, Failure> {
    let mut list = flags
        .network
        .iter()
        .map(|text| Attachment::parse(text))
        .collect::<Result<Vec<_>, _>>()?;
    if list.is_empty() {
        list.push(Attachment {
            name: "default".to_owned(),
            ..Attachment::default()
        });
    }
    if let Some(first) = list.first_mut() {
        let fill = |place: &mut String, flag: &String| {
            if !flag.is_empty() {
                place.clone_from(flag);
            }
        };
        fill(&mut first.ip, &flags.ip);
        fill(&mut first.ip6, &flags.ip6);
        fill(&mut first.mac, &flags.mac_address);
        first.aliases.extend(flags.network_alias.iter().cloned());
        first.link_local.extend(flags.link_local_ip.iter().cloned());
        let own = !matches!(first.name.as_str(), "default" | "bridge" | "host" | "none");
        if own && !first.name.starts_with("container:") {
            first.links.extend(flags.link.iter().cloned());
        }
    }
    Ok(list)
}

/// The `NetworkingConfig`; empty when the mode says it all.
pub(super) fn endpoints(networks: &[Attachment]) -> Document {
    let said: BTreeMap<&str, Value> = networks
        .iter()
        .map(|network| (network.name.as_str(), network.settings()))
        .filter(|(_, settings)| {
            networks.len() > 1
                || settings
                    .as_object()
                    .is_some_and(|fields| !fields.is_empty())
        })
        .collect();
    let mut document = Document::default();
    document.put("EndpointsConfig", said);
    document
}

/// Fills in the host's side: mode, names, servers.
pub(super) fn fill(
    host: &mut Document,
    flags: &NetworkFlags,
    networks: &[Attachment],
) -> Result<(), Failure> {
    for server in &flags.dns {
        if server.parse::<std::net::IpAddr>().is_err() {
            return Err(Failure::usage(format!(
                "invalid --dns {server:?}: not an IP address"
            )));
        }
    }
    let hosts = flags
        .add_host
        .iter()
        .map(|text| extra_host(text))
        .collect::<Result<Vec<_>, _>>()?;
    host.always(
        "NetworkMode",
        networks
            .first()
            .map_or("default", |network| network.name.as_str()),
    )
    .put("PublishAllPorts", flags.publish_all)
    .put("Dns", &flags.dns)
    .put("DnsSearch", &flags.dns_search)
    .put("DnsOptions", &flags.dns_option)
    .put("ExtraHosts", hosts)
    .put("Links", &flags.link);
    Ok(())
}

/// `name:address` or `name=address`, to the first form.
fn extra_host(text: &str) -> Result<String, Failure> {
    let bad = || {
        Failure::usage(format!(
            "invalid --add-host {text:?}: expected name:address"
        ))
    };
    let (name, address) = match text.split_once('=') {
        Some(parts) => parts,
        None => text.split_once(':').ok_or_else(bad)?,
    };
    let bare = address.trim_start_matches('[').trim_end_matches(']');
    let valid = bare == "host-gateway" || bare.parse::<std::net::IpAddr>().is_ok();
    if name.is_empty() || !valid {
        return Err(bad());
    }
    Ok(format!("{name}:{bare}"))
}
