//! The three files every container gets from the engine: `/etc/hostname`, `/etc/hosts`, `/etc/resolv.conf`.

use std::{fs, io, net::IpAddr, path::Path};

use proa_protocol::{ContainerConfig, HostConfig};

use super::{definition::Definition, links::Linked};
use crate::{
    network::{Place, names::HOST_NAMES},
    spec::Files,
};

/// Where they are.
pub(crate) fn paths(folder: &Path) -> Files {
    Files {
        resolv_conf: folder.join("resolv.conf"),
        hostname: folder.join("hostname"),
        hosts: folder.join("hosts"),
    }
}

/// Writes them.
pub(crate) fn write(folder: &Path, config: &ContainerConfig, host: &HostConfig) -> io::Result<()> {
    let files = paths(folder);
    let shares_host = host.network_mode == "host";
    fs::write(files.hostname, format!("{}\n", config.hostname))?;
    let read = |path: &str| fs::read_to_string(path).unwrap_or_default();
    let (hosts, gateway) = if shares_host {
        (read("/etc/hosts"), Some(IpAddr::from([127, 0, 0, 1])))
    } else {
        (DEFAULT_HOSTS.to_owned(), None)
    };
    fs::write(files.hosts, hosts + &extra_hosts(host, gateway))?;
    fs::write(
        files.resolv_conf,
        resolv_conf(&read("/etc/resolv.conf"), host, shares_host),
    )
}

/// Writes those that depend on the networks, before a start. `around` is the computer around a machine.
pub(crate) fn join(
    folder: &Path,
    definition: &Definition,
    place: &Place,
    links: &[Linked],
    around: Option<IpAddr>,
) -> io::Result<()> {
    let files = paths(folder);
    let host = &definition.host;
    let hosts = DEFAULT_HOSTS.to_owned()
        + &extra_hosts(host, around.or_else(|| place.host_address()))
        + &host_around(host, around)
        + &links.iter().map(Linked::hosts).collect::<String>()
        + &own_hosts(definition, place).concat();
    fs::write(files.hosts, hosts)?;
    fs::write(files.resolv_conf, resolver(host, place)?)
}

/// Follows a change of networks. What a user wrote stays; the files stay those that are mounted.
pub(crate) fn update(
    folder: &Path,
    definition: &Definition,
    before: &Place,
    now: &Place,
) -> io::Result<()> {
    let files = paths(folder);
    let (old, new) = (own_hosts(definition, before), own_hosts(definition, now));
    let written = fs::read_to_string(&files.hosts)?;
    let gone = |line: &str| {
        let has = |lines: &[String]| lines.iter().any(|own| own == line);
        has(&old) && !has(&new)
    };
    let mut hosts: String = written
        .split_inclusive('\n')
        .filter(|line| !gone(line))
        .collect();
    for line in new.iter().filter(|line| !old.contains(line)) {
        hosts += line;
    }
    fs::write(&files.hosts, hosts)?;
    if before.has_names() != now.has_names() {
        fs::write(&files.resolv_conf, resolver(&definition.host, now)?)?;
    }
    Ok(())
}

/// The resolver's configuration in a container that is in networks.
fn resolver(host: &HostConfig, place: &Place) -> io::Result<String> {
    let of_host = fs::read_to_string("/etc/resolv.conf").unwrap_or_default();
    Ok(if place.has_names() {
        named_resolv_conf(&of_host, host)
    } else {
        resolv_conf(&of_host, host, false)
    })
}

/// The container's own addresses with its name, and the host's with the names that programs look for.
fn own_hosts(definition: &Definition, place: &Place) -> Vec<String> {
    let mut lines = Vec::new();
    if let Some(address) = place.host_address() {
        lines.push(format!("{address}\t{}\n", HOST_NAMES.join(" ")));
    }
    let config = &definition.config;
    let name = if config.domainname.is_empty() {
        config.hostname.clone()
    } else {
        format!("{0}.{1} {0}", config.hostname, config.domainname)
    };
    for joint in &place.joints {
        let v4 = joint.endpoint.ipv4.map(|address| address.addr().into());
        let v6 = joint.endpoint.ipv6.map(|address| address.addr().into());
        let addresses: [Option<IpAddr>; 2] = [v4, v6];
        let own = addresses.into_iter().flatten();
        lines.extend(own.map(|address| format!("{address}\t{name}\n")));
    }
    lines
}

/// `name:alias`, or a name that is its own alias.
pub(crate) fn split_link(link: &str) -> (&str, &str) {
    let (name, alias) = link.split_once(':').unwrap_or((link, link));
    (
        name.trim_start_matches('/'),
        alias.rsplit('/').next().unwrap_or(alias),
    )
}

const DEFAULT_HOSTS: &str = "127.0.0.1\tlocalhost\n::1\tlocalhost ip6-localhost ip6-loopback\nfe00::\tip6-localnet\n\
    ff00::\tip6-mcastprefix\nff02::1\tip6-allnodes\nff02::2\tip6-allrouters\n";

/// `--add-host`. The word `host-gateway` stands for the host, where that can be reached.
fn extra_hosts(host: &HostConfig, gateway: Option<IpAddr>) -> String {
    let entries = host
        .extra_hosts
        .iter()
        .flatten()
        .filter_map(|entry| entry.split_once([':', '=']));
    let line = |(name, address): (&str, &str)| match address {
        "host-gateway" => gateway.map(|gateway| format!("{gateway}\t{name}\n")),
        _ => Some(format!("{}\t{name}\n", address.trim_matches(['[', ']']))),
    };
    entries.filter_map(line).collect()
}

/// The names by which containers in a machine know the computer around it, as with Docker's own desktop product.
fn host_around(host: &HostConfig, around: Option<IpAddr>) -> String {
    let said = |name: &&str| {
        let mut entries = host.extra_hosts.iter().flatten();
        entries.any(|entry| entry.split([':', '=']).next() == Some(name))
    };
    let names = ["host.docker.internal", "gateway.docker.internal"].into_iter();
    let names = names.filter(|name| !said(name));
    around.map_or_else(String::new, |around| {
        names.map(|name| format!("{around}\t{name}\n")).collect()
    })
}

/// The configuration where names are answered inside. Programs ask for any name at once (`ndots:0`), unless somebody
/// said otherwise.
fn named_resolv_conf(of_host: &str, host: &HostConfig) -> String {
    let servers = HostConfig {
        dns: Some(vec![NAMES_AT.to_owned()]),
        ..host.clone()
    };
    let mut text = resolv_conf(of_host, &servers, false);
    if text.contains("ndots:") {
        return text;
    }
    match text.rfind("options ") {
        Some(at) => {
            let end = text[at..].find('\n').map_or(text.len(), |end| at + end);
            text.insert_str(end, " ndots:0");
        }
        None => text += "options ndots:0\n",
    }
    text
}

/// Where names are answered; files of many programs name this address.
const NAMES_AT: &str = "127.0.0.11";

/// The host's resolver configuration, with what the user asked for instead, and without name servers that only the
/// host can reach.
fn resolv_conf(of_host: &str, host: &HostConfig, shares_host: bool) -> String {
    let wanted = |list: &Option<Vec<String>>| list.clone().unwrap_or_default();
    let (mut servers, mut search, mut options) = (
        wanted(&host.dns),
        wanted(&host.dns_search),
        wanted(&host.dns_options),
    );
    let words = |key: &str| -> Vec<String> {
        let lines = of_host
            .lines()
            .filter_map(|line| line.trim().strip_prefix(key));
        lines
            .filter(|rest| rest.starts_with([' ', '\t']))
            .flat_map(str::split_whitespace)
            .map(str::to_owned)
            .collect()
    };
    if servers.is_empty() {
        servers = words("nameserver");
        if !shares_host {
            servers.retain(|server| !server.starts_with("127.") && server != "::1");
            if servers.is_empty() {
                servers = vec!["8.8.8.8".to_owned(), "8.8.4.4".to_owned()];
            }
        }
    }
    if search.is_empty() {
        search = words("search");
    }
    if options.is_empty() {
        options = words("options");
    }
    let mut text: String = servers
        .iter()
        .map(|server| format!("nameserver {server}\n"))
        .collect();
    search.retain(|domain| domain != ".");
    if !search.is_empty() {
        text += &format!("search {}\n", search.join(" "));
    }
    if !options.is_empty() {
        text += &format!("options {}\n", options.join(" "));
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn name_servers_of_the_host_alone_are_left_out() {
        let host = HostConfig::default();
        let of_host = "# x\nnameserver 127.0.0.53\nnameserver 10.0.0.1\nsearch a.example b.example\noptions edns0\n";
        let expected = "nameserver 10.0.0.1\nsearch a.example b.example\noptions edns0\n";
        assert_eq!(resolv_conf(of_host, &host, false), expected);
        assert!(resolv_conf("nameserver 127.0.0.53\n", &host, true).contains("127.0.0.53"));
        assert!(resolv_conf("", &host, false).contains("8.8.8.8"));
    }

    #[test]
    fn what_the_user_asks_for_wins() {
        let list = |text: &str| Some(vec![text.to_owned()]);
        let host = HostConfig {
            dns: list("9.9.9.9"),
            dns_search: list("."),
            extra_hosts: Some(vec!["db:10.0.0.2".into(), "six=[::2]".into()]),
            ..HostConfig::default()
        };
        assert_eq!(
            resolv_conf("nameserver 10.0.0.1\nsearch x\n", &host, false),
            "nameserver 9.9.9.9\n"
        );
        assert_eq!(extra_hosts(&host, None), "10.0.0.2\tdb\n::2\tsix\n");
    }

    #[test]
    fn names_are_asked_for_inside_with_the_users_options() {
        let host = HostConfig::default();
        assert_eq!(
            named_resolv_conf("nameserver 10.0.0.1\nsearch x\noptions edns0\n", &host),
            "nameserver 127.0.0.11\nsearch x\noptions edns0 ndots:0\n"
        );
        assert_eq!(
            named_resolv_conf("", &host),
            "nameserver 127.0.0.11\noptions ndots:0\n"
        );
        assert_eq!(
            named_resolv_conf("options ndots:5\n", &host),
            "nameserver 127.0.0.11\noptions ndots:5\n"
        );
    }

    #[test]
    fn the_hosts_gateway_is_written_where_there_is_one() {
        let host = HostConfig {
            extra_hosts: Some(vec!["h:host-gateway".into()]),
            ..HostConfig::default()
        };
        assert_eq!(extra_hosts(&host, None), "");
        assert_eq!(extra_hosts(&host, "10.0.0.1".parse().ok()), "10.0.0.1\th\n");
        let around = "10.0.2.2".parse().ok();
        let both = "10.0.2.2\thost.docker.internal\n10.0.2.2\tgateway.docker.internal\n";
        assert_eq!(host_around(&host, around), both);
        assert_eq!(host_around(&host, None), "");
        assert_eq!(split_link("/db:/web/alias"), ("db", "alias"));
        assert_eq!(split_link("db"), ("db", "db"));
    }
}
