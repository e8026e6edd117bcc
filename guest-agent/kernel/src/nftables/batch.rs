//! Changes that happen together.

use crate::netlink::Writer;

/// `NFNL_SUBSYS_NFTABLES`: the high byte of every message's type.
pub(super) const SUBSYSTEM: u16 = 10;
/// Makes what is not there; what is there and the same is left alone.
const CREATE: u16 = libc::NLM_F_CREATE as u16;

/// Which packets a table sees.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Family {
    /// IPv4 and IPv6.
    Inet = 1,
    /// IPv4.
    Ipv4 = 2,
    /// Those of bridges.
    Bridge = 7,
    /// IPv6.
    Ipv6 = 10,
}

impl Family {
    /// nft's word for it.
    pub fn name(self) -> &'static str {
        match self {
            Family::Inet => "inet",
            Family::Ipv4 => "ip",
            Family::Bridge => "bridge",
            Family::Ipv6 => "ip6",
        }
    }

    pub(super) fn from_number(number: u8) -> Option<Self> {
        [Family::Inet, Family::Ipv4, Family::Bridge, Family::Ipv6]
            .into_iter()
            .find(|family| *family as u8 == number)
    }
}

/// A table by name.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Table<'a> {
    /// Which packets it sees.
    pub family: Family,
    /// Its name among those of its family.
    pub name: &'a str,
}

impl Table<'_> {
    /// As nft names it.
    pub(super) fn object(self, rest: &str) -> String {
        let Table { family, name } = self;
        match rest {
            "" => format!("{} {name}", family.name()),
            _ => format!("{rest} in {} {name}", family.name()),
        }
    }
}

/// Changes that are made together or not at all, in order.
#[derive(Clone, Debug, Default)]
pub struct Batch {
    pub(super) steps: Vec<Step>,
}

/// One message of a batch.
#[derive(Clone, Debug)]
pub(super) struct Step {
    kind: u16,
    flags: u16,
    family: u8,
    body: Vec<u8>,
    pub(super) action: &'static str,
    pub(super) object: String,
}

impl Batch {
    /// No change.
    pub fn new() -> Self {
        Self::default()
    }

    /// Whether there is nothing to do.
    pub fn is_empty(&self) -> bool {
        self.steps.is_empty()
    }

    /// The changes of another batch after these.
    pub fn append(&mut self, other: Batch) {
        self.steps.extend(other.steps);
    }

    /// Adds a table, if it is not there.
    pub fn add_table(&mut self, table: Table<'_>) {
        let kind = libc::NFT_MSG_NEWTABLE;
        self.step(kind, CREATE, table, "add table", "", |w| {
            w.put_text(NFTA_TABLE_NAME, table.name);
            w.put_be32(NFTA_TABLE_FLAGS, 0);
        });
    }

    /// Sees to it that a table is gone with everything in it, whether it was there or not.
    pub fn remove_table(&mut self, table: Table<'_>) {
        // Deleting what is not there would undo the whole batch.
        self.add_table(table);
        let kind = libc::NFT_MSG_DELTABLE;
        self.step(kind, 0, table, "delete table", "", |w| {
            w.put_text(NFTA_TABLE_NAME, table.name);
        });
    }

    pub(super) fn create(
        &mut self,
        kind: libc::c_int,
        table: Table<'_>,
        action: &'static str,
        what: &str,
        body: impl FnOnce(&mut Writer),
    ) {
        self.step(kind, CREATE, table, action, what, body);
    }

    pub(super) fn step(
        &mut self,
        kind: libc::c_int,
        flags: u16,
        table: Table<'_>,
        action: &'static str,
        what: &str,
        body: impl FnOnce(&mut Writer),
    ) {
        let mut writer = Writer::default();
        body(&mut writer);
        self.steps.push(Step {
            kind: SUBSYSTEM << 8 | kind as u16,
            flags,
            family: table.family as u8,
            body: writer.bytes,
            action,
            object: table.object(what),
        });
    }

    /// How many messages it makes.
    pub(super) fn messages(&self) -> usize {
        self.steps.len() + 2
    }

    /// The messages, with numbers from `first` on. The last change is acknowledged once all are made; kernels before
    /// 6.10 acknowledge no end of a batch.
    pub(super) fn write(&self, first: u32) -> Vec<u8> {
        let mut writer = Writer::default();
        let request = libc::NLM_F_REQUEST as u16;
        let bound = |w: &mut Writer| head(w, libc::AF_UNSPEC as u8, SUBSYSTEM);
        writer.message(libc::NFNL_MSG_BATCH_BEGIN as u16, request, first, bound);
        let mut sequence = first;
        for (index, step) in self.steps.iter().enumerate() {
            sequence = sequence.wrapping_add(1);
            let last = index + 1 == self.steps.len();
            let ack = if last { libc::NLM_F_ACK as u16 } else { 0 };
            writer.message(step.kind, request | step.flags | ack, sequence, |w| {
                head(w, step.family, 0);
                w.raw(&step.body);
            });
        }
        sequence = sequence.wrapping_add(1);
        writer.message(libc::NFNL_MSG_BATCH_END as u16, request, sequence, bound);
        writer.bytes
    }
}

/// `struct nfgenmsg`
pub(super) fn head(w: &mut Writer, family: u8, resource: u16) {
    w.raw(&[family, 0]);
    w.raw(&resource.to_be_bytes());
}

/// `enum nft_table_attributes`
pub(super) const NFTA_TABLE_NAME: u16 = 1;
const NFTA_TABLE_FLAGS: u16 = 2;
