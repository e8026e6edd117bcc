//! `--publish` and `--expose`.

use std::collections::BTreeMap;
use std::ops::RangeInclusive;

use serde_json::{Value, json};

use super::csv;
use crate::failure::Failure;

/// Ports of the container, and what each is bound to on the host.
#[derive(Debug, Default, PartialEq)]
pub(crate) struct Ports {
    /// `80/tcp`, published or only exposed.
    pub(crate) exposed: BTreeMap<String, Value>,
    /// `80/tcp` → `[{HostIp, HostPort}]`.
    pub(crate) bindings: BTreeMap<String, Vec<Value>>,
}

impl Ports {
    /// Reads all `--publish` and `--expose` of a command line.
    pub(crate) fn parse(publish: &[String], expose: &[String]) -> Result<Self, Failure> {
        let mut ports = Self::default();
        for text in publish {
            let bad = |what: &str| Failure::usage(format!("invalid --publish {text:?}: {what}"));
            let short = if text.contains('=') {
                long_form(text).map_err(|what| bad(&what))?
            } else {
                text.clone()
            };
            ports.publish(&short).map_err(|what| bad(&what))?;
        }
        for text in expose {
            let bad = |what: String| Failure::usage(format!("invalid --expose {text:?}: {what}"));
            let (range, protocol) = protocol(text).map_err(bad)?;
            for port in span(range).map_err(bad)? {
                ports
                    .exposed
                    .insert(format!("{port}/{protocol}"), json!({}));
            }
        }
        Ok(ports)
    }

    /// `[ip:][host port or range:]container port or range[/protocol]`.
    fn publish(&mut self, text: &str) -> Result<(), String> {
        let (address, protocol) = protocol(text)?;
        let (rest, container) = match address.rsplit_once(':') {
            Some((rest, container)) => (rest, container),
            None => ("", address),
        };
        let (ip, host) = match rest.rsplit_once(':') {
            Some((ip, host)) => (ip.trim_start_matches('[').trim_end_matches(']'), host),
            None => ("", rest),
        };
        if !ip.is_empty() && ip.parse::<std::net::IpAddr>().is_err() {
            return Err(format!("invalid IP address: {ip}"));
        }
        let container = span(container)?;
        let host = if host.is_empty() {
            None
        } else {
            Some(span(host)?)
        };
        let (first, count) = (*container.start(), container.clone().count());
        for port in container {
            let offset = port - first;
            let bound = match &host {
                None => String::new(),
                Some(range) if range.clone().count() == count => {
                    (range.start() + offset).to_string()
                }
                // One port of a range, whichever is free.
                Some(range) if count == 1 => format!("{}-{}", range.start(), range.end()),
                Some(_) => {
                    return Err("the ranges of host and container differ in length".to_owned());
                }
            };
            let key = format!("{port}/{protocol}");
            self.exposed.insert(key.clone(), json!({}));
            self.bindings
                .entry(key)
                .or_default()
                .push(json!({"HostIp": ip, "HostPort": bound}));
        }
        Ok(())
    }
}

/// `published=8080,target=80,protocol=tcp` to the short form.
fn long_form(text: &str) -> Result<String, String> {
    let (mut published, mut target, mut protocol) =
        (String::new(), String::new(), "tcp".to_owned());
    for (key, value) in csv::pairs(text)? {
        let value = value.ok_or_else(|| format!("{key:?} lacks a value"))?;
        match key.as_str() {
            "published" => published = value,
            "target" => target = value,
            "protocol" => protocol = value,
            "mode" => {}
            _ => return Err(format!("unexpected key {key:?}")),
        }
    }
    Ok(if published.is_empty() {
        format!("{target}/{protocol}")
    } else {
        format!("{published}:{target}/{protocol}")
    })
}

fn protocol(text: &str) -> Result<(&str, String), String> {
    let (address, protocol) = text.split_once('/').unwrap_or((text, "tcp"));
    let protocol = protocol.to_ascii_lowercase();
    if matches!(protocol.as_str(), "tcp" | "udp" | "sctp") {
        Ok((address, protocol))
    } else {
        Err(format!("invalid proto: {protocol}"))
    }
}

fn span(text: &str) -> Result<RangeInclusive<u16>, String> {
    let bad = |_| format!("invalid port or range: {text:?}");
    let (first, last) = text.split_once('-').unwrap_or((text, text));
    let (first, last) = (first.parse().map_err(bad)?, last.parse().map_err(bad)?);
    if first <= last {
        Ok(first..=last)
    } else {
        Err(format!("invalid range: {text:?}"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(publish: &str, expected: &str) {
        let shown = match Ports::parse(&[publish.to_owned()], &[]) {
            Ok(ports) => serde_json::to_string(&ports.bindings).expect("JSON"),
            Err(failure) => format!("error: {failure}"),
        };
        assert_eq!(shown.replace('"', ""), expected, "{publish}");
    }

    #[test]
    fn ports_are_published_in_all_of_dockers_forms() {
        check("80", "{80/tcp:[{HostIp:,HostPort:}]}");
        check("8080:80", "{80/tcp:[{HostIp:,HostPort:8080}]}");
        check(
            "127.0.0.1:8080:80/udp",
            "{80/udp:[{HostIp:127.0.0.1,HostPort:8080}]}",
        );
        check("127.0.0.1::80", "{80/tcp:[{HostIp:127.0.0.1,HostPort:}]}");
        check("[::1]:1:2", "{2/tcp:[{HostIp:::1,HostPort:1}]}");
        check(
            "10-11:20-21",
            "{20/tcp:[{HostIp:,HostPort:10}],21/tcp:[{HostIp:,HostPort:11}]}",
        );
        check("10-19:20", "{20/tcp:[{HostIp:,HostPort:10-19}]}");
        check(
            "published=8080,target=80",
            "{80/tcp:[{HostIp:,HostPort:8080}]}",
        );
        check(
            "1-2:3-5",
            "error: invalid --publish 1-2:3-5: the ranges of host and container differ in length",
        );
        check(
            "x:80",
            "error: invalid --publish x:80: invalid port or range: x",
        );
    }

    #[test]
    fn exposed_ports_may_be_ranges() {
        let ports =
            Ports::parse(&[], &["80-81".to_owned(), "53/udp".to_owned()]).expect("well-formed");
        assert_eq!(
            ports.exposed.keys().collect::<Vec<_>>(),
            ["53/udp", "80/tcp", "81/tcp"]
        );
        assert!(ports.bindings.is_empty());
    }
}
