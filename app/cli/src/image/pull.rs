//! `pull`: images from a registry.

use clap::Args;
use proa_host::Request;
use proa_host::credentials::{Settings, server_of_image};

use super::platform;
use crate::failure::{Exit, Failure};
use crate::output;
use crate::output::progress::{self, Step};
use crate::session::Session;
use crate::verb::Act;

pub(crate) use crate::output::progress::Show;

/// Flags of `pull`.
#[derive(Args, Debug)]
pub(crate) struct PullFlags {
    /// Download all tags of the repository
    #[arg(short, long)]
    all_tags: bool,
    /// Download for this platform (os/arch/variant)
    #[arg(long)]
    platform: Option<String>,
    /// Print the name only
    #[arg(short, long)]
    quiet: bool,
    /// For compatibility; images are never signed here
    #[arg(long, hide = true)]
    disable_content_trust: bool,
    #[arg(value_name = "NAME[:TAG|@DIGEST]")]
    image: String,
}

impl Act for PullFlags {
    async fn act(self, session: &Session) -> Result<Exit, Failure> {
        let name = Name::of(&self.image);
        if self.all_tags && (name.tag.is_some() || name.digest.is_some()) {
            return Err(Failure::usage("tag can't be used with --all-tags/-a"));
        }
        if !self.quiet && !self.all_tags && name.tag.is_none() && name.digest.is_none() {
            output::line("Using default tag: latest")?;
        }
        let show = if self.quiet {
            Show::Nothing
        } else {
            Show::OnStdout
        };
        let pull = Pull {
            image: self.image.clone(),
            platform: platform(self.platform.as_ref()),
            quiet: self.quiet,
        };
        download(session, &pull, show, self.all_tags).await?;
        output::line(&full(&name, self.all_tags))?;
        Ok(Exit::OK)
    }
}

/// One download.
#[derive(Debug)]
pub(crate) struct Pull {
    pub(crate) image: String,
    pub(crate) platform: Option<String>,
    pub(crate) quiet: bool,
}

/// Downloads an image and shows how it goes.
pub(crate) async fn run(session: &Session, pull: &Pull, show: Show) -> Result<(), Failure> {
    download(
        session,
        pull,
        if pull.quiet { Show::Nothing } else { show },
        false,
    )
    .await
}

async fn download(
    session: &Session,
    pull: &Pull,
    show: Show,
    all_tags: bool,
) -> Result<(), Failure> {
    let name = Name::of(&pull.image);
    let tag = match (name.digest, name.tag) {
        (Some(digest), _) => Some(digest),
        (None, Some(tag)) => Some(tag),
        (None, None) if all_tags => None,
        (None, None) => Some("latest"),
    };
    let mut request = Request::post(&["images", "create"])
        .query("fromImage", name.repository)
        .maybe("tag", tag)
        .maybe("platform", pull.platform.as_ref());
    if let Some(credentials) = Settings::load()?.find(&server_of_image(name.repository))? {
        request = request.header("x-registry-auth", credentials.header());
    }
    progress::follow(session.engine()?.send(request).await?.lines::<Step>(), show).await
}

/// An image's name in parts.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Name<'a> {
    pub(crate) repository: &'a str,
    pub(crate) tag: Option<&'a str>,
    pub(crate) digest: Option<&'a str>,
}

impl<'a> Name<'a> {
    pub(crate) fn of(image: &'a str) -> Self {
        let (rest, digest) = match image.split_once('@') {
            Some((rest, digest)) => (rest, Some(digest)),
            None => (image, None),
        };
        let (repository, tag) = match rest.rsplit_once(':') {
            Some((repository, tag)) if !tag.contains('/') => (repository, Some(tag)),
            _ => (rest, None),
        };
        Self {
            repository,
            tag,
            digest,
        }
    }
}

/// The name with everything that Docker leaves out, as `pull` prints it at the end.
fn full(name: &Name<'_>, all_tags: bool) -> String {
    let first = name.repository.split('/').next().unwrap_or_default();
    let has_domain =
        name.repository.contains('/') && (first.contains(['.', ':']) || first == "localhost");
    let repository = match (has_domain, name.repository.contains('/')) {
        (true, _) => name.repository.to_owned(),
        (false, true) => format!("docker.io/{}", name.repository),
        (false, false) => format!("docker.io/library/{}", name.repository),
    };
    match (name.digest, name.tag) {
        (Some(digest), _) => format!("{repository}@{digest}"),
        (None, Some(tag)) => format!("{repository}:{tag}"),
        (None, None) if all_tags => repository,
        (None, None) => format!("{repository}:latest"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_come_apart_at_the_right_places() {
        for (image, expected) in [
            ("alpine", "docker.io/library/alpine:latest"),
            ("me/app:1", "docker.io/me/app:1"),
            ("h:5000/a", "h:5000/a:latest"),
            ("h:5000/a:2@sha256:00", "h:5000/a@sha256:00"),
            ("localhost/a", "localhost/a:latest"),
        ] {
            assert_eq!(full(&Name::of(image), false), expected);
        }
    }
}
