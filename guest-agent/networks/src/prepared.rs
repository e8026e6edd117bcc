//! Namespaces made ahead: creating one and its veth pair takes the kernel longer than all the rest of a start, and
//! happens here while nobody waits. So does the end of those that are done with, many at once: the kernel takes down
//! one at the cost of all, with the lock held that a start needs.

use std::collections::VecDeque;
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use proa_kernel::netlink::{LinkChange, Route};
use proa_kernel::network::NetworkNamespace;

use crate::interface::Interfaces;
use crate::{Error, Result, Sandbox, sysctl};

/// How long after a start nothing is made, so that a start that follows at once does not wait for the kernel's lock.
const QUIET: Duration = Duration::from_millis(2);
/// How long after a start none is given up, for the same reason; unless so many wait for their end.
const REST: Duration = Duration::from_millis(50);
const MOST_ENDED: usize = 64;

/// What a namespace is made for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Kind {
    /// A network: a veth pair is laid.
    Wired,
    /// No network.
    Bare,
}

/// The namespaces that are ready, and the thread that makes more.
#[derive(Debug)]
pub(crate) struct Prepared {
    shared: Arc<Shared>,
    thread: Option<JoinHandle<()>>,
}

#[derive(Debug)]
struct Shared {
    names: Interfaces,
    host: NetworkNamespace,
    door: Mutex<Route>,
    /// How many of each kind are kept.
    target: usize,
    stock: Mutex<Stock>,
    changed: Condvar,
}

#[derive(Debug, Default)]
struct Stock {
    /// By [`Kind`].
    ready: [VecDeque<Sandbox>; 2],
    /// Kinds that somebody asked for once: the others are not made ahead.
    wanted: [bool; 2],
    /// Done with, and kept from their end by these descriptors only.
    ended: Vec<NetworkNamespace>,
    last_taken: Option<Instant>,
    ending: bool,
}

/// What the thread is to do.
enum Task {
    Make(Kind),
    Drop(Vec<NetworkNamespace>),
}

impl Prepared {
    /// Starts the thread, which makes nothing before something is asked for.
    pub(crate) fn start(
        names: &Interfaces,
        host: NetworkNamespace,
        target: usize,
    ) -> Result<Prepared> {
        let shared = Arc::new(Shared {
            names: names.clone(),
            host,
            door: Mutex::new(Route::open()?),
            target,
            stock: Mutex::default(),
            changed: Condvar::new(),
        });
        let theirs = Arc::clone(&shared);
        let thread = std::thread::Builder::new()
            .name("namespaces".into())
            .spawn(move || theirs.refill())
            .map_err(|source| Error::Kernel {
                what: "start the thread that prepares network namespaces".into(),
                source,
            })?;
        Ok(Prepared {
            shared,
            thread: Some(thread),
        })
    }

    /// One that is ready, or else one made now.
    pub(crate) fn take(&self, kind: Kind) -> Result<Sandbox> {
        let ready = {
            let mut stock = self.shared.lock();
            stock.wanted[kind as usize] = true;
            stock.last_taken = Some(Instant::now());
            stock.ready[kind as usize].pop_front()
        };
        self.shared.changed.notify_one();
        ready.map_or_else(|| self.shared.make(kind), Ok)
    }

    /// Gives up a namespace when nobody is in a hurry.
    pub(crate) fn end(&self, namespace: NetworkNamespace) {
        self.shared.lock().ended.push(namespace);
        self.shared.changed.notify_one();
    }

    /// Gives up now what waits for its end.
    pub(crate) fn end_all(&self) {
        let ended = std::mem::take(&mut self.shared.lock().ended);
        drop(ended);
    }

    /// Makes some of this kind ready before the first is asked for.
    pub(crate) fn want(&self, kind: Kind) {
        self.shared.lock().wanted[kind as usize] = true;
        self.shared.changed.notify_one();
    }
}

impl Drop for Prepared {
    fn drop(&mut self) {
        {
            let mut stock = self.shared.lock();
            stock.ending = true;
            stock.ready = Default::default();
        }
        self.shared.changed.notify_one();
        if let Some(thread) = self.thread.take() {
            // A panic over there was told when it happened.
            thread.join().ok();
        }
    }
}

impl Shared {
    fn lock(&self) -> MutexGuard<'_, Stock> {
        self.stock.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn make(&self, kind: Kind) -> Result<Sandbox> {
        match kind {
            Kind::Bare => Sandbox::create(),
            Kind::Wired => {
                let name = self.names.of_veth();
                let sandbox = Sandbox::create_wired(&self.host, &name)?;
                self.switch_on(&name)?;
                Ok(sandbox)
            }
        }
    }

    /// The other end of a veth pair can only be switched on when both are there. Then it has a carrier long before it is
    /// needed.
    fn switch_on(&self, name: &str) -> Result<()> {
        let change = LinkChange {
            name: Some(name),
            up: Some(true),
            ..LinkChange::default()
        };
        // Index 0: the kernel looks for the name. IPv6 has no business on a bridge's port.
        sysctl::set_where_known(&format!("ipv6/conf/{name}/disable_ipv6"), "1")?;
        let door = self.door.lock().unwrap_or_else(PoisonError::into_inner);
        Ok(door.set(0, &change)?)
    }

    fn refill(&self) {
        // At the usual priority: a thread that is not scheduled while it holds the kernel's lock keeps all others waiting.
        while let Some(task) = self.next() {
            let kind = match task {
                Task::Make(kind) => kind,
                Task::Drop(ended) => {
                    drop(ended);
                    continue;
                }
            };
            match self.make(kind) {
                Ok(sandbox) => {
                    let mut stock = self.lock();
                    if !stock.ending {
                        stock.ready[kind as usize].push_back(sandbox);
                    }
                }
                Err(error) => {
                    // Whoever needs one meets the same failure and tells it; here only the pace slows down.
                    tracing::warn!(%error, "cannot prepare a network namespace");
                    let stock = self.lock();
                    let wait = self.changed.wait_timeout(stock, Duration::from_secs(1));
                    drop(wait);
                }
            }
        }
    }

    /// Waits until there is something to do; `None` at the end.
    fn next(&self) -> Option<Task> {
        let mut stock = self.lock();
        loop {
            if stock.ending {
                return None;
            }
            let quiet = stock.last_taken.map_or(REST, |taken| taken.elapsed());
            let wait = match stock.missing(self.target) {
                Some((kind, empty)) if empty || quiet >= QUIET => return Some(Task::Make(kind)),
                Some(_) => Some(QUIET.saturating_sub(quiet)),
                None if stock.ended.is_empty() => None,
                None if quiet >= REST || stock.ended.len() >= MOST_ENDED => {
                    return Some(Task::Drop(std::mem::take(&mut stock.ended)));
                }
                None => Some(REST.saturating_sub(quiet)),
            };
            stock = match wait {
                None => self
                    .changed
                    .wait(stock)
                    .unwrap_or_else(PoisonError::into_inner),
                Some(wait) => {
                    let woken = self.changed.wait_timeout(stock, wait);
                    woken.unwrap_or_else(PoisonError::into_inner).0
                }
            };
        }
    }
}

impl Stock {
    /// The kind of which the fewest are ready, if there should be more, and whether there are none at all.
    fn missing(&self, target: usize) -> Option<(Kind, bool)> {
        [Kind::Wired, Kind::Bare]
            .into_iter()
            .filter(|kind| self.wanted[*kind as usize])
            .map(|kind| (kind, self.ready[kind as usize].len()))
            .filter(|(_, ready)| *ready < target)
            .min_by_key(|(_, ready)| *ready)
            .map(|(kind, ready)| (kind, ready == 0))
    }
}
