//! `network connect`.

use clap::Args;
use proa_host::Request;

use crate::failure::{Exit, Failure};
use crate::flags::document::Document;
use crate::flags::network::Attachment;
use crate::flags::pairs;
use crate::session::Session;
use crate::verb::Act;

/// Flags of `network connect`.
#[derive(Args, Debug)]
pub(crate) struct Connect {
    /// Another name for the container in the network
    #[arg(long)]
    alias: Vec<String>,
    /// Option of the driver
    #[arg(long)]
    driver_opt: Vec<String>,
    /// The network of the highest number has the default gateway
    #[arg(long, default_value_t = 0, hide_default_value = true)]
    gw_priority: i64,
    /// IPv4 address
    #[arg(long, default_value = "", hide_default_value = true)]
    ip: String,
    /// IPv6 address
    #[arg(long, default_value = "", hide_default_value = true)]
    ip6: String,
    /// Link to another container
    #[arg(long)]
    link: Vec<String>,
    /// Link-local address
    #[arg(long)]
    link_local_ip: Vec<String>,
    network: String,
    container: String,
}

impl Act for Connect {
    async fn act(self, session: &Session) -> Result<Exit, Failure> {
        let attachment = Attachment {
            name: self.network,
            aliases: self.alias,
            ip: self.ip,
            ip6: self.ip6,
            link_local: self.link_local_ip,
            links: self.link,
            mac: String::new(),
            driver_options: pairs::map(&self.driver_opt),
            gateway_priority: self.gw_priority,
        };
        let mut document = Document::default();
        document
            .always("Container", &self.container)
            .put("EndpointConfig", attachment.settings());
        session
            .engine()?
            .order(Request::post(&["networks", &attachment.name, "connect"]).json(&document))
            .await?;
        Ok(Exit::OK)
    }
}
