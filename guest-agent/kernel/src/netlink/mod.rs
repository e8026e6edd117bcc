//! The kernel's network configuration over `NETLINK_ROUTE` sockets (`netlink(7)`, `rtnetlink(7)`): links, addresses,
//! routes, limits of bandwidth.
//!
//! A change is a [`Request`], a value made without the kernel. [`Route::run`] sends any number of them with one system
//! call; the kernel works on them in order and has answered when that call returns.
//!
//! Always true
//! * A socket belongs to the network namespace where it was opened, whichever thread uses it later.
//! * An [`Error`] names what was attempted on what, with the kernel's own words where it had any.
//!
//! Start at [`Route`].

mod address;
mod error;
mod limit;
mod link;
mod neighbour;
mod path;
mod request;
mod route;
mod socket;
pub(crate) mod wire;

pub use address::Address;
pub use error::{Error, Result};
pub use limit::Limit;
pub use link::{
    BridgeOptions, Counters, Ipv4Setting, IpvlanMode, Link, LinkChange, MacvlanMode, PortChange,
    SubLink, VethOptions,
};
pub use path::Path;
pub use request::Request;
pub use route::Route;

pub(crate) use socket::Socket;
pub(crate) use wire::{Attributes, Writer};

#[cfg(test)]
mod tests;
