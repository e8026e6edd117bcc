//! Images that come and go: pull, push, load, save, import, commit.

use std::io::{Read, Write};

use proa_images::{Credentials, ImageConfig, NewImage, Platform, Reference};
use proa_protocol::progress::{Progress, ProgressDetail};
use proa_protocol::{AuthConfig, Descriptor, DistributionInspect, OciPlatform};

use super::tagged;
use crate::{Engine, Error, Result};

/// Where an image is pulled from or pushed to.
#[derive(Clone, Debug, Default)]
pub struct ImageSource {
    /// The name, with or without a tag or a digest.
    pub name: String,
    /// The tag or digest, if it is not part of the name.
    pub tag: String,
    /// `os/arch/variant`; the machine's own where there is none.
    pub platform: Option<String>,
    /// The client's credentials.
    pub credentials: Option<AuthConfig>,
}

impl Engine {
    /// `POST /images/create?fromImage=…`. Each line of progress goes to `say`.
    pub async fn image_pull(
        &self,
        source: &ImageSource,
        say: impl Fn(Progress) + Send + Sync,
    ) -> Result<()> {
        let reference = tagged(&source.name, &source.tag)?;
        let platform = source
            .platform
            .as_deref()
            .map(str::parse::<Platform>)
            .transpose();
        let platform = platform.map_err(proa_images::Error::from)?;
        let credentials = source.credentials.clone().map(credentials);
        let opening = match (reference.tag(), reference.digest()) {
            (_, Some(digest)) => Progress::of(
                digest.to_string(),
                format!("Pulling from {}", reference.path()),
            ),
            (tag, None) => Progress::of(
                tag.unwrap_or_default(),
                format!("Pulling from {}", reference.path()),
            ),
        };
        let opened = std::sync::Once::new();
        let told = |progress| {
            // The line that names the image comes first, and only once the registry has answered at all.
            opened.call_once(|| {
                say(Progress {
                    detail: None,
                    ..opening.clone()
                });
            });
            say(worded(progress));
        };
        let pulled = self
            .images()
            .pull(&reference, platform.as_ref(), credentials.as_ref(), told)
            .await?;
        self.tell_reference("pull", &pulled.image, &reference);
        Ok(())
    }

    /// `POST /images/{name}/push`
    pub async fn image_push(
        &self,
        source: &ImageSource,
        say: impl Fn(Progress) + Send + Sync,
    ) -> Result<()> {
        let reference = tagged(&source.name, &source.tag)?;
        let credentials = source.credentials.clone().map(credentials);
        let image = self.images().find(&reference.familiar()).map_err(|_| {
            let name = reference.familiar_name();
            Error::not_found(format!(
                "An image does not exist locally with the tag: {name}"
            ))
        })?;
        say(Progress::status(format!(
            "The push refers to repository [{}]",
            reference.name()
        )));
        self.images()
            .push(&reference, credentials.as_ref(), |progress| {
                say(worded(progress));
            })
            .await?;
        self.tell_reference("push", &image, &reference);
        Ok(())
    }

    /// `POST /images/create?fromImage=…` for a name without a tag: every tag of the repository, one after the other.
    pub async fn image_pull_all(
        &self,
        source: &ImageSource,
        say: impl Fn(Progress) + Send + Sync,
    ) -> Result<()> {
        let reference = Reference::parse(&source.name).map_err(proa_images::Error::from)?;
        let auth = source.credentials.clone().map(credentials);
        let tags = self.images().remote_tags(&reference, auth.as_ref()).await?;
        for tag in tags {
            let one = ImageSource {
                tag,
                ..source.clone()
            };
            self.image_pull(&one, &say).await?;
        }
        Ok(())
    }

    /// `GET /distribution/{name}/json`
    pub async fn image_distribution(
        &self,
        name: &str,
        auth: Option<AuthConfig>,
    ) -> Result<DistributionInspect> {
        let reference = Reference::parse(name).map_err(proa_images::Error::from)?;
        let auth = auth.map(credentials);
        let found = self
            .images()
            .distribution(&reference, auth.as_ref())
            .await?;
        let platform = |platform: Platform| OciPlatform {
            architecture: platform.architecture,
            os: platform.os,
            variant: platform.variant,
            ..OciPlatform::default()
        };
        Ok(DistributionInspect {
            descriptor: Descriptor {
                media_type: found.descriptor.media_type,
                digest: found.descriptor.digest.to_string(),
                size: found.descriptor.size as i64,
                ..Descriptor::default()
            },
            platforms: found.platforms.into_iter().map(platform).collect(),
        })
    }

    /// `POST /images/load`. Blocks.
    pub fn image_load(&self, archive: impl Read, say: impl Fn(Progress)) -> Result<()> {
        let loaded = self
            .images()
            .load(archive, |progress| say(worded(progress)))?;
        for loaded in loaded {
            let id = loaded.image.id();
            let line = |text: String| Progress {
                stream: text,
                ..Progress::default()
            };
            if loaded.tags.is_empty() {
                say(line(format!("Loaded image ID: {id}\n")));
            }
            for tag in &loaded.tags {
                say(line(format!("Loaded image: {}\n", tag.familiar())));
            }
            self.tell_image("load", id, id.as_str());
        }
        Ok(())
    }

    /// `GET /images/get`. Blocks.
    pub fn image_save(&self, names: &[String], to: impl Write) -> Result<()> {
        self.images().save(names, to)?;
        for name in names {
            if let Ok(image) = self.images().find(name) {
                self.tell_image("save", image.id(), image.id().as_str());
            }
        }
        Ok(())
    }

    /// `POST /images/create?fromSrc=-`. Blocks; the answer is the new image's id.
    pub fn image_import(
        &self,
        tar: impl Read,
        name: Option<(&str, &str)>,
        message: &str,
        mut base: ImageConfig,
    ) -> Result<String> {
        let here = Platform::host();
        if base.os.is_empty() {
            (base.os, base.architecture) = (here.os, here.architecture);
        }
        let reference = name
            .map(|(repository, tag)| tagged(repository, tag))
            .transpose()?;
        let comment = if message.is_empty() {
            "Imported from -".to_owned()
        } else {
            message.to_owned()
        };
        let new = NewImage {
            reference,
            base,
            comment,
            ..NewImage::default()
        };
        let image = self.images().import(tar, new)?;
        self.tell_image("import", image.id(), image.id().as_str());
        Ok(image.id().to_string())
    }
}

/// The client's credentials in the store's terms.
pub(crate) fn credentials(auth: AuthConfig) -> Credentials {
    Credentials {
        username: auth.username,
        password: auth.password,
        identity_token: auth.identitytoken,
        registry_token: auth.registrytoken,
    }
}

/// A line of the store's in Docker's words.
fn worded(progress: proa_images::Progress) -> Progress {
    let mut line = match (progress.id, progress.detail) {
        (None, _) => Progress::status(progress.status),
        (Some(id), None) => Progress::of(id, progress.status),
        (Some(id), Some(detail)) => {
            Progress::measured(id, progress.status, detail.current, detail.total)
        }
    };
    if let Some(pushed) = progress.pushed {
        let result = serde_json::json!({
            "Tag": pushed.tag, "Digest": pushed.digest.to_string(), "Size": pushed.size,
        });
        line = Progress {
            detail: Some(ProgressDetail::default()),
            ..Progress::result(result)
        };
    }
    line
}
