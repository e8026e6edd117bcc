//! A context for Docker's clients that leads to the machine (or another engine). Only what is ours is written.

use std::io;
use std::path::PathBuf;

use serde_json::{Map, Value, json};

use super::file;
use crate::contexts;
use crate::endpoint::docker_folder;

/// Why there is no context.
#[derive(Debug, thiserror::Error)]
pub enum ContextError {
    /// Somebody else made it.
    #[error(
        "there is a context {0} already, for another engine; choose another name with --name, or remove it with `docker context rm {0}`"
    )]
    Foreign(String),
    /// A name that no folder can have.
    #[error("{0:?} is no name for a context: letters, digits and any of _ . + - make one")]
    Name(String),
    /// The file is not what Docker writes.
    #[error("understand {}", .0.display())]
    Parse(PathBuf, #[source] serde_json::Error),
    /// A call to the operating system failed.
    #[error("{doing} {}", .path.display())]
    Io {
        /// What was attempted.
        doing: &'static str,
        /// On what.
        path: PathBuf,
        /// What the operating system said.
        source: io::Error,
    },
}

/// Makes the context `name` for the engine at `address`; one of ours that is there is brought up to date.
pub fn create(name: &str, address: &str) -> Result<(), ContextError> {
    check(name)?;
    let path = contexts::meta_file(&docker_folder(), name);
    if let Some(existing) = read(&path)?
        && existing["Metadata"]["Description"] != DESCRIPTION
    {
        return Err(ContextError::Foreign(name.to_owned()));
    }
    let meta = json!({
        "Name": name,
        "Metadata": {"Description": DESCRIPTION},
        "Endpoints": {"docker": {"Host": address, "SkipTLSVerify": false}},
    });
    write(path, &meta)
}

/// Makes `name` the context that Docker's clients use; everything else in their settings stays as it is.
pub fn select(name: &str) -> Result<(), ContextError> {
    let path = docker_folder().join("config.json");
    let mut settings = read(&path)?.unwrap_or_else(|| Value::Object(Map::new()));
    if settings["currentContext"] == name {
        return Ok(());
    }
    if !settings.is_object() {
        let error = serde::de::Error::custom("expected an object");
        return Err(ContextError::Parse(path, error));
    }
    settings["currentContext"] = name.into();
    write(path, &settings)
}

/// By this we know our own.
const DESCRIPTION: &str = "Proa's engine";

/// Docker's own rule (`restrictedNamePattern` of its command line).
fn check(name: &str) -> Result<(), ContextError> {
    let letters = |c: char| c.is_ascii_alphanumeric() || "_.+-".contains(c);
    let starts = name.starts_with(|c: char| c.is_ascii_alphanumeric());
    if name.len() > 1 && starts && name.chars().all(letters) && name != "default" {
        return Ok(());
    }
    Err(ContextError::Name(name.to_owned()))
}

fn read(path: &std::path::Path) -> Result<Option<Value>, ContextError> {
    match std::fs::read(path) {
        Ok(bytes) => {
            let parsed = serde_json::from_slice(&bytes);
            Ok(Some(
                parsed.map_err(|e| ContextError::Parse(path.into(), e))?,
            ))
        }
        Err(e) if e.kind() == io::ErrorKind::NotFound => Ok(None),
        Err(source) => Err(ContextError::Io {
            doing: "read",
            path: path.into(),
            source,
        }),
    }
}

fn write(path: PathBuf, document: &Value) -> Result<(), ContextError> {
    let text = serde_json::to_vec_pretty(document);
    let text = text.map_err(|e| ContextError::Parse(path.clone(), e))?;
    file::replace(&path, &text).map_err(|source| ContextError::Io {
        doing: "write",
        path,
        source,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_those_that_docker_takes() {
        for good in ["proa", "a.b-c_d+1"] {
            assert!(check(good).is_ok(), "{good}");
        }
        for bad in ["", "a", "-x", "a/b", "default", "ä1"] {
            assert!(check(bad).is_err(), "{bad}");
        }
    }
}
