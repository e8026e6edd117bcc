//! Images as Docker's API shows them: the store's plain values as documents, and its verbs with the events they
//! cause.

mod collect;
mod documents;
mod transfer;

use std::collections::BTreeMap;

use proa_images::{Digest, Image, Reference, RemoveOptions, Removed, Summary};
use proa_protocol::{
    AuthConfig, Filters, HistoryEntry, ImageDeleted, ImageInspect, ImagePruneResponse,
    ImageSearchResult, ImageSummary, TextMap,
};

pub use collect::Keeping;
pub(crate) use collect::Uses;
pub use transfer::ImageSource;
pub(crate) use transfer::credentials;

use crate::{Engine, Result};

impl Engine {
    /// `GET /images/json`. `shared` tells how much of each is shared with others, which takes longer.
    pub async fn image_list(
        &self,
        filters: &Filters,
        all: bool,
        shared: bool,
    ) -> Result<Vec<ImageSummary>> {
        let known = [
            "dangling",
            "label",
            "label!",
            "before",
            "since",
            "until",
            "reference",
        ];
        let summaries = self.images().list(&store_filters(filters, &known)?, all)?;
        let line = |summary: &Summary| ImageSummary {
            shared_size: if shared {
                summary.shared_size as i64
            } else {
                -1
            },
            ..documents::summary(&summary.image)
        };
        Ok(summaries.iter().map(line).collect())
    }

    /// Every image with what it shares and how many containers were made of it.
    pub(crate) async fn image_usage(&self) -> Result<Vec<ImageSummary>> {
        let used = self.containers_by_image().await?;
        let mut list = self.image_list(&Filters::default(), false, true).await?;
        for line in &mut list {
            line.containers = used.get(&line.id).copied().unwrap_or_default();
            // Docker says it here with another word than in its list.
            line.repo_digests = line.repo_digests.take().filter(|list| !list.is_empty());
        }
        Ok(list)
    }

    /// How many containers were made of each image.
    async fn containers_by_image(&self) -> Result<BTreeMap<String, i64>> {
        let mut used = BTreeMap::new();
        let everything = crate::ListOptions {
            all: true,
            ..crate::ListOptions::default()
        };
        for container in self.list(everything).await? {
            *used.entry(container.image_id).or_default() += 1;
        }
        Ok(used)
    }

    /// `GET /images/{name}/json`
    pub fn image_inspect(&self, name: &str) -> Result<ImageInspect> {
        Ok(documents::inspect(&self.images().find(name)?))
    }

    /// `GET /images/{name}/history`
    pub fn image_history(&self, name: &str) -> Result<Vec<HistoryEntry>> {
        Ok(self
            .images()
            .history(name)?
            .iter()
            .map(documents::history)
            .collect())
    }

    /// `GET /images/search`
    pub async fn image_search(
        &self,
        term: &str,
        limit: usize,
        auth: Option<AuthConfig>,
        filters: &Filters,
    ) -> Result<Vec<ImageSearchResult>> {
        let bad = |e: proa_protocol::BadFilter| crate::Error::bad(e.to_string());
        filters
            .only(&["is-automated", "is-official", "stars"])
            .map_err(bad)?;
        let official = filters.truth("is-official").map_err(bad)?;
        let automated = filters.truth("is-automated").map_err(bad)?;
        let stars = filters
            .values("stars")
            .filter_map(|stars| stars.parse().ok());
        let stars: i64 = stars.max().unwrap_or(0);
        let auth = auth.map(credentials);
        let found = self.images().search(term, limit, auth.as_ref()).await?;
        let fits = |found: &proa_images::SearchResult| {
            official.is_none_or(|wanted| wanted == found.is_official)
                && automated.is_none_or(|wanted| wanted == found.is_automated)
                && found.star_count >= stars
        };
        let document = |found: proa_images::SearchResult| ImageSearchResult {
            star_count: found.star_count,
            is_official: found.is_official,
            name: found.name,
            is_automated: found.is_automated,
            description: found.description,
        };
        Ok(found.into_iter().filter(fits).map(document).collect())
    }

    /// `POST /images/{name}/tag`
    pub fn image_tag(&self, name: &str, repository: &str, tag: &str) -> Result<()> {
        let reference = tagged(repository, tag)?;
        let image = self.images().tag(name, &reference)?;
        self.tell_image("tag", image.id(), &reference.familiar());
        Ok(())
    }

    /// `DELETE /images/{name}`
    pub fn image_remove(
        &self,
        name: &str,
        force: bool,
        keep_parents: bool,
    ) -> Result<Vec<ImageDeleted>> {
        let options = RemoveOptions {
            force,
            keep_parents,
        };
        let removed = self
            .images()
            .remove(name, options, &|image| self.holder(image))?;
        Ok(self.tell_removed(&removed))
    }

    /// `POST /images/prune`
    pub fn image_prune(&self, filters: &Filters) -> Result<ImagePruneResponse> {
        let filters = store_filters(filters, &["dangling", "label", "label!", "until"])?;
        let pruned = self.images().prune(&filters, &|image| self.holder(image))?;
        let removed = self.tell_removed(&pruned.removed);
        let attributes = TextMap::from([("reclaimed".to_owned(), pruned.reclaimed.to_string())]);
        self.tell("image", "prune", "", attributes);
        Ok(ImagePruneResponse {
            images_deleted: (!removed.is_empty()).then_some(removed),
            space_reclaimed: pruned.reclaimed,
        })
    }

    /// Tells what a removal did, and words it.
    fn tell_removed(&self, removed: &[Removed]) -> Vec<ImageDeleted> {
        let is_tag = |one: &Removed| matches!(one, Removed::Untagged { reference, .. } if !reference.familiar().contains('@'));
        let tags = removed.iter().any(is_tag);
        let line = |removed: &Removed| match removed {
            Removed::Untagged { reference, image } => {
                // Digests that go with the last tag of their repository go in silence.
                if !tags || !reference.familiar().contains('@') {
                    self.tell_image("untag", image, image.as_str());
                }
                ImageDeleted {
                    untagged: reference.familiar(),
                    ..ImageDeleted::default()
                }
            }
            Removed::Deleted(image) => {
                self.tell_image("delete", image, image.as_str());
                ImageDeleted {
                    deleted: image.to_string(),
                    ..ImageDeleted::default()
                }
            }
            Removed::DeletedLayer(layer) => ImageDeleted {
                deleted: layer.to_string(),
                ..ImageDeleted::default()
            },
        };
        removed.iter().map(line).collect()
    }

    /// An event between an image and its registry: the actor is the name that was asked for.
    fn tell_reference(&self, action: &str, image: &Image, reference: &Reference) {
        let actor = reference.familiar();
        let name = actor.split('@').next().unwrap_or_default();
        let name = match name.rsplit_once(':') {
            Some((name, tag)) if !tag.contains('/') => name,
            _ => name,
        };
        let mut attributes = labels(image);
        attributes.insert("name".to_owned(), name.to_owned());
        self.tell("image", action, &actor, attributes);
    }

    /// An event of an image, with its name and its labels.
    fn tell_image(&self, action: &str, image: &Digest, name: &str) {
        let mut attributes = TextMap::from([("name".to_owned(), name.to_owned())]);
        if let Ok(image) = self.images().find(image.as_str()) {
            attributes.extend(labels(&image));
        }
        self.tell("image", action, image.as_str(), attributes);
    }
}

fn labels(image: &Image) -> TextMap {
    image.config().config.labels.clone()
}

/// The filters in the store's terms.
fn store_filters(filters: &Filters, known: &[&str]) -> Result<proa_images::Filters> {
    filters
        .only(known)
        .map_err(|e| crate::Error::bad(e.to_string()))?;
    let pairs = known.iter().flat_map(|key| {
        filters
            .values(key)
            .map(|value| ((*key).to_owned(), value.to_owned()))
    });
    Ok(proa_images::Filters(pairs.collect()))
}

/// A repository and a tag, `latest` where there is none. A tag may also be a digest.
pub(crate) fn tagged(repository: &str, tag: &str) -> Result<Reference> {
    let text = match tag {
        "" => repository.to_owned(),
        digest if digest.contains(':') => format!("{repository}@{digest}"),
        tag => format!("{repository}:{tag}"),
    };
    let reference = Reference::parse(&text).map_err(proa_images::Error::from)?;
    Ok(reference.or_latest())
}
