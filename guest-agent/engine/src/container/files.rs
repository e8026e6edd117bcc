//! The three files every container gets from the engine: `/etc/hostname`, `/etc/hosts`, `/etc/resolv.conf`.

use std::{fs, io, path::Path};

use proa_protocol::{ContainerConfig, HostConfig};

use crate::spec::Files;

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
    let hosts = if shares_host {
        read("/etc/hosts")
    } else {
        DEFAULT_HOSTS.to_owned()
    };
    fs::write(files.hosts, hosts + &extra_hosts(host))?;
    fs::write(
        files.resolv_conf,
        resolv_conf(&read("/etc/resolv.conf"), host, shares_host),
    )
}

const DEFAULT_HOSTS: &str = "127.0.0.1\tlocalhost\n::1\tlocalhost ip6-localhost ip6-loopback\nfe00::\tip6-localnet\n\
    ff00::\tip6-mcastprefix\nff02::1\tip6-allnodes\nff02::2\tip6-allrouters\n";

fn extra_hosts(host: &HostConfig) -> String {
    let entries = host
        .extra_hosts
        .iter()
        .flatten()
        .filter_map(|entry| entry.split_once([':', '=']));
    entries
        .map(|(name, address)| format!("{}\t{name}\n", address.trim_matches(['[', ']'])))
        .collect()
}

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
        assert_eq!(extra_hosts(&host), "10.0.0.2\tdb\n::2\tsix\n");
    }
}
