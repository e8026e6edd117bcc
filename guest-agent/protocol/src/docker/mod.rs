//! The documents of the Docker Engine API, by noun. The fields are described by Docker's API reference.

pub mod container;
pub mod error;
pub mod event;
pub mod exec;
pub mod host_config;
pub mod image;
pub mod mount;
pub mod network;
pub mod stats;
pub mod system;
pub mod volume;
mod words;

pub use container::*;
pub use error::ErrorBody;
pub use event::*;
pub use exec::*;
pub use host_config::*;
pub use image::*;
pub use mount::*;
pub use network::*;
pub use stats::*;
pub use system::*;
pub use volume::*;
pub use words::{Empty, Words};

/// Labels, options, attributes: text by text, in the order of the keys as Go writes maps.
pub type TextMap = std::collections::BTreeMap<String, String>;
