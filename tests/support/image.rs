//! Images made on the spot from the machine's static busybox, without anybody's build tool.

use std::io::Write as _;

use flate2::Compression;
use flate2::write::GzEncoder;
use serde_json::{Value, json};
use sha2::{Digest as _, Sha256};

use super::http::Client;
use super::registry::Registry;
use super::unique;

/// The commands that tests type; all of them are one binary.
const APPLETS: &[&str] = &[
    "[",
    "awk",
    "base64",
    "basename",
    "cat",
    "chmod",
    "chown",
    "cp",
    "cut",
    "date",
    "dd",
    "df",
    "dirname",
    "dmesg",
    "du",
    "echo",
    "env",
    "expr",
    "false",
    "find",
    "free",
    "grep",
    "head",
    "hostname",
    "httpd",
    "id",
    "ifconfig",
    "ip",
    "kill",
    "ln",
    "ls",
    "md5sum",
    "mkdir",
    "mkfifo",
    "mknod",
    "mktemp",
    "mount",
    "mv",
    "nc",
    "nice",
    "nproc",
    "nslookup",
    "od",
    "pidof",
    "ping",
    "printf",
    "ps",
    "pwd",
    "readlink",
    "reset",
    "rm",
    "rmdir",
    "sed",
    "seq",
    "setsid",
    "sh",
    "sha256sum",
    "sleep",
    "sort",
    "stat",
    "stty",
    "su",
    "sync",
    "tail",
    "tar",
    "tee",
    "test",
    "time",
    "timeout",
    "top",
    "touch",
    "tr",
    "true",
    "truncate",
    "tty",
    "umount",
    "uname",
    "uniq",
    "uptime",
    "usleep",
    "vi",
    "watch",
    "wc",
    "wget",
    "which",
    "whoami",
    "xargs",
    "yes",
];

/// The entries of one layer, in order.
pub struct Files(tar::Builder<Vec<u8>>);

impl Files {
    /// A tar of what `fill` adds.
    pub fn tar(fill: impl FnOnce(Files) -> Files) -> Vec<u8> {
        let mut builder = tar::Builder::new(Vec::new());
        builder.mode(tar::HeaderMode::Deterministic);
        fill(Files(builder))
            .0
            .into_inner()
            .expect("a vector takes every byte")
    }

    pub fn folder(self, path: &str, mode: u32) -> Self {
        self.entry(path, mode, tar::EntryType::Directory, None, b"")
    }

    pub fn file(self, path: &str, mode: u32, content: &[u8]) -> Self {
        self.entry(path, mode, tar::EntryType::Regular, None, content)
    }

    pub fn symlink(self, path: &str, target: &str) -> Self {
        self.entry(path, 0o777, tar::EntryType::Symlink, Some(target), b"")
    }

    pub fn hard_link(self, path: &str, target: &str) -> Self {
        self.entry(path, 0o777, tar::EntryType::Link, Some(target), b"")
    }

    /// Marks `path` of the layers below as deleted.
    pub fn whiteout(self, path: &str) -> Self {
        let (folder, name) = path.rsplit_once('/').unwrap_or((".", path));
        self.file(&format!("{folder}/.wh.{name}"), 0o644, b"")
    }

    fn entry(
        mut self,
        path: &str,
        mode: u32,
        kind: tar::EntryType,
        target: Option<&str>,
        content: &[u8],
    ) -> Self {
        let mut header = tar::Header::new_gnu();
        header.set_entry_type(kind);
        header.set_mode(mode);
        header.set_uid(0);
        header.set_gid(0);
        header.set_mtime(1_700_000_000);
        header.set_size(content.len() as u64);
        match target {
            Some(target) => self.0.append_link(&mut header, path, target),
            None => self.0.append_data(&mut header, path, content),
        }
        .unwrap_or_else(|error| panic!("add {path} to a layer: {error}"));
        self
    }
}

/// An image under construction: layers as plain tar archives, and the `config` part of its configuration.
#[derive(Clone)]
pub struct Image {
    layers: Vec<Vec<u8>>,
    config: Value,
}

impl Image {
    /// No layer at all, and a label of its own, so that no two images share an id.
    pub fn empty() -> Self {
        let config = json!({ "Env": ["PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"], "Labels": { "test": unique() } });
        Self {
            layers: Vec::new(),
            config,
        }
    }

    /// A shell and the usual commands, `root` and `daemon` as users, `/tmp` for everybody.
    pub fn busybox() -> Self {
        let busybox = std::fs::read("/bin/busybox").expect("busybox-static is installed");
        Self::empty().layer(|files| {
            let mut files = files
                .folder("bin", 0o755)
                .folder("etc", 0o755)
                .folder("root", 0o700)
                .folder("tmp", 0o1777)
                .file("bin/busybox", 0o755, &busybox)
                .file("etc/passwd", 0o644, b"root:x:0:0:root:/root:/bin/sh\ndaemon:x:1:1:daemon:/usr/sbin:/bin/false\nsailor:x:1000:1000::/home/sailor:/bin/sh\n")
                .file("etc/group", 0o644, b"root:x:0:\ndaemon:x:1:\ncrew:x:500:sailor\nsailor:x:1000:\n");
            for applet in APPLETS {
                files = files.hard_link(&format!("bin/{applet}"), "bin/busybox");
            }
            files
        })
        .cmd(&["sh"])
    }

    /// One more layer on top.
    pub fn layer(mut self, fill: impl FnOnce(Files) -> Files) -> Self {
        self.layers.push(Files::tar(fill));
        self
    }

    /// One more layer from bytes that need not be a tar archive at all.
    pub fn raw_layer(mut self, bytes: Vec<u8>) -> Self {
        self.layers.push(bytes);
        self
    }

    pub fn cmd(self, words: &[&str]) -> Self {
        self.set("Cmd", json!(words))
    }

    pub fn entrypoint(self, words: &[&str]) -> Self {
        self.set("Entrypoint", json!(words))
    }

    /// Any field of the configuration, in Docker's spelling.
    pub fn set(mut self, key: &str, value: Value) -> Self {
        self.config[key] = value;
        self
    }

    fn configuration(&self) -> Vec<u8> {
        let diff_ids: Vec<_> = self.layers.iter().map(|layer| digest(layer)).collect();
        let history: Vec<_> = diff_ids.iter().map(|id| json!({ "created": "2023-11-14T22:13:20Z", "created_by": format!("layer {id}") })).collect();
        let architecture = if cfg!(target_arch = "aarch64") {
            "arm64"
        } else {
            "amd64"
        };
        let document = json!({
            "architecture": architecture, "os": "linux", "created": "2023-11-14T22:13:20Z",
            "config": self.config, "rootfs": { "type": "layers", "diff_ids": diff_ids }, "history": history,
        });
        document.to_string().into_bytes()
    }

    /// The image id: the digest of its configuration.
    pub fn id(&self) -> String {
        digest(&self.configuration())
    }

    /// As `docker save` writes it, under `name`.
    pub fn archive(&self, name: &str) -> Vec<u8> {
        let configuration = self.configuration();
        let config_name = format!("{}.json", &digest(&configuration)[7..]);
        let layer_names: Vec<_> = (0..self.layers.len())
            .map(|index| format!("{index}/layer.tar"))
            .collect();
        let manifest =
            json!([{ "Config": config_name, "RepoTags": [name], "Layers": layer_names }]);
        let mut files = Files(tar::Builder::new(Vec::new()));
        for (path, layer) in layer_names.iter().zip(&self.layers) {
            files = files.file(path, 0o644, layer);
        }
        files
            .file(&config_name, 0o644, &configuration)
            .file("manifest.json", 0o644, manifest.to_string().as_bytes())
            .0
            .into_inner()
            .expect("a vector takes every byte")
    }

    /// Uploads it with gzip layers; the answer is the name to pull.
    pub fn push(&self, registry: &Registry, repository: &str, tag: &str) -> String {
        let mut api = registry.api();
        let configuration = self.configuration();
        let config = upload(
            &mut api,
            repository,
            "application/vnd.oci.image.config.v1+json",
            &configuration,
        );
        let layers: Vec<_> = self
            .layers
            .iter()
            .map(|layer| {
                upload(
                    &mut api,
                    repository,
                    "application/vnd.oci.image.layer.v1.tar+gzip",
                    &gzip(layer),
                )
            })
            .collect();
        let kind = "application/vnd.oci.image.manifest.v1+json";
        let manifest =
            json!({ "schemaVersion": 2, "mediaType": kind, "config": config, "layers": layers });
        let path = format!("/v2/{repository}/manifests/{tag}");
        api.send(
            "PUT",
            &path,
            &[("Content-Type", kind)],
            manifest.to_string().as_bytes(),
        )
        .ok();
        format!("{}/{repository}:{tag}", registry.address())
    }
}

/// Puts one blob into a repository; the answer is its descriptor.
pub fn upload(api: &mut Client, repository: &str, media_type: &str, bytes: &[u8]) -> Value {
    let digest = digest(bytes);
    let begun = api
        .post(&format!("/v2/{repository}/blobs/uploads/"), &Value::Null)
        .ok();
    let location = begun.header("location").expect("an upload has a location");
    let path = location
        .split_once("//")
        .map_or(location, |(_, rest)| &rest[rest.find('/').unwrap_or(0)..]);
    let joint = if path.contains('?') { '&' } else { '?' };
    let path = format!("{path}{joint}digest={digest}");
    api.send(
        "PUT",
        &path,
        &[("Content-Type", "application/octet-stream")],
        bytes,
    )
    .ok();
    json!({ "mediaType": media_type, "digest": digest, "size": bytes.len() })
}

pub fn gzip(bytes: &[u8]) -> Vec<u8> {
    let mut encoder = GzEncoder::new(Vec::new(), Compression::fast());
    encoder
        .write_all(bytes)
        .and_then(|()| encoder.finish())
        .expect("a vector takes every byte")
}

pub fn digest(bytes: &[u8]) -> String {
    let hex: String = Sha256::digest(bytes)
        .iter()
        .map(|byte| format!("{byte:02x}"))
        .collect();
    format!("sha256:{hex}")
}
