//! Taking away images that nobody needs, by a setting: those that were not used for some time, and the longest unused
//! ones while all layers together take more room than they may.

use std::{collections::HashMap, sync::Mutex, time::Duration};

use jiff::Timestamp;
use proa_images::{Digest, RemoveOptions};

use crate::{Engine, Result, clock, engine::lock};

/// What may stay. Without either everything stays.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Keeping {
    /// Images that no container was made of for so long go.
    pub age: Option<Duration>,
    /// The longest unused images go while layers take more bytes.
    pub bytes: Option<u64>,
}

/// When images were last used, as far as this process saw it.
pub(crate) struct Uses {
    began: Timestamp,
    last: Mutex<HashMap<String, Timestamp>>,
}

impl Default for Uses {
    fn default() -> Self {
        Self {
            began: clock::now(),
            last: Mutex::default(),
        }
    }
}

impl Uses {
    /// A container is made of it.
    pub(crate) fn note(&self, image: &str) {
        lock(&self.last).insert(image.to_owned(), clock::now());
    }

    /// An image that was used before this process began counts as used when it began: nothing is taken too early.
    fn last(&self, image: &str, tagged_at: i64) -> Timestamp {
        let noted = lock(&self.last).get(image).copied();
        noted
            .unwrap_or(self.began)
            .max(clock::from_nanoseconds(tagged_at))
    }
}

/// An image that no container was made of.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Unused<T> {
    image: T,
    since: Timestamp,
}

/// The longest unused first, and how many of them are too old.
fn in_order<T>(
    mut unused: Vec<Unused<T>>,
    age: Option<Duration>,
    now: Timestamp,
) -> (Vec<Unused<T>>, usize) {
    unused.sort_by_key(|one| one.since);
    let too_old = |one: &Unused<T>| {
        let rested = Duration::try_from(now.duration_since(one.since)).unwrap_or_default();
        age.is_some_and(|age| rested >= age)
    };
    let old = unused.iter().take_while(|one| too_old(one)).count();
    (unused, old)
}

impl Engine {
    /// Takes away what need not stay; the answer is how many images went. Blocks.
    pub fn collect_images(&self, keep: Keeping) -> Result<usize> {
        if keep == Keeping::default() {
            return Ok(0);
        }
        let listed = self.images().list(&proa_images::Filters::default(), true)?;
        let unused = listed.into_iter().filter_map(|summary| {
            let image = summary.image;
            let since = self.image_uses.last(image.id().as_str(), image.tagged_at());
            let image = image.id().clone();
            self.holder(&image)
                .is_none()
                .then_some(Unused { image, since })
        });
        let (unused, old) = in_order(unused.collect(), keep.age, clock::now());
        let mut gone = 0;
        for (at, one) in unused.iter().enumerate() {
            let too_much = || {
                keep.bytes
                    .is_some_and(|most| self.images().layers_size() > most)
            };
            if at >= old && !too_much() {
                break;
            }
            gone += usize::from(self.collect(&one.image)?);
        }
        Ok(gone)
    }

    /// With all of its names. A container that was made of it meanwhile keeps it.
    fn collect(&self, image: &Digest) -> Result<bool> {
        let held = |image: &Digest| self.holder(image);
        let options = RemoveOptions {
            force: true,
            ..RemoveOptions::default()
        };
        if held(image).is_some() {
            return Ok(false);
        }
        match self.images().remove(image.as_str(), options, &held) {
            Ok(removed) => {
                tracing::info!("took away image {image}, which was not used");
                self.tell_removed(&removed);
                Ok(true)
            }
            // Gone already, or needed by another image or container.
            Err(proa_images::Error::Conflict(_) | proa_images::Error::NoSuchImage(_)) => Ok(false),
            Err(error) => Err(error.into()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_longest_unused_go_first() {
        let at = |hours: i64| Timestamp::from_second(hours * 3600).unwrap();
        let unused = [5, 1, 9].map(|hours| Unused {
            image: hours,
            since: at(hours),
        });
        let order = |age| {
            let (order, old) = in_order(unused.to_vec(), age, at(10));
            (
                order.into_iter().map(|one| one.image).collect::<Vec<_>>(),
                old,
            )
        };
        assert_eq!(order(None), (vec![1, 5, 9], 0));
        assert_eq!(
            order(Some(Duration::from_secs(5 * 3600))),
            (vec![1, 5, 9], 2)
        );
    }
}
