//! What happens, told to whoever listens; the last of it is kept for those who ask later.

mod journal;

use std::{
    collections::VecDeque,
    path::PathBuf,
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicU64, Ordering},
    },
};

use futures_util::{
    StreamExt,
    stream::{self, BoxStream},
};
use jiff::Timestamp;
use proa_protocol::{Event, EventActor, TextMap, timestamp};
use tokio::sync::broadcast;

use self::journal::Journal;
use crate::{Engine, Error, Filters, Result, clock};

/// How many are kept; Docker keeps 256.
const KEPT: usize = 1024;

/// How many a slow listener may be behind before it misses some.
const BACKLOG: usize = 4096;

/// The filters events know.
const KEYS: &[&str] = &[
    "config",
    "container",
    "daemon",
    "event",
    "id",
    "image",
    "label",
    "network",
    "node",
    "plugin",
    "scope",
    "secret",
    "service",
    "type",
    "volume",
];

/// Which events.
#[derive(Clone, Debug, Default)]
pub struct EventOptions {
    /// From this Unix time on (`1.5`), from the kept ones.
    pub since: Option<String>,
    /// Until then; the stream ends there.
    pub until: Option<String>,
    /// Which of them.
    pub filters: Filters,
}

/// The engine's events.
pub(crate) struct Events {
    live: broadcast::Sender<Arc<Event>>,
    kept: Mutex<Kept>,
    told: AtomicU64,
}

/// The latest events, in memory and in a file that the next process of this engine reads.
#[derive(Default)]
struct Kept {
    latest: VecDeque<Arc<Event>>,
    file: Option<Journal>,
}

impl Default for Events {
    fn default() -> Self {
        Self::with(Kept::default())
    }
}

impl Events {
    /// With what an earlier process of this engine told, as far as `file` has it.
    pub(crate) fn open(file: PathBuf) -> Self {
        let mut latest = Journal::read(&file);
        latest.drain(..latest.len().saturating_sub(KEPT));
        Self::with(Kept {
            file: Journal::open(file, &latest),
            latest,
        })
    }

    fn with(kept: Kept) -> Self {
        Events {
            live: broadcast::channel(BACKLOG).0,
            kept: Mutex::new(kept),
            told: AtomicU64::new(0),
        }
    }

    /// How many were told by this process.
    pub(crate) fn count(&self) -> u64 {
        self.told.load(Ordering::Relaxed)
    }

    /// Tells one event.
    pub(crate) fn tell(&self, kind: &str, action: &str, id: &str, attributes: TextMap) {
        let event = Arc::new(document(kind, action, id, attributes, clock::now()));
        self.told.fetch_add(1, Ordering::Relaxed);
        let mut kept = self.kept.lock().unwrap_or_else(PoisonError::into_inner);
        let Kept { latest, file } = &mut *kept;
        if latest.len() == KEPT {
            latest.pop_front();
        }
        latest.push_back(Arc::clone(&event));
        if let Some(file) = file {
            file.add(&event, latest);
        }
        // Sent under the lock, so that a new listener sees each event once. Nobody may be listening.
        let _ = self.live.send(event);
    }

    /// The kept ones, and those to come.
    fn listen(&self) -> (Vec<Arc<Event>>, broadcast::Receiver<Arc<Event>>) {
        let kept = self.kept.lock().unwrap_or_else(PoisonError::into_inner);
        (kept.latest.iter().cloned().collect(), self.live.subscribe())
    }
}

fn document(kind: &str, action: &str, id: &str, attributes: TextMap, time: Timestamp) -> Event {
    // The fields of the oldest API versions, for containers and images only.
    let (status, old_id, from) = match kind {
        "container" => (
            action.to_owned(),
            id.to_owned(),
            attributes.get("image").cloned().unwrap_or_default(),
        ),
        "image" => (action.to_owned(), id.to_owned(), String::new()),
        _ => Default::default(),
    };
    Event {
        status,
        id: old_id,
        from,
        kind: kind.to_owned(),
        action: action.to_owned(),
        actor: EventActor {
            id: id.to_owned(),
            attributes,
        },
        scope: "local".to_owned(),
        time: time.as_second(),
        time_nano: i64::try_from(time.as_nanosecond()).unwrap_or(i64::MAX),
    }
}

impl Engine {
    /// Tells an event: `kind` is `image`, `volume`, …; `id` names the actor.
    pub fn tell(&self, kind: &str, action: &str, id: &str, attributes: TextMap) {
        self.events.tell(kind, action, id, attributes);
    }

    /// Events as they come.
    pub fn events(&self, options: EventOptions) -> Result<BoxStream<'static, Event>> {
        options
            .filters
            .only(KEYS)
            .map_err(|error| Error::bad(error.to_string()))?;
        let now = clock::now();
        let time = |text: &Option<String>| -> Result<Option<Timestamp>> {
            let given = text
                .as_deref()
                .filter(|text| !text.is_empty() && *text != "0");
            given
                .map(|text| {
                    timestamp::parse(text, now).map_err(|error| Error::bad(error.to_string()))
                })
                .transpose()
        };
        let (since, until) = (time(&options.since)?, time(&options.until)?);
        let (kept, live) = self.events.listen();
        let filters = options.filters;
        let nanoseconds = |time: Timestamp| i64::try_from(time.as_nanosecond()).unwrap_or(i64::MAX);
        // Without `since` only what comes from now on.
        let from = since.map_or(i64::MAX, nanoseconds);
        let to = until.map_or(i64::MAX, nanoseconds);
        let past = kept
            .into_iter()
            .filter(move |event| event.time_nano >= from)
            .collect::<Vec<_>>();
        let all = stream::iter(past).chain(follow(live));
        let wanted = all
            .take_while(move |event| std::future::ready(event.time_nano <= to))
            .filter(move |event| std::future::ready(accepts(&filters, event)))
            .map(|event| Event::clone(&event));
        Ok(match until {
            None => wanted.boxed(),
            Some(until) => wanted.take_until(sleep_until(until)).boxed(),
        })
    }
}

async fn sleep_until(time: Timestamp) {
    let left = time.duration_since(clock::now());
    // An instant after, so that what has been told by then is delivered first.
    let left = std::time::Duration::try_from(left).unwrap_or_default();
    tokio::time::sleep(left + std::time::Duration::from_millis(10)).await;
}

fn follow(live: broadcast::Receiver<Arc<Event>>) -> impl stream::Stream<Item = Arc<Event>> {
    stream::unfold(live, |mut live| async move {
        loop {
            match live.recv().await {
                Ok(event) => return Some((event, live)),
                // A listener that is too slow misses the oldest ones.
                Err(broadcast::error::RecvError::Lagged(_)) => {}
                Err(broadcast::error::RecvError::Closed) => return None,
            }
        }
    })
}

fn accepts(filters: &Filters, event: &Event) -> bool {
    let attribute = |key: &str| {
        event
            .actor
            .attributes
            .get(key)
            .map(String::as_str)
            .unwrap_or_default()
    };
    let names = |key: &str, kind: &str| {
        !filters.has(key)
            || (event.kind == kind
                && filters.any(key, |value| {
                    event.actor.id == value
                        || (value.len() >= 4
                            && kind == "container"
                            && event.actor.id.starts_with(value))
                        || attribute("name") == value
                }))
    };
    let image = || {
        filters.any("image", |value| {
            let short = |name: &str| name.split(':').next().unwrap_or_default().to_owned();
            [
                event.actor.id.as_str(),
                attribute("image"),
                attribute("name"),
            ]
            .iter()
            .any(|name| *name == value || (!name.starts_with("sha256:") && short(name) == value))
        })
    };
    // `exec_start: ls` and `health_status: healthy` are asked for by their first word, too.
    let action =
        |value: &str| event.action == value || event.action.split(':').next() == Some(value);
    filters.any("type", |value| event.kind == value)
        && filters.any("event", action)
        && filters.any("scope", |value| event.scope == value)
        && filters.labels("label", &event.actor.attributes)
        && names("container", "container")
        && names("volume", "volume")
        && names("network", "network")
        && names("plugin", "plugin")
        && names("daemon", "daemon")
        && (!filters.has("image") || image())
        && filters.any("id", |value| event.actor.id == value)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn event(kind: &str, action: &str, id: &str, attributes: &[(&str, &str)]) -> Event {
        let attributes = attributes
            .iter()
            .map(|(k, v)| ((*k).to_owned(), (*v).to_owned()))
            .collect();
        document(kind, action, id, attributes, Timestamp::UNIX_EPOCH)
    }

    #[test]
    fn filters_choose_by_type_action_actor_and_label() {
        let die = event(
            "container",
            "die",
            "abcdef",
            &[("image", "busybox:1"), ("name", "web"), ("a", "1")],
        );
        let accepted = |key: &str, value: &str| accepts(&Filters::default().with(key, value), &die);
        assert!(accepted("type", "container") && !accepted("type", "image"));
        assert!(accepted("event", "die") && !accepted("event", "start"));
        assert!(
            accepted("container", "web")
                && accepted("container", "abcd")
                && !accepted("container", "db")
        );
        assert!(
            accepted("image", "busybox")
                && accepted("image", "busybox:1")
                && !accepted("image", "alpine")
        );
        assert!(accepted("label", "a=1") && !accepted("label", "a=2"));
        assert!(!accepted("volume", "web"));
        let exec = event("container", "exec_start: ls -l", "abcdef", &[]);
        assert!(accepts(
            &Filters::default().with("event", "exec_start"),
            &exec
        ));
    }

    #[test]
    fn only_the_last_events_are_kept() {
        let events = Events::default();
        for number in 0..1100 {
            events.tell("container", "start", &number.to_string(), TextMap::new());
        }
        let (kept, _) = events.listen();
        assert_eq!((kept.len(), kept[0].id.as_str()), (KEPT, "76"));
    }
}
