//! Finding an image by what a user types.

use super::{State, Store};
use crate::digest::Digest;
use crate::error::Error;
use crate::image::{HistoryLine, Image};
use crate::reference::Reference;

impl Store {
    /// The image by that name, digest, id or unambiguous prefix of an id.
    pub fn find(&self, name: &str) -> Result<Image, Error> {
        let state = self.state();
        let id = find(&state, name)?;
        state
            .image(&id)
            .ok_or_else(|| Error::NoSuchImage(name.into()))
    }

    /// How an image was made, newest first.
    pub fn history(&self, name: &str) -> Result<Vec<HistoryLine>, Error> {
        let state = self.state();
        let id = find(&state, name)?;
        let known = state
            .images
            .get(&id)
            .ok_or_else(|| Error::NoSuchImage(name.into()))?;
        let config = &known.record.config;
        let mut layers = config.rootfs.diff_ids.iter();
        let mut lines = Vec::new();
        for entry in &config.history {
            let layer = if entry.empty_layer {
                None
            } else {
                layers.next()
            };
            let size = layer
                .and_then(|diff| state.layers.get(diff))
                .map_or(0, |layer| layer.size);
            let created = entry
                .created
                .parse::<jiff::Timestamp>()
                .map_or(0, jiff::Timestamp::as_second);
            let (created_by, comment) = (entry.created_by.clone(), entry.comment.clone());
            lines.push(HistoryLine {
                id: None,
                created,
                created_by,
                tags: Vec::new(),
                size,
                comment,
            });
        }
        lines.reverse();
        // The ancestors that were made here have ids to show.
        let mut next = Some(id);
        for line in &mut lines {
            let Some(id) = next else { break };
            line.tags = state.tags_of(&id);
            next = state
                .images
                .get(&id)
                .and_then(|known| known.row.parent.clone());
            line.id = Some(id);
        }
        Ok(lines)
    }
}

/// Ids first, then names, then prefixes of ids: Docker's order.
pub(crate) fn find(state: &State, name: &str) -> Result<Digest, Error> {
    let visible = |id: &Digest| state.images.get(id).is_some_and(|known| !known.row.hidden);
    let hex = name.strip_prefix("sha256:").unwrap_or(name);
    if let Ok(id) = Digest::from_hex(hex) {
        return if visible(&id) {
            Ok(id)
        } else {
            Err(Error::NoSuchImage(name.into()))
        };
    }
    let reference = Reference::parse(name);
    if let Ok(reference) = &reference
        && let Some(id) = named(state, reference)
    {
        return Ok(id);
    }
    let is_hex = !hex.is_empty() && hex.bytes().all(|b| matches!(b, b'0'..=b'9' | b'a'..=b'f'));
    if is_hex {
        let mut found = state
            .visible()
            .filter(|known| known.row.id.hex().starts_with(hex));
        match (found.next(), found.next()) {
            (Some(known), None) => return Ok(known.row.id.clone()),
            (Some(_), Some(_)) => return Err(Error::Ambiguous(hex.into())),
            _ => {}
        }
    }
    Err(Error::NoSuchImage(reference?.or_latest().familiar()))
}

/// What a name points to. With both a tag and a digest, the digest counts.
pub(crate) fn named(state: &State, reference: &Reference) -> Option<Digest> {
    let reference = reference.clone().or_latest();
    let id = match (reference.digest(), reference.tag()) {
        (Some(digest), _) => state.digests.get(&(reference.name(), digest.clone())),
        (None, tag) => state.tags.get(&(reference.name(), tag?.to_owned())),
    };
    id.filter(|id| state.images.get(id).is_some_and(|known| !known.row.hidden))
        .cloned()
}
