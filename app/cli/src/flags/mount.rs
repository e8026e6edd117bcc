//! `--mount type=…,source=…,target=…`, and `--volume`.

use std::path::Path;

use serde_json::{Value, json};

use super::document::Document;
use super::{bytes, csv};
use crate::failure::Failure;

/// Reads one `--mount`; a relative source of a bind is taken from `here`.
pub(crate) fn parse(text: &str, here: &Path) -> Result<Value, Failure> {
    let bad =
        |what: String| Failure::usage(format!("invalid argument {text:?} for --mount: {what}"));
    let mut draft = Draft {
        kind: "volume".to_owned(),
        ..Draft::default()
    };
    for (key, value) in csv::pairs(text).map_err(bad)? {
        draft.set(&key, value.as_deref()).map_err(bad)?;
    }
    draft.finish(here).map_err(bad)
}

#[derive(Default)]
struct Draft {
    kind: String,
    source: String,
    mount: Document,
    bind: Document,
    volume: Document,
    image: Document,
    tmpfs: Document,
    labels: Vec<String>,
    driver: String,
    driver_options: Vec<String>,
    has_target: bool,
}

impl Draft {
    fn set(&mut self, key: &str, value: Option<&str>) -> Result<(), String> {
        let flag = || match value {
            None | Some("true" | "1") => Ok(true),
            Some("false" | "0") => Ok(false),
            Some(other) => Err(format!("invalid value for {key}: {other}")),
        };
        match key {
            "readonly" | "ro" => drop(self.mount.put("ReadOnly", flag()?)),
            "volume-nocopy" => drop(self.volume.put("NoCopy", flag()?)),
            "bind-nonrecursive" => drop(self.bind.put("NonRecursive", flag()?)),
            "bind-create-src" => drop(self.bind.put("CreateMountpoint", flag()?)),
            _ => {
                let value =
                    value.ok_or_else(|| format!("invalid field {key:?}: expected key=value"))?;
                self.set_text(key, value)?;
            }
        }
        Ok(())
    }

    fn set_text(&mut self, key: &str, value: &str) -> Result<(), String> {
        match key {
            "type" => self.kind = value.to_ascii_lowercase(),
            "source" | "src" => value.clone_into(&mut self.source),
            "target" | "dst" | "destination" => {
                self.has_target = !value.is_empty();
                self.mount.put("Target", value);
            }
            "consistency" => drop(self.mount.put("Consistency", value)),
            "bind-propagation" => drop(self.bind.put("Propagation", value.to_ascii_lowercase())),
            "bind-recursive" => self.recursive(value)?,
            "volume-subpath" => drop(self.volume.put("Subpath", value)),
            "volume-label" => self.labels.push(value.to_owned()),
            "volume-driver" => value.clone_into(&mut self.driver),
            "volume-opt" => self.driver_options.push(value.to_owned()),
            "image-subpath" => drop(self.image.put("Subpath", value)),
            "tmpfs-size" => drop(self.tmpfs.put("SizeBytes", bytes::positive(value)?)),
            "tmpfs-mode" => {
                let mode = u32::from_str_radix(value, 8)
                    .map_err(|_| format!("invalid value for {key}: {value}"))?;
                self.tmpfs.put("Mode", mode);
            }
            _ => return Err(format!("unexpected key {key:?} in {key}={value}")),
        }
        Ok(())
    }

    fn recursive(&mut self, value: &str) -> Result<(), String> {
        match value {
            "enabled" => {}
            "disabled" => drop(self.bind.put("NonRecursive", true)),
            "writable" => drop(self.bind.put("ReadOnlyNonRecursive", true)),
            "readonly" => drop(self.bind.put("ReadOnlyForceRecursive", true)),
            _ => {
                return Err(format!(
                    "invalid value for bind-recursive: {value}: expected enabled, disabled, writable or readonly"
                ));
            }
        }
        Ok(())
    }

    fn finish(mut self, here: &Path) -> Result<Value, String> {
        if !self.has_target {
            return Err("target is required".to_owned());
        }
        if !matches!(
            self.kind.as_str(),
            "bind" | "volume" | "tmpfs" | "image" | "npipe" | "cluster"
        ) {
            return Err(format!("unknown type {:?}", self.kind));
        }
        if self.kind == "bind" && self.source.starts_with('.') {
            self.source = absolute(&self.source, here);
        }
        if !self.driver.is_empty() || !self.driver_options.is_empty() {
            let mut driver = Document::default();
            driver
                .put("Name", &self.driver)
                .put("Options", super::pairs::map(&self.driver_options));
            self.volume.put("DriverConfig", driver);
        }
        self.volume.put("Labels", super::pairs::map(&self.labels));
        let options = [
            ("bind", "BindOptions", self.bind),
            ("volume", "VolumeOptions", self.volume),
            ("image", "ImageOptions", self.image),
            ("tmpfs", "TmpfsOptions", self.tmpfs),
        ];
        self.mount
            .always("Type", &self.kind)
            .put("Source", &self.source);
        for (kind, field, document) in options {
            if document != Document::default() && kind != self.kind {
                return Err(format!(
                    "cannot mix {kind} options with a mount of type {}",
                    self.kind
                ));
            }
            self.mount.put(field, document);
        }
        Ok(self.mount.into_value())
    }
}

/// What `--volume` asks for.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Volume {
    /// A path that gets a volume of its own.
    Anonymous(String),
    /// `source:target[:options]`, with a relative source made absolute.
    Bind(String),
}

/// Reads one `--volume`.
pub(crate) fn volume(text: &str, here: &Path) -> Result<Volume, Failure> {
    let Some((source, rest)) = text.split_once(':') else {
        return Ok(Volume::Anonymous(text.to_owned()));
    };
    if source.is_empty() || rest.is_empty() {
        return Err(Failure::usage(format!(
            "invalid volume specification: {text:?}: expected source:target[:options]"
        )));
    }
    let source = if source.starts_with('.') {
        absolute(source, here)
    } else {
        source.to_owned()
    };
    Ok(Volume::Bind(format!("{source}:{rest}")))
}

fn absolute(source: &str, here: &Path) -> String {
    use std::path::Component;
    let mut path = std::path::PathBuf::new();
    for part in here.join(source).components() {
        match part {
            Component::CurDir => {}
            Component::ParentDir => drop(path.pop()),
            Component::Prefix(_) | Component::RootDir | Component::Normal(_) => path.push(part),
        }
    }
    path.to_string_lossy().into_owned()
}

/// `--tmpfs path[:options]` as a pair.
pub(crate) fn tmpfs(text: &str) -> (String, String) {
    let (path, options) = text.split_once(':').unwrap_or((text, ""));
    (path.to_owned(), options.to_owned())
}

/// The documents of an exposed path: Docker's maps with empty values.
pub(crate) fn empty() -> Value {
    json!({})
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(text: &str, expected: &str) {
        let shown = parse(text, Path::new("/home/me"))
            .map_or_else(|failure| failure.to_string(), |mount| mount.to_string());
        assert!(shown.ends_with(expected), "{text}: {shown}");
    }

    #[test]
    fn mounts_carry_only_the_options_of_their_type() {
        check(
            "source=v,target=/d",
            r#"{"Target":"/d","Type":"volume","Source":"v"}"#,
        );
        check(
            "type=bind,src=./x,dst=/d,ro",
            r#"{"Target":"/d","ReadOnly":true,"Type":"bind","Source":"/home/me/x"}"#,
        );
        check(
            "type=bind,src=/x,dst=/d,bind-propagation=rslave",
            r#"{"Target":"/d","Type":"bind","Source":"/x","BindOptions":{"Propagation":"rslave"}}"#,
        );
        check(
            "type=tmpfs,dst=/d,tmpfs-size=1m,tmpfs-mode=1770",
            r#"{"Target":"/d","Type":"tmpfs","TmpfsOptions":{"SizeBytes":1048576,"Mode":1016}}"#,
        );
        check(
            "dst=/d,volume-driver=local,volume-opt=type=tmpfs,volume-label=a=b",
            r#""VolumeOptions":{"DriverConfig":{"Name":"local","Options":{"type":"tmpfs"}},"Labels":{"a":"b"}}}"#,
        );
        check("type=bind,src=/x", "target is required");
        check(
            "type=bind,dst=/x,tmpfs-size=1",
            "cannot mix tmpfs options with a mount of type bind",
        );
        check("type=x,dst=/x", "unknown type \"x\"");
        check("dst=/x,frob=1", "unexpected key \"frob\" in frob=1");
    }

    #[test]
    fn volumes_are_anonymous_or_binds() {
        let check = |text: &str, expected: Volume| {
            assert_eq!(volume(text, Path::new("/here")).ok(), Some(expected));
        };
        check("/data", Volume::Anonymous("/data".into()));
        check("name:/data:ro", Volume::Bind("name:/data:ro".into()));
        check("./a/../b:/data", Volume::Bind("/here/b:/data".into()));
        assert!(volume(":/x", Path::new("/")).is_err() && volume("x:", Path::new("/")).is_err());
    }
}
