//! Networks: bridges, endpoints, addresses, published ports, the firewall, names.
//!
//! A [`Fabric`] is everything of it on one host. A [`Network`] is a value: whoever made it keeps it and hands it back to
//! [`Fabric::restore`] after a restart, as the [`Endpoint`]s that were in use. A [`Sandbox`] is a network namespace that
//! endpoints are attached to.
//!
//! Does not know: containers, images, Docker's API. An endpoint belongs to an *owner*, whose id is any text.
//!
//! Always true
//! * What this process does not live to see goes on: the kernel's state carries packets, and whoever holds the
//!   descriptors of [`Reservation`]s for us keeps the ports.
//! * Nothing is left behind: after the last network is gone so are its interfaces, rules and namespaces.
//!
//! Start at [`Fabric::open`], then [`Fabric::create`], [`Fabric::sandbox`] and [`Fabric::attach`].

mod address;
mod attach;
mod bridge;
mod definition;
mod error;
mod fabric;
mod firewall;
mod foreign;
mod interface;
pub mod names;
mod ports;
mod prepared;
mod restore;
mod sandbox;
mod settings;
mod state;
mod sysctl;

pub use definition::{
    BridgeOptions, Driver, Endpoint, EndpointRequest, Mac, Network, NetworkRequest, Pool,
    PoolRequest, PortRequest, Protocol, Published, Rate,
};
pub use error::{Error, Result};
pub use fabric::Fabric;
pub use firewall::Traced;
pub use ports::Reservation;
pub use sandbox::Sandbox;
pub use settings::{AddressPool, Settings};
