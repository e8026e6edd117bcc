//! The way to the kernel's packet filter, opened when it is first needed: an engine starts on a kernel that has none, and
//! whoever wants a network there is told what is missing.

use std::sync::{Mutex, MutexGuard, OnceLock};

use proa_kernel::nftables::Nftables;

use crate::fabric::lock;
use crate::{Error, Result};

/// One socket of `NETLINK_NETFILTER`, or none yet.
#[derive(Debug, Default)]
pub(crate) struct Door(OnceLock<Mutex<Nftables>>);

impl Door {
    /// Opens it, if it is not.
    pub(crate) fn open(&self) -> Result<MutexGuard<'_, Nftables>> {
        if let Some(door) = self.0.get() {
            return Ok(lock(door));
        }
        let opened = Nftables::open().map_err(lacking)?;
        // nfnetlink can be there without nftables: what it does not know it refuses at the first question.
        opened.tables().map_err(lacking)?;
        Ok(lock(self.0.get_or_init(|| Mutex::new(opened))))
    }
}

/// What a kernel without nfnetlink says to `socket(2)`, and one without nftables to the first question
/// (`net/netfilter/nfnetlink.c`: no subsystem is `EINVAL`).
const LACKING: [i32; 4] = [
    rustix::io::Errno::PROTONOSUPPORT.raw_os_error(),
    rustix::io::Errno::AFNOSUPPORT.raw_os_error(),
    rustix::io::Errno::OPNOTSUPP.raw_os_error(),
    rustix::io::Errno::INVAL.raw_os_error(),
];

fn lacking(error: proa_kernel::netlink::Error) -> Error {
    match error.source.raw_os_error() {
        Some(number) if LACKING.contains(&number) => Error::NoPacketFilter(error.source),
        _ => error.into(),
    }
}

/// What there is to undo where the kernel has no packet filter: nothing.
pub(crate) fn undone(removed: Result<()>) -> Result<()> {
    match removed {
        Err(Error::NoPacketFilter(_)) => Ok(()),
        removed => removed,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_kernel_without_a_packet_filter_is_told_from_one_that_refuses() {
        let error = |number| {
            let (namespace, source) = (
                "a netfilter socket".to_owned(),
                std::io::Error::from_raw_os_error(number),
            );
            lacking(proa_kernel::netlink::Error {
                action: "open",
                object: namespace,
                text: None,
                source,
            })
        };
        let told = error(LACKING[0]).to_string();
        assert!(told.contains("modprobe nf_tables"), "{told}");
        let refused = error(rustix::io::Errno::PERM.raw_os_error());
        assert!(matches!(refused, Error::Kernel { .. }), "{refused}");
    }
}
