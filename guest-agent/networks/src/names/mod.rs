//! Names: the DNS server that a container asks at 127.0.0.11.
//!
//! [`Names`] holds who is called what in which network; whoever attaches and detaches endpoints tells it. A [`Client`] is
//! one container's view of that: its networks, its links, where the rest is asked. [`serve`] answers at a container's
//! [`Sockets`], which were made inside of its network namespace; what is in no network of the client's goes to
//! [`Upstreams`], the host's resolvers as they are at that moment, or to the client's own servers.
//!
//! Always true
//! * What a network knows is never asked elsewhere, for no type of record: a resolver outside would deny it, and some
//!   clients take that for the truth about all types.
//! * A reply is about the question that was asked, by whom it was asked, or it is not passed on.
//! * Nothing that arrives makes this panic, and no answer goes to whom did not ask.
//!
//! [`answer()`] decides without doing; [`serve`] does.

mod answer;
mod client;
mod forward;
mod message;
mod resolvers;
mod serve;
mod sockets;
mod zone;

#[cfg(test)]
mod tests;

pub use answer::{Answer, Transport, answer};
pub use client::{Client, Membership};
pub use message::Forward;
pub use resolvers::{Resolvers, Upstreams};
pub use serve::{Server, serve};
pub use sockets::{ADDRESS, Sockets};
pub use zone::{Entry, Names};
