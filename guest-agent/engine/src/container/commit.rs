//! `commit`: an image of what a container has changed, on top of its own.

use std::sync::Arc;

use proa_images::{ContainerDefaults, ImageConfig, NewImage, changes, files::IdShift};
use proa_protocol::ContainerConfig;

use super::{Container, definition::Definition, merge::merge, state::State};
use crate::{Engine, Error, Result, error::Context, image::tagged};

/// What to make of it.
#[derive(Clone, Debug, Default)]
pub struct CommitOptions {
    /// The image's name; empty: none.
    pub repository: String,
    /// Its tag.
    pub tag: String,
    /// What it is.
    pub comment: String,
    /// Who made it.
    pub author: String,
    /// Nothing runs in the container meanwhile.
    pub pause: bool,
    /// Instructions of a Dockerfile that change the image's configuration.
    pub changes: Vec<String>,
    /// A configuration to start from instead of the container's.
    pub config: Option<ContainerConfig>,
}

impl Container {
    /// Makes an image; its id. Goes on when the caller goes away, so that what was paused goes on too.
    pub async fn commit(&self, options: CommitOptions) -> Result<String> {
        let container = self.clone();
        let work = tokio::spawn(async move { container.commit_to_the_end(options).await });
        work.await
            .context(|| format!("commit container {}", self.id))?
    }

    async fn commit_to_the_end(&self, options: CommitOptions) -> Result<String> {
        let engine = self.engine()?;
        let seen = self.seen();
        if matches!(seen.state, State::Removing(_)) {
            return Err(Error::conflict(format!(
                "You cannot commit container {} which is being removed",
                self.id
            )));
        }
        let new = image_of(&engine, &seen.definition, &options)?;
        let pauses = options.pause && matches!(seen.state, State::Running(_));
        if pauses {
            self.pause().await?;
        }
        let made = self.make_image(&engine, new).await;
        if pauses && let Err(error) = self.unpause().await {
            tracing::warn!(id = %self.id, error = error.told(), "going on after a commit failed");
        }
        let (id, name) = made?;
        let comment = ("comment", options.comment);
        self.tell(
            "commit",
            &[comment, ("imageID", id.clone()), ("imageRef", name)],
        );
        Ok(id)
    }

    async fn make_image(&self, engine: &Arc<Engine>, new: NewImage) -> Result<(String, String)> {
        let upper = engine.paths.container(&self.id).join("upper");
        let ids = self.seen().definition.ids.map(|range| IdShift {
            first: range.first,
            size: range.size,
        });
        let name = new
            .reference
            .as_ref()
            .map(proa_images::Reference::familiar)
            .unwrap_or_default();
        let engine = Arc::clone(engine);
        let work = move || engine.images().commit(&upper, ids, new);
        let made = tokio::task::spawn_blocking(work).await;
        let image = made.context(|| format!("commit container {}", self.id))??;
        Ok((image.id().to_string(), name))
    }
}

/// What the image is to be, but for its new layer.
fn image_of(engine: &Engine, definition: &Definition, options: &CommitOptions) -> Result<NewImage> {
    let reference = match options.repository.as_str() {
        "" => None,
        repository => Some(tagged(repository, &options.tag)?),
    };
    let below = engine.images().find(&definition.image)?;
    let container = defaults(&definition.config)?;
    let mut config = match &options.config {
        Some(config) => defaults(config)?,
        None => container.clone(),
    };
    changes::apply(&mut config, options.changes.iter().map(String::as_str))
        .map_err(|error| Error::bad(error.to_string()))?;
    let base = ImageConfig {
        config: merged(&config, &container)?,
        ..below.config().clone()
    };
    let command = definition.config.cmd.as_deref().unwrap_or_default();
    Ok(NewImage {
        reference,
        base,
        parent: Some(below.id().clone()),
        created_by: command.join(" "),
        comment: options.comment.clone(),
        author: options.author.clone(),
    })
}

/// What is left open comes from the container, as a container's comes from its image.
fn merged(config: &ContainerDefaults, container: &ContainerDefaults) -> Result<ContainerDefaults> {
    let attempt = || "read the image's configuration".to_owned();
    let text = serde_json::to_value(config).context(attempt)?;
    let mut merged: ContainerConfig = serde_json::from_value(text).context(attempt)?;
    merge(&mut merged, container);
    defaults(&merged)
}

/// A container's configuration as an image's: both have the same words.
fn defaults(config: &ContainerConfig) -> Result<ContainerDefaults> {
    let attempt = || "read the container's configuration".to_owned();
    let text = serde_json::to_value(config).context(attempt)?;
    serde_json::from_value(text).context(attempt)
}
