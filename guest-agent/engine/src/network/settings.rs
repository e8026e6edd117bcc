//! What can be chosen of networks: Docker's driver options, read; and where this engine's are told from others'.

use std::{net::IpAddr, path::Path};

use proa_networks::{BridgeOptions, Driver, Fabric, Settings};
use proa_protocol::TextMap;

use super::translate;
use crate::{Error, Kind, Result};

/// Where the service keeps its state. An engine elsewhere is a second one on its host.
const USUAL_ROOT: &str = "/var/lib/proa";

/// The bridge of the default network, where this engine is the host's.
const USUAL_BRIDGE: &str = "proa0";

const BRIDGE_NAME: &str = "com.docker.network.bridge.name";
const BETWEEN: &str = "com.docker.network.bridge.enable_icc";
const MASQUERADE: &str = "com.docker.network.bridge.enable_ip_masquerade";
const PUBLISH_ON: &str = "com.docker.network.bridge.host_binding_ipv4";
const MTU: &str = "com.docker.network.driver.mtu";
/// The old name of the same.
const OLD_MTU: &str = "com.docker.network.mtu";

/// What an endpoint may be given: the name of its interface.
pub(crate) const INTERFACE: &str = "com.docker.network.endpoint.ifname";

/// Names that tell this engine's interfaces and rules from those of another on the same host.
pub(crate) fn of_engine(root: &Path, foreign_firewalls: bool) -> Settings {
    let usual = Settings {
        foreign_firewalls,
        ..Settings::default()
    };
    if root == Path::new(USUAL_ROOT) {
        return usual;
    }
    let root = root.display().to_string();
    // FNV-1a: short, and the same for ever.
    let hash = root.bytes().fold(0xcbf2_9ce4_8422_2325_u64, |hash, byte| {
        (hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3)
    });
    Settings {
        prefix: format!("p{:03x}", hash & 0xfff),
        table: format!("proa-{:08x}", hash >> 32),
        engine: root,
        ..usual
    }
}

/// What the engine that lives in `root` has in other firewalls of this host, and what is missing there.
pub fn in_other_firewalls(root: &Path) -> Result<Vec<String>> {
    Fabric::open(of_engine(root, true))
        .and_then(|fabric| fabric.foreign_firewalls())
        .map_err(translate)
}

/// Removes every interface and rule of the engine that lives in `root` and runs no more.
pub fn clear_networks(root: &Path) -> Result<()> {
    Fabric::open(of_engine(root, true))
        .and_then(|fabric| fabric.clear())
        .map_err(translate)
}

/// The options that Docker shows of its default network.
pub(super) fn of_default_bridge() -> TextMap {
    let options = [
        ("com.docker.network.bridge.default_bridge", "true"),
        (BETWEEN, "true"),
        (MASQUERADE, "true"),
        (PUBLISH_ON, "0.0.0.0"),
        (MTU, "1500"),
    ];
    options
        .into_iter()
        .map(|(key, value)| (key.to_owned(), value.to_owned()))
        .collect()
}

/// The default network's driver.
pub(super) fn default_bridge(engine: &str) -> Driver {
    Driver::Bridge(BridgeOptions {
        name: (engine == Settings::default().engine).then(|| USUAL_BRIDGE.to_owned()),
        ..BridgeOptions::default()
    })
}

/// Reads a driver's name and its options; what we do not know is kept for show, as Docker does.
pub(super) fn driver(name: &str, options: &TextMap) -> Result<Driver> {
    let text = |key: &str| options.get(key).filter(|value| !value.is_empty()).cloned();
    match name {
        "bridge" => Ok(Driver::Bridge(bridge(options)?)),
        "macvlan" => Ok(Driver::Macvlan {
            parent: text("parent"),
            mode: text("macvlan_mode").unwrap_or_else(|| "bridge".to_owned()),
        }),
        "ipvlan" => Ok(Driver::Ipvlan {
            parent: text("parent"),
            mode: text("ipvlan_mode").unwrap_or_else(|| "l2".to_owned()),
        }),
        "host" | "null" => Err(Error::new(
            Kind::Forbidden,
            format!("only one instance of \"{name}\" network is allowed"),
        )),
        _ => Err(Error::not_found(format!("plugin \"{name}\" not found"))),
    }
}

fn bridge(options: &TextMap) -> Result<BridgeOptions> {
    let wrong = |key: &str, value: &str| {
        Error::bad(format!("invalid value {value:?} for network option {key}"))
    };
    let truth = |key: &str| match options.get(key).map(String::as_str) {
        None | Some("") => Ok(true),
        Some(value) => proa_protocol::Filters::default()
            .with(key, value)
            .truth(key)
            .map(|truth| truth.unwrap_or(true))
            .map_err(|_| wrong(key, value)),
    };
    let mtu = options
        .get_key_value(MTU)
        .or(options.get_key_value(OLD_MTU));
    let mtu = mtu
        .map(|(key, value)| value.parse::<u32>().map_err(|_| wrong(key, value)))
        .transpose()?;
    let publish_on = options
        .get(PUBLISH_ON)
        .filter(|value| !value.is_empty())
        .map(|value| value.parse().map_err(|_| wrong(PUBLISH_ON, value)))
        .transpose()?;
    Ok(BridgeOptions {
        name: options
            .get(BRIDGE_NAME)
            .filter(|name| !name.is_empty())
            .cloned(),
        mtu: mtu.filter(|mtu| *mtu > 0),
        between_endpoints: truth(BETWEEN)?,
        masquerade: truth(MASQUERADE)?,
        publish_on: publish_on.filter(|address: &IpAddr| !address.is_unspecified()),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(options: &[(&str, &str)]) -> Result<BridgeOptions> {
        let options = options
            .iter()
            .map(|(key, value)| ((*key).to_owned(), (*value).to_owned()))
            .collect();
        bridge(&options)
    }

    #[test]
    fn dockers_options_are_understood_and_unknown_ones_let_be() {
        let read = check(&[
            (BRIDGE_NAME, "br-x"),
            (MTU, "1400"),
            (BETWEEN, "false"),
            ("odd", "1"),
        ])
        .unwrap();
        assert_eq!(
            (read.name.as_deref(), read.mtu, read.between_endpoints),
            (Some("br-x"), Some(1400), false)
        );
        assert_eq!(check(&[]).unwrap(), BridgeOptions::default());
        assert!(check(&[(MTU, "many")]).is_err() && check(&[(MASQUERADE, "perhaps")]).is_err());
    }

    #[test]
    fn two_engines_on_one_host_have_names_of_their_own() {
        let (a, b) = (
            of_engine(Path::new("/a"), true),
            of_engine(Path::new("/b"), true),
        );
        assert_ne!(a.table, b.table);
        assert!(a.prefix.len() <= 4 && a.prefix != b.prefix);
        assert_eq!(of_engine(Path::new(USUAL_ROOT), true).table, "proa");
    }
}
