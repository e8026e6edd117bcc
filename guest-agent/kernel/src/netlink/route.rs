//! The socket through which the configuration is changed and read.

use std::net::IpAddr;

use ipnet::IpNet;

use super::link::{self, Link};
use super::{
    Address, BridgeOptions, Error, IpvlanMode, Limit, LinkChange, MacvlanMode, Path, Request,
    Result, Socket, SubLink, VethOptions,
};
use crate::network::NetworkNamespace;

/// A `NETLINK_ROUTE` socket: the door to the links, addresses and routes of one network namespace.
///
/// Every change has a method here and a function of the same name in [`Request`], for sending it among others.
#[derive(Debug)]
pub struct Route {
    socket: Socket,
}

impl Route {
    /// Opens the door of the calling thread's namespace.
    pub fn open() -> Result<Self> {
        Socket::door(libc::NETLINK_ROUTE, None).map(|socket| Self { socket })
    }

    /// Opens the door of another namespace.
    pub fn open_in(namespace: &NetworkNamespace) -> Result<Self> {
        Socket::door(libc::NETLINK_ROUTE, Some(namespace)).map(|socket| Self { socket })
    }

    /// Sends requests together. The kernel works on each in turn, also after one that failed; the first failure is
    /// returned.
    pub fn run(&self, requests: &[Request]) -> Result<()> {
        match self.run_all(requests)?.into_iter().next() {
            Some((_, error)) => Err(error),
            None => Ok(()),
        }
    }

    /// The same, returning every failure with the place of its request.
    pub fn run_all(&self, requests: &[Request]) -> Result<Vec<(usize, Error)>> {
        let Some(last) = requests.last() else {
            return Ok(Vec::new());
        };
        let refusals = self
            .socket
            .submit(requests.len(), |first| Request::write(requests, first))
            .map_err(|source| Error::new(last.action, &last.object, source))?;
        Ok(refusals
            .into_iter()
            .map(|refusal| {
                let request = &requests[refusal.index];
                let mut error = Error::new(request.action, &request.object, refusal.source);
                error.text = refusal.text;
                (refusal.index, error)
            })
            .collect())
    }

    fn one(&self, request: Request) -> Result<()> {
        self.run(&[request])
    }

    /// All links.
    pub fn links(&self) -> Result<Vec<Link>> {
        self.list(
            "links",
            libc::RTM_GETLINK,
            &link::ask(None, None),
            Link::parse,
        )
    }

    /// The links that are ports of a bridge; the kernel picks them.
    pub fn ports(&self, bridge: u32) -> Result<Vec<Link>> {
        let ask = link::ask(None, Some(bridge));
        self.list("ports", libc::RTM_GETLINK, &ask, Link::parse)
    }

    /// The link with this name, if there is one.
    pub fn link_named(&self, name: &str) -> Result<Option<Link>> {
        self.link(&link::ask(Some(name), None), name)
    }

    /// The link with this index, if there is one.
    pub fn link_at(&self, index: u32) -> Result<Option<Link>> {
        self.link(&link::ask_index(index), &format!("link {index}"))
    }

    fn link(&self, ask: &[u8], object: &str) -> Result<Option<Link>> {
        let failed = |source| Error::new("look up", object, source);
        let mut found = None;
        let refusals = self
            .socket
            .exchange(
                1,
                |sequence| {
                    let mut writer = super::Writer::default();
                    let flags = (libc::NLM_F_REQUEST | libc::NLM_F_ACK) as u16;
                    writer.message(libc::RTM_GETLINK, flags, sequence, |w| w.raw(ask));
                    writer.bytes
                },
                |body| found = Link::parse(body),
            )
            .map_err(failed)?;
        match refusals
            .into_iter()
            .next()
            .map(|refusal| failed(refusal.source))
        {
            Some(error) if !error.is_missing() => Err(error),
            _ => Ok(found),
        }
    }

    /// All addresses of all links.
    pub fn addresses(&self) -> Result<Vec<Address>> {
        self.list("addresses", libc::RTM_GETADDR, &[0; 8], Address::parse)
    }

    /// The routes of the main table, IPv4 and IPv6.
    pub fn routes(&self) -> Result<Vec<Path>> {
        self.list(
            "routes",
            libc::RTM_GETROUTE,
            &super::path::ask(),
            Path::parse,
        )
    }

    fn list<T>(
        &self,
        object: &str,
        kind: u16,
        ask: &[u8],
        parse: impl Fn(&[u8]) -> Option<T>,
    ) -> Result<Vec<T>> {
        let list = std::cell::RefCell::new(Vec::new());
        self.socket
            .dump(
                kind,
                ask,
                || list.borrow_mut().clear(),
                |body| list.borrow_mut().extend(parse(body)),
            )
            .map_err(|source| Error::new("list", object, source))?;
        Ok(list.into_inner())
    }

    /// The limits of what links send.
    pub fn limits(&self) -> Result<Vec<Limit>> {
        let ask = super::limit::ask();
        self.list("limits", libc::RTM_GETQDISC, &ask, Limit::parse)
    }

    /// See [`Request::limit_egress`].
    pub fn limit_egress(&self, index: u32, rate: u64) -> Result<()> {
        self.one(Request::limit_egress(index, rate))
    }

    /// See [`Request::remove_limit`].
    pub fn remove_limit(&self, index: u32) -> Result<()> {
        self.one(Request::remove_limit(index))
    }

    /// See [`Request::add_bridge`].
    pub fn add_bridge(&self, name: &str, options: &BridgeOptions) -> Result<()> {
        self.one(Request::add_bridge(name, options))
    }

    /// See [`Request::add_veth`].
    pub fn add_veth(&self, name: &str, options: &VethOptions<'_>) -> Result<()> {
        self.one(Request::add_veth(name, options))
    }

    /// Whether the kernel makes links of a kind: `macvlan`, `ipvlan`, `vlan`.
    pub fn knows(&self, kind: &str) -> bool {
        let probed = self.one(Request::probe(kind));
        !matches!(probed, Err(error) if error.source.raw_os_error() == Some(libc::EOPNOTSUPP))
    }

    /// See [`Request::add_vlan`].
    pub fn add_vlan(&self, id: u16, link: &SubLink<'_>) -> Result<()> {
        self.one(Request::add_vlan(id, link))
    }

    /// See [`Request::add_macvlan`].
    pub fn add_macvlan(&self, mode: MacvlanMode, link: &SubLink<'_>) -> Result<()> {
        self.one(Request::add_macvlan(mode, link))
    }

    /// See [`Request::add_ipvlan`].
    pub fn add_ipvlan(&self, mode: IpvlanMode, link: &SubLink<'_>) -> Result<()> {
        self.one(Request::add_ipvlan(mode, link))
    }

    /// See [`Request::set`].
    pub fn set(&self, index: u32, change: &LinkChange<'_>) -> Result<()> {
        self.one(Request::set(index, change))
    }

    /// See [`Request::remove_link`].
    pub fn remove_link(&self, index: u32) -> Result<()> {
        self.one(Request::remove_link(index))
    }

    /// See [`Request::remove_link_named`].
    pub fn remove_link_named(&self, name: &str) -> Result<()> {
        self.one(Request::remove_link_named(name))
    }

    /// See [`Request::add_address`].
    pub fn add_address(&self, index: u32, address: IpNet, nodad: bool) -> Result<()> {
        self.one(Request::add_address(index, address, nodad))
    }

    /// See [`Request::remove_address`].
    pub fn remove_address(&self, index: u32, address: IpNet) -> Result<()> {
        self.one(Request::remove_address(index, address))
    }

    /// See [`Request::add_route`].
    pub fn add_route(&self, to: IpNet, via: Option<IpAddr>, index: u32) -> Result<()> {
        self.one(Request::add_route(to, via, index))
    }

    /// See [`Request::remove_route`].
    pub fn remove_route(&self, to: IpNet, via: Option<IpAddr>, index: u32) -> Result<()> {
        self.one(Request::remove_route(to, via, index))
    }
}
