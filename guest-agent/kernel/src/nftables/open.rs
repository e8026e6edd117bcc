//! The socket through which tables are changed and read.

use std::cell::RefCell;

use super::batch::{NFTA_TABLE_NAME, SUBSYSTEM, head};
use super::chain::NFTA_CHAIN_TABLE;
use super::element::{self, NFTA_SET_ELEM_LIST_SET, NFTA_SET_ELEM_LIST_TABLE};
use super::rule::{NFTA_RULE_CHAIN, NFTA_RULE_TABLE};
use super::{Batch, ChainEntry, Element, Error, Result, RuleEntry, Set, Table, TableEntry};
use crate::netlink::{Socket, Writer};
use crate::network::NetworkNamespace;

/// A `NETLINK_NETFILTER` socket: the door to the packet filter of one network namespace.
#[derive(Debug)]
pub struct Nftables {
    socket: Socket,
}

impl Nftables {
    /// Opens the door of the calling thread's namespace.
    pub fn open() -> Result<Self> {
        Socket::door(libc::NETLINK_NETFILTER, None).map(|socket| Self { socket })
    }

    /// Opens the door of another namespace.
    pub fn open_in(namespace: &NetworkNamespace) -> Result<Self> {
        Socket::door(libc::NETLINK_NETFILTER, Some(namespace)).map(|socket| Self { socket })
    }

    /// Makes all changes of a batch, or none and says which was refused.
    pub fn commit(&self, batch: &Batch) -> Result<()> {
        if batch.is_empty() {
            return Ok(());
        }
        let failed = |source| Error::new("commit", "a batch of changes", source);
        let refusals = self
            .socket
            .submit(batch.messages(), |first| batch.write(first))
            .map_err(failed)?;
        let Some(refusal) = refusals.into_iter().next() else {
            return Ok(());
        };
        // The first message opens the batch: a refusal of it is one of the whole.
        let step = refusal
            .index
            .checked_sub(1)
            .and_then(|at| batch.steps.get(at));
        let mut error = match step {
            Some(step) => Error::new(step.action, &step.object, refusal.source),
            None => failed(refusal.source),
        };
        error.text = refusal.text;
        Err(error)
    }

    /// All tables.
    pub fn tables(&self) -> Result<Vec<TableEntry>> {
        let ask = ask(libc::AF_UNSPEC as u8, |_| {});
        self.list(libc::NFT_MSG_GETTABLE, "tables", &ask, TableEntry::parse)
    }

    /// Whether a table is there.
    pub fn has_table(&self, table: Table<'_>) -> Result<bool> {
        let ask = ask(table.family as u8, |w| {
            w.put_text(NFTA_TABLE_NAME, table.name);
        });
        self.exists(
            libc::NFT_MSG_GETTABLE,
            &ask,
            "look up table",
            &table.object(""),
        )
    }

    /// Whether a chain is there.
    pub fn has_chain(&self, table: Table<'_>, chain: &str) -> Result<bool> {
        let ask = ask(table.family as u8, |w| {
            w.put_text(NFTA_CHAIN_TABLE, table.name);
            w.put_text(super::chain::NFTA_CHAIN_NAME, chain);
        });
        let object = table.object(chain);
        self.exists(libc::NFT_MSG_GETCHAIN, &ask, "look up chain", &object)
    }

    /// The chains of a table; none if it is not there.
    pub fn chains(&self, table: Table<'_>) -> Result<Vec<ChainEntry>> {
        // Kernels before 6.0 list the chains of all tables.
        let ask = ask(table.family as u8, |w| {
            w.put_text(NFTA_CHAIN_TABLE, table.name);
        });
        let parse = |body: &[u8]| ChainEntry::parse(body, table.name);
        self.list(libc::NFT_MSG_GETCHAIN, &table.object("chains"), &ask, parse)
    }

    /// The rules of a table or of one of its chains, in order; none if it is not there.
    pub fn rules(&self, table: Table<'_>, chain: Option<&str>) -> Result<Vec<RuleEntry>> {
        let ask = ask(table.family as u8, |w| {
            w.put_text(NFTA_RULE_TABLE, table.name);
            if let Some(chain) = chain {
                w.put_text(NFTA_RULE_CHAIN, chain);
            }
        });
        self.list(
            libc::NFT_MSG_GETRULE,
            &table.object("rules"),
            &ask,
            RuleEntry::parse,
        )
    }

    /// The elements of a set or map, lowest key first; `set` says how to read them.
    pub fn elements(&self, table: Table<'_>, set: &Set<'_>) -> Result<Vec<Element>> {
        let ask = ask(table.family as u8, |w| {
            w.put_text(NFTA_SET_ELEM_LIST_TABLE, table.name);
            w.put_text(NFTA_SET_ELEM_LIST_SET, set.name);
        });
        let object = table.object(&format!("elements of {}", set.name));
        let halves = self.gather(libc::NFT_MSG_GETSETELEM, &object, &ask, |body, into| {
            element::parse(body, set, into);
        })?;
        Ok(element::join(halves, set))
    }

    fn exists(
        &self,
        kind: libc::c_int,
        ask: &[u8],
        action: &'static str,
        object: &str,
    ) -> Result<bool> {
        let failed = |source| Error::new(action, object, source);
        let refusals = self
            .socket
            .submit(1, |sequence| {
                let mut writer = Writer::default();
                let flags = (libc::NLM_F_REQUEST | libc::NLM_F_ACK) as u16;
                writer.message(SUBSYSTEM << 8 | kind as u16, flags, sequence, |w| {
                    w.raw(ask);
                });
                writer.bytes
            })
            .map_err(failed)?;
        match refusals
            .into_iter()
            .next()
            .map(|refusal| failed(refusal.source))
        {
            None => Ok(true),
            Some(error) if error.is_missing() => Ok(false),
            Some(error) => Err(error),
        }
    }

    fn list<T>(
        &self,
        kind: libc::c_int,
        object: &str,
        ask: &[u8],
        parse: impl Fn(&[u8]) -> Option<T>,
    ) -> Result<Vec<T>> {
        self.gather(kind, object, ask, |body, into| into.extend(parse(body)))
    }

    fn gather<T>(
        &self,
        kind: libc::c_int,
        object: &str,
        ask: &[u8],
        parse: impl Fn(&[u8], &mut Vec<T>),
    ) -> Result<Vec<T>> {
        let list = RefCell::new(Vec::new());
        let outcome = self.socket.dump(
            SUBSYSTEM << 8 | kind as u16,
            ask,
            || list.borrow_mut().clear(),
            |body| parse(body, &mut list.borrow_mut()),
        );
        match outcome.map_err(|source| Error::new("list", object, source)) {
            Err(error) if !error.is_missing() => Err(error),
            _ => Ok(list.into_inner()),
        }
    }
}

fn ask(family: u8, body: impl FnOnce(&mut Writer)) -> Vec<u8> {
    let mut writer = Writer::default();
    head(&mut writer, family, 0);
    body(&mut writer);
    writer.bytes
}
