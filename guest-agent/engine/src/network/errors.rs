//! What `proa-networks` refuses, in the words and kinds that Docker's clients know.

use proa_networks::Error as Refusal;

use crate::{Error, Kind};

/// The error of a request about networks.
pub(crate) fn translate(error: Refusal) -> Error {
    let words = error.to_string();
    let told = |kind, before: &str| Error::new(kind, format!("{before}: {words}"));
    match error {
        Refusal::Overlap { .. } => told(
            Kind::Forbidden,
            "invalid pool request: Pool overlaps with other one on this address space",
        ),
        Refusal::NoSubnet => told(
            Kind::BadParameter,
            "all predefined address pools have been fully subnetted",
        ),
        Refusal::Full(_) => told(
            Kind::Forbidden,
            "no available IPv4 addresses on this network's address pools",
        ),
        Refusal::AddressTaken(_) => told(Kind::Forbidden, "Address already in use"),
        Refusal::AddressOutside { .. } | Refusal::Invalid(_) | Refusal::Unsupported(_) => {
            Error::bad(words)
        }
        Refusal::InUse { .. } => Error::new(Kind::Forbidden, words),
        Refusal::PortTaken { .. } | Refusal::NoPacketFilter(_) => Error::internal(words),
        Refusal::NoNetwork(_) => Error::not_found(words),
        Refusal::Kernel { what, source } => Error::internal(what).with(source),
    }
}
