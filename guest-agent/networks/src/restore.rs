//! After this process was started again, or the host: what is in the kernel is taken up, what is missing made again, and
//! what belongs to nobody removed.

use std::collections::BTreeSet;

use proa_kernel::netlink::{Link, Route};

use crate::fabric::lock;
use crate::firewall::undone;
use crate::ports::translations;
use crate::{Endpoint, Fabric, Network, Published, Result, bridge};

impl Fabric {
    /// Takes up what an earlier process of this engine left in the kernel, makes again what is missing of it (all of
    /// it after a reboot), and removes what belongs to nobody.
    ///
    /// Ports are given as what is published of the endpoints that they lead to; their sockets are held by somebody else.
    /// A network that cannot be made again keeps the others from nothing: the first failure is told at the end.
    pub fn restore(
        &self,
        networks: Vec<Network>,
        endpoints: Vec<Endpoint>,
        ports: Vec<(Vec<Endpoint>, Vec<Published>)>,
    ) -> Result<()> {
        let _changing = lock(&self.changing);
        self.adopt(&networks, endpoints, ports);
        let mut first = Ok(());
        for network in &networks {
            if let Err(error) = self.raise(network) {
                tracing::error!(network = network.name, %error, "making a network again failed");
                first = first.and(Err(error));
            }
        }
        let ruled = self.renew_firewall();
        let swept = self.sweep();
        first.and(ruled).and(swept)
    }

    /// Removes whatever any process of this engine left in the kernel and in other firewalls. To be called when none
    /// runs any more.
    pub fn clear(&self) -> Result<()> {
        let links = lock(&self.host).links()?;
        let ours = |link: &&Link| bridge::is_ours(link, &self.names, &self.settings.engine);
        for link in links.iter().filter(ours) {
            if let Err(error) = self.foreign.dismiss(&link.name) {
                tracing::warn!(%error, bridge = link.name, "a removed bridge may still be named elsewhere");
            }
        }
        self.restore(Vec::new(), Vec::new(), Vec::new())
    }

    fn adopt(
        &self,
        networks: &[Network],
        endpoints: Vec<Endpoint>,
        ports: Vec<(Vec<Endpoint>, Vec<Published>)>,
    ) {
        let mut state = self.lock_state();
        for network in networks {
            state.admit(network.clone());
        }
        for endpoint in endpoints {
            state.adopt(endpoint);
        }
        for (endpoints, published) in ports {
            let more = translations(&state, &endpoints, published);
            state.ports.extend(more);
        }
    }

    /// Makes the rules say what is there; without networks there are none.
    pub(crate) fn renew_firewall(&self) -> Result<()> {
        let state = self.lock_state();
        if state.networks.is_empty() {
            return undone(self.foreign.leave().and(self.firewall.remove()));
        }
        self.firewall.renew(&state)?;
        drop(state);
        self.settle();
        Ok(())
    }

    /// Puts back what others took away: bridges, our table (a firewall's reload may flush all tables), and our rules in
    /// other firewalls. To be called now and then.
    pub fn mend(&self) -> Result<()> {
        let _changing = lock(&self.changing);
        let networks: Vec<Network> = {
            let state = self.lock_state();
            let members = state.networks.values();
            members.map(|member| member.network.clone()).collect()
        };
        if networks.is_empty() {
            return Ok(());
        }
        let present: BTreeSet<String> = {
            let links = lock(&self.host).links()?;
            links.into_iter().map(|link| link.name).collect()
        };
        for network in &networks {
            if !present.contains(&network.interface) {
                self.raise(network)?;
            }
        }
        if !self.firewall.is_there()? {
            return self.renew_firewall();
        }
        self.settle();
        Ok(())
    }

    /// Removes interfaces of ours that no network or endpoint has: an earlier process made them and died before it told
    /// anybody.
    fn sweep(&self) -> Result<()> {
        let (networks, ends) = {
            let state = self.lock_state();
            let members = state.networks.values();
            let networks: BTreeSet<String> = members
                .map(|member| member.network.interface.clone())
                .collect();
            let ends: BTreeSet<String> = state
                .endpoints
                .values()
                .filter_map(|endpoint| endpoint.host_interface.clone())
                .collect();
            (networks, ends)
        };
        let host = lock(&self.host);
        let links = host.links()?;
        let bridges: BTreeSet<u32> = links
            .iter()
            .filter(|link| networks.contains(&link.name))
            .map(|link| link.index)
            .collect();
        for link in &links {
            let lost = if self.names.is_veth(&link.name) {
                // One without a bridge is prepared, or has a namespace that the kernel is taking down.
                let ours = link.master.is_some_and(|master| bridges.contains(&master));
                ours && !ends.contains(&link.name)
            } else {
                bridge::is_ours(link, &self.names, &self.settings.engine)
                    && !self.names.is_counterpart(&link.name)
                    && !networks.contains(&link.name)
            };
            if lost {
                remove(&host, link)?;
            }
        }
        Ok(())
    }
}

fn remove(host: &Route, link: &Link) -> Result<()> {
    tracing::info!(
        interface = link.name,
        "removing an interface that nobody uses"
    );
    match host.remove_link(link.index) {
        Err(error) if !error.is_missing() => Err(error.into()),
        _ => Ok(()),
    }
}
