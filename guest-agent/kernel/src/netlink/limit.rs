//! Limits of what a link sends: a token bucket (`tc-tbf(8)`, `linux/pkt_sched.h`).
//!
//! A veth pair has two ends: a limit of the one inside is for what leaves the namespace, one of the other end for what
//! reaches it.

use super::wire::{self, Attributes, u32_at, u64_at};
use super::{Request, Writer};

/// `struct tcmsg`
const HEADER: usize = 20;
/// `TC_H_ROOT`
const ROOT: u32 = u32::MAX;
/// `enum` of `TCA_*`
const TCA_KIND: u16 = 1;
const TCA_OPTIONS: u16 = 2;
/// `enum` of `TCA_TBF_*`
const TCA_TBF_PARMS: u16 = 1;
const TCA_TBF_RATE64: u16 = 4;
const TCA_TBF_BURST: u16 = 6;
/// `TC_LINKLAYER_ETHERNET`: the kernel computes times itself and wants no table of them.
const ETHERNET: u8 = 1;
/// Packets wait for at most this long, in parts of a second; what does not fit is dropped, and TCP slows down.
const WAIT: u64 = 20;
/// What may leave at once, in parts of a second: enough for the 64 KiB that segmentation offload hands over in one
/// piece from 26 Mbit/s on, below which cutting them up costs little.
const BURST: u64 = 50;
/// And at least this much, for a few of the largest packets.
const LEAST_BURST: u64 = 16 << 10;

/// A limit that is there.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Limit {
    /// The link's index.
    pub index: u32,
    /// Bits per second.
    pub rate: u64,
}

impl Request {
    /// Limits what a link sends to this many bits per second, instead of any other limit.
    pub fn limit_egress(index: u32, rate: u64) -> Self {
        let flags = (libc::NLM_F_CREATE | libc::NLM_F_REPLACE) as u16;
        let object = format!("link {index} to {rate} bit/s");
        Self::new(libc::RTM_NEWQDISC, flags, "limit", object, |w| {
            head(w, index, ROOT);
            w.put_text(TCA_KIND, "tbf");
            w.nest(TCA_OPTIONS, |w| put_bucket(w, (rate / 8).max(1)));
        })
    }

    /// Takes the limit of a link away.
    pub fn remove_limit(index: u32) -> Self {
        let object = format!("limit of link {index}");
        Self::new(libc::RTM_DELQDISC, 0, "remove", object, |w| {
            head(w, index, ROOT);
        })
    }
}

/// `struct tcmsg`
fn head(w: &mut Writer, index: u32, parent: u32) {
    w.raw(&[0; 4]);
    w.raw(&index.to_ne_bytes());
    w.raw(&[0; 4]);
    w.raw(&parent.to_ne_bytes());
    w.raw(&[0; 4]);
}

/// `struct tc_tbf_qopt` and what does not fit into it; `rate` is in bytes.
fn put_bucket(w: &mut Writer, rate: u64) {
    let burst = (rate / BURST).clamp(LEAST_BURST, u32::MAX.into());
    let limit = (burst + rate / WAIT).min(u32::MAX.into());
    let mut options = Vec::with_capacity(36);
    options.extend(ratespec(rate));
    options.extend(ratespec(0));
    options.extend((limit as u32).to_ne_bytes());
    options.extend([0; 8]);
    w.put(TCA_TBF_PARMS, &options);
    if rate > u32::MAX.into() {
        w.put(TCA_TBF_RATE64, &rate.to_ne_bytes());
    }
    w.put_u32(TCA_TBF_BURST, burst as u32);
}

/// `struct tc_ratespec`
fn ratespec(rate: u64) -> [u8; 12] {
    let mut spec = [0; 12];
    spec[1] = ETHERNET;
    let low = u32::try_from(rate).unwrap_or(u32::MAX);
    spec[8..].copy_from_slice(&low.to_ne_bytes());
    spec
}

/// The request for all queues.
pub(super) fn ask() -> Vec<u8> {
    let mut w = Writer::default();
    head(&mut w, 0, 0);
    w.bytes
}

impl Limit {
    pub(super) fn parse(body: &[u8]) -> Option<Self> {
        let attributes = Attributes::after(HEADER, body);
        if wire::text(attributes.find(TCA_KIND)?) != "tbf" {
            return None;
        }
        let options = attributes.within(TCA_OPTIONS);
        let low = u32_at(options.find(TCA_TBF_PARMS)?, 8)?;
        let rate = match options.find(TCA_TBF_RATE64) {
            Some(value) => u64_at(value, 0)?,
            None => low.into(),
        };
        Some(Self {
            index: u32_at(body, 4)?,
            rate: rate.saturating_mul(8),
        })
    }
}
