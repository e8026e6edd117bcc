//! `port`: where a container's ports are published.

use clap::Args;
use proa_host::Request;
use serde_json::Value;

use crate::failure::{Exit, Failure};
use crate::output;
use crate::session::Session;
use crate::verb::Act;

/// Flags of `port`.
#[derive(Args, Debug)]
pub(crate) struct Port {
    container: String,
    #[arg(value_name = "PRIVATE_PORT[/PROTO]")]
    port: Option<String>,
}

impl Act for Port {
    async fn act(self, session: &Session) -> Result<Exit, Failure> {
        let found: Value = session
            .engine()?
            .ask(Request::get(&["containers", &self.container, "json"]))
            .await?;
        let published = published(&found["NetworkSettings"]["Ports"]);
        let Some(port) = &self.port else {
            for (port, address) in published {
                output::line(&format!("{port} -> {address}"))?;
            }
            return Ok(Exit::OK);
        };
        let wanted = if port.contains('/') {
            port.clone()
        } else {
            format!("{port}/tcp")
        };
        let mut addresses = published
            .into_iter()
            .filter(|(port, _)| *port == wanted)
            .peekable();
        if addresses.peek().is_none() {
            return Err(Failure::usage(format!(
                "no public port '{port}' published for {}",
                self.container
            )));
        }
        addresses.try_for_each(|(_, address)| output::line(&address))?;
        Ok(Exit::OK)
    }
}

/// Pairs of `80/tcp` and `0.0.0.0:8080`, in the order of ports.
fn published(ports: &Value) -> Vec<(String, String)> {
    let mut pairs = Vec::new();
    for (port, bindings) in ports.as_object().into_iter().flatten() {
        for binding in bindings.as_array().into_iter().flatten() {
            let text = |field: &str| binding[field].as_str().unwrap_or_default();
            let ip = text("HostIp");
            let ip = if ip.contains(':') {
                format!("[{ip}]")
            } else {
                ip.to_owned()
            };
            pairs.push((port.clone(), format!("{ip}:{}", text("HostPort"))));
        }
    }
    let number = |port: &str| {
        port.split('/')
            .next()
            .and_then(|number| number.parse::<u16>().ok())
    };
    pairs.sort_by(|(a, _), (b, _)| (number(a), a).cmp(&(number(b), b)));
    pairs
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn ports_are_listed_in_their_order() {
        let ports = json!({"443/tcp": [{"HostIp": "::", "HostPort": "2"}], "80/tcp": [{"HostIp": "0.0.0.0", "HostPort": "1"}], "9/udp": null});
        let shown: Vec<_> = published(&ports)
            .into_iter()
            .map(|(port, address)| format!("{port} {address}"))
            .collect();
        assert_eq!(shown, ["80/tcp 0.0.0.0:1", "443/tcp [::]:2"]);
    }
}
