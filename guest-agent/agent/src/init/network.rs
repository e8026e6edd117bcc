//! The machine's own network: one link, with the addresses that the host said on the command line.

use std::net::{IpAddr, Ipv4Addr};

use ipnet::{IpNet, Ipv4Net};
use proa_kernel::netlink::{Error, LinkChange, Route};

use super::command_line::CommandLine;
use super::console;

/// Brings the link up. Without `proa.ip` there is no network.
pub(super) fn up(words: &CommandLine) {
    let Some(address) = words.last("proa.ip") else {
        return;
    };
    let Ok(address) = address.parse::<IpNet>() else {
        console::say(&format!(
            "proa.ip={address} is no address with a prefix: the machine has no network"
        ));
        return;
    };
    let gateway = words
        .last("proa.gateway")
        .and_then(|text| text.parse().ok());
    match configure(address, gateway) {
        Ok(Some(name)) => console::phase(&format!("network up: {name} {address}")),
        Ok(None) => console::say("the host gave the machine no network device"),
        Err(error) => console::say(&format!(
            "bring the network up: {}",
            crate::log::told(&error)
        )),
    }
}

/// The first link beside loopback; its name, if there is one.
fn configure(address: IpNet, gateway: Option<IpAddr>) -> Result<Option<String>, Error> {
    let route = Route::open()?;
    let Some(link) = route
        .links()?
        .into_iter()
        .find(|link| link.name != "lo" && link.mac.is_some())
    else {
        return Ok(None);
    };
    route.add_address(link.index, address, true)?;
    let up = LinkChange {
        up: Some(true),
        ..LinkChange::default()
    };
    route.set(link.index, &up)?;
    if let Some(gateway) = gateway {
        let everywhere = Ipv4Net::new_assert(Ipv4Addr::UNSPECIFIED, 0).into();
        route.add_route(everywhere, Some(gateway), link.index)?;
    }
    Ok(Some(link.name))
}
