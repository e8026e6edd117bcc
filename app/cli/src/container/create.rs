//! `create`: a container that does not run yet.

use std::fs::File;
use std::io::{self, Write};

use clap::Args;
use proa_host::{EngineError, Request};
use serde::Deserialize;
use serde_json::Value;

use super::flags::CreateFlags;
use super::spec::{self, Attached, Surroundings};
use crate::failure::{Exit, Failure};
use crate::image::platform;
use crate::image::pull::{self, Pull};
use crate::output;
use crate::session::Session;
use crate::terminal::resize;
use crate::verb::Act;

/// Flags of `create`.
#[derive(Args, Debug)]
pub(crate) struct Create {
    #[command(flatten)]
    flags: CreateFlags,
}

impl Act for Create {
    async fn act(self, session: &Session) -> Result<Exit, Failure> {
        let attached = Attached::of(&self.flags, false)?;
        let id = create(session, &self.flags, attached)
            .await
            .map_err(|failure| failure.with_code(1))?;
        output::line(&id)?;
        Ok(Exit::OK)
    }
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Created {
    id: String,
    #[serde(default)]
    warnings: Option<Vec<String>>,
}

/// Makes the container, and downloads its image where that is wanted; returns its ID.
pub(crate) async fn create(
    session: &Session,
    flags: &CreateFlags,
    attached: Attached,
) -> Result<String, Failure> {
    let terminal = if flags.tty { resize::size() } else { None };
    let document = spec::document(flags, attached, &Surroundings::here(terminal))?;
    let mut id_file = flags.cidfile.as_deref().map(IdFile::reserve).transpose()?;
    let pull = Pull {
        image: flags.words[0].clone(),
        platform: platform(flags.platform.as_ref()),
        quiet: flags.quiet,
    };
    if flags.pull == "always" {
        pull::run(session, &pull, pull::Show::OnStderr).await?;
    }
    let created = match post(session, flags, &document).await {
        Err(EngineError::Refused {
            status: 404,
            message,
        }) if flags.pull != "never" && is_missing_image(&message) => {
            if !flags.quiet {
                eprintln!(
                    "Unable to find image '{}' locally",
                    with_tag(&flags.words[0])
                );
            }
            pull::run(session, &pull, pull::Show::OnStderr).await?;
            post(session, flags, &document).await?
        }
        other => other?,
    };
    for warning in created.warnings.iter().flatten() {
        eprintln!("WARNING: {warning}");
    }
    if let Some(file) = &mut id_file {
        file.write(&created.id)?;
    }
    Ok(created.id)
}

async fn post(
    session: &Session,
    flags: &CreateFlags,
    document: &Value,
) -> Result<Created, EngineError> {
    let engine = match session.engine() {
        Ok(engine) => engine,
        // The session was asked for the engine before; it cannot be gone.
        Err(failure) => {
            return Err(EngineError::Refused {
                status: 0,
                message: failure.to_string(),
            });
        }
    };
    let name = (!flags.name.is_empty()).then_some(&flags.name);
    let request = Request::post(&["containers", "create"])
        .maybe("name", name)
        .maybe("platform", platform(flags.platform.as_ref()));
    engine.ask(request.json(document)).await
}

fn is_missing_image(message: &str) -> bool {
    message.to_ascii_lowercase().contains("no such image")
}

/// The name with the tag that Docker adds.
fn with_tag(image: &str) -> String {
    let last = image.rsplit('/').next().unwrap_or(image);
    if last.contains([':', '@']) {
        image.to_owned()
    } else {
        format!("{image}:latest")
    }
}

/// The file of `--cidfile`: reserved before the container is made, removed again if it never is.
struct IdFile {
    path: String,
    file: File,
    written: bool,
}

impl IdFile {
    fn reserve(path: &str) -> Result<Self, Failure> {
        match File::create_new(path) {
            Ok(file) => Ok(Self {
                path: path.to_owned(),
                file,
                written: false,
            }),
            Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {
                Err(Failure::usage(format!(
                    "container ID file found, make sure the other container isn't running or delete {path}"
                )))
            }
            Err(source) => Err(Failure::io(
                format!("create the container ID file {path}"),
                source,
            )),
        }
    }

    fn write(&mut self, id: &str) -> Result<(), Failure> {
        let written = self.file.write_all(id.as_bytes());
        written.map_err(|source| {
            Failure::io(format!("write the container ID to {}", self.path), source)
        })?;
        self.written = true;
        Ok(())
    }
}

impl Drop for IdFile {
    fn drop(&mut self) {
        if !self.written {
            let _ = std::fs::remove_file(&self.path);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_without_a_tag_get_the_latest() {
        for (name, expected) in [
            ("a", "a:latest"),
            ("h:5000/a", "h:5000/a:latest"),
            ("a:1", "a:1"),
            ("a@sha256:0", "a@sha256:0"),
        ] {
            assert_eq!(with_tag(name), expected);
        }
    }
}
