//! What the tests stand on: a store and a registry of their own, images made on the spot, a proxy that misbehaves.

use std::fs;
use std::io::{Read, Write};
use std::net::{Shutdown, TcpListener, TcpStream};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::thread;
use std::time::{Duration, Instant};

use proa_images::{Digest, Image, Settings, Store};
use serde_json::json;
use tempfile::TempDir;

/// A store in a folder of its own.
pub(crate) struct Ground {
    pub(crate) store: Store,
    pub(crate) dir: TempDir,
}

impl Ground {
    pub(crate) fn new() -> Self {
        let dir = folder();
        let store = Store::open(&dir.path().join("images"), Settings::default()).unwrap();
        Self { store, dir }
    }

    pub(crate) fn images(&self) -> PathBuf {
        self.dir.path().join("images")
    }

    /// Loads an image of these layers, bottom first.
    pub(crate) fn load(&self, name: &str, layers: &[Vec<u8>]) -> Result<Image, proa_images::Error> {
        let loaded = self.store.load(archive(name, layers).as_slice(), |_| {})?;
        Ok(loaded.into_iter().next().unwrap().image)
    }

    /// The store closed and opened again.
    pub(crate) fn reopen(self) -> Self {
        let Self { store, dir } = self;
        drop(store);
        let mut again = None;
        // A background sync may still be at work on the closed one.
        eventually("the store opens again", || {
            again = Store::open(&dir.path().join("images"), Settings::default()).ok();
            again.is_some()
        });
        let store = again.unwrap();
        Self { store, dir }
    }

    /// Folders of unpacked layers, and half-made things.
    pub(crate) fn left(&self) -> (usize, usize) {
        let count = |name: &str| fs::read_dir(self.images().join(name)).unwrap().count();
        (count("layers"), count("incoming"))
    }
}

pub(crate) fn folder() -> TempDir {
    tempfile::Builder::new()
        .prefix("proa-images-")
        .tempdir_in("/var/tmp")
        .unwrap()
}

/// Waits for something that happens in the background.
pub(crate) fn eventually(what: &str, mut check: impl FnMut() -> bool) {
    let end = Instant::now() + Duration::from_secs(30);
    while !check() {
        assert!(Instant::now() < end, "not within 30 seconds: {what}");
        thread::sleep(Duration::from_millis(20));
    }
}

/// Runs a program that must succeed.
pub(crate) fn run(program: &str, arguments: &[&str]) -> String {
    let output = Command::new(program)
        .args(arguments)
        .stdin(Stdio::null())
        .output();
    let output = output.unwrap_or_else(|error| panic!("{program}: {error}"));
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{program} {arguments:?}: {said}");
    String::from_utf8_lossy(&output.stdout).into_owned()
}

/// A tar in the making.
pub(crate) struct Tar(tar::Builder<Vec<u8>>);

impl Tar {
    pub(crate) fn new() -> Self {
        Self(tar::Builder::new(Vec::new()))
    }

    pub(crate) fn entry(
        mut self,
        kind: tar::EntryType,
        path: &str,
        link: &str,
        mode: u32,
        content: &[u8],
    ) -> Self {
        let mut header = tar::Header::new_gnu();
        // The library's setters refuse what hostile archives hold.
        header.as_old_mut().name[..path.len()].copy_from_slice(path.as_bytes());
        header.as_old_mut().linkname[..link.len()].copy_from_slice(link.as_bytes());
        header.set_entry_type(kind);
        header.set_mode(mode);
        header.set_uid(0);
        header.set_gid(0);
        header.set_mtime(1_700_000_000);
        header.set_size(content.len() as u64);
        if kind.is_character_special() || kind.is_block_special() {
            header.set_device_major(1).unwrap();
            header.set_device_minor(3).unwrap();
        }
        header.set_cksum();
        self.0.append(&header, content).unwrap();
        self
    }

    pub(crate) fn file(self, path: &str, content: &[u8]) -> Self {
        self.entry(tar::EntryType::Regular, path, "", 0o644, content)
    }

    pub(crate) fn dir(self, path: &str, mode: u32) -> Self {
        self.entry(tar::EntryType::Directory, path, "", mode, b"")
    }

    pub(crate) fn symlink(self, path: &str, to: &str) -> Self {
        self.entry(tar::EntryType::Symlink, path, to, 0o777, b"")
    }

    pub(crate) fn hard_link(self, path: &str, to: &str) -> Self {
        self.entry(tar::EntryType::Link, path, to, 0o644, b"")
    }

    pub(crate) fn bytes(self) -> Vec<u8> {
        self.0.into_inner().unwrap()
    }
}

/// Bytes that do not compress.
pub(crate) fn noise(length: usize, seed: u64) -> Vec<u8> {
    let mut state = seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1;
    let mut next = || {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        state
    };
    (0..length).map(|_| next() as u8).collect()
}

fn config(layers: &[Vec<u8>]) -> Vec<u8> {
    let diffs: Vec<Digest> = layers.iter().map(|layer| Digest::of(layer)).collect();
    let config = json!({
        "architecture": if cfg!(target_arch = "x86_64") { "amd64" } else { "arm64" },
        "os": "linux", "created": "2026-01-02T03:04:05Z",
        "config": {"Cmd": ["true"], "Labels": {"kind": "test"}},
        "rootfs": {"type": "layers", "diff_ids": diffs},
        "history": layers.iter().map(|_| json!({"created_by": "test"})).collect::<Vec<_>>(),
    });
    config.to_string().into_bytes()
}

/// An archive as `docker save` wrote it before version 25.
pub(crate) fn archive(name: &str, layers: &[Vec<u8>]) -> Vec<u8> {
    let config = config(layers);
    let id = Digest::of(&config);
    let paths: Vec<String> = (0..layers.len())
        .map(|at| format!("{at}/layer.tar"))
        .collect();
    let mut tar = Tar::new().file(&format!("{}.json", id.hex()), &config);
    for (path, layer) in paths.iter().zip(layers) {
        tar = tar.file(path, layer);
    }
    let tags = if name.is_empty() { vec![] } else { vec![name] };
    let manifest =
        json!([{"Config": format!("{}.json", id.hex()), "RepoTags": tags, "Layers": paths}]);
    tar.file("manifest.json", manifest.to_string().as_bytes())
        .bytes()
}

/// An OCI layout in a folder, its layers compressed by these programs (`cat` for none).
pub(crate) fn layout(dir: &Path, layers: &[Vec<u8>], compress: &[&str]) -> Vec<Digest> {
    let blobs = dir.join("blobs/sha256");
    fs::create_dir_all(&blobs).unwrap();
    let put = |bytes: &[u8]| {
        let digest = Digest::of(bytes);
        fs::write(blobs.join(digest.hex()), bytes).unwrap();
        digest
    };
    let mut descriptors = Vec::new();
    let mut digests = Vec::new();
    for (at, layer) in layers.iter().enumerate() {
        let program = compress[at % compress.len()];
        let bytes = filter(program, layer);
        let kind = match program {
            "zstd" => "application/vnd.oci.image.layer.v1.tar+zstd",
            "cat" => "application/vnd.oci.image.layer.v1.tar",
            _ => "application/vnd.oci.image.layer.v1.tar+gzip",
        };
        let digest = put(&bytes);
        digests.push(digest.clone());
        descriptors.push(json!({"mediaType": kind, "digest": digest, "size": bytes.len()}));
    }
    let raw = config(layers);
    let kind = "application/vnd.oci.image.manifest.v1+json";
    let manifest = json!({"schemaVersion": 2, "mediaType": kind, "layers": descriptors, "config":
        {"mediaType": "application/vnd.oci.image.config.v1+json", "digest": put(&raw), "size": raw.len()}});
    let bytes = manifest.to_string().into_bytes();
    let index = json!({"schemaVersion": 2, "manifests": [{"mediaType": kind, "digest": put(&bytes), "size": bytes.len(),
        "annotations": {"org.opencontainers.image.ref.name": "latest"}}]});
    fs::write(dir.join("index.json"), index.to_string()).unwrap();
    fs::write(dir.join("oci-layout"), r#"{"imageLayoutVersion":"1.0.0"}"#).unwrap();
    digests
}

fn filter(program: &str, input: &[u8]) -> Vec<u8> {
    let mut child = Command::new(program)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap_or_else(|e| panic!("{program}: {e}"));
    let mut stdin = child.stdin.take().unwrap();
    let input = input.to_vec();
    let feeding = thread::spawn(move || stdin.write_all(&input).unwrap());
    let mut output = Vec::new();
    child
        .stdout
        .take()
        .unwrap()
        .read_to_end(&mut output)
        .unwrap();
    feeding.join().unwrap();
    assert!(child.wait().unwrap().success());
    output
}

/// Debian's registry server on a free port.
pub(crate) struct Registry {
    child: Child,
    pub(crate) dir: TempDir,
    pub(crate) address: String,
}

impl Registry {
    pub(crate) fn start() -> Self {
        let dir = folder();
        let address = free_address();
        let config = dir.path().join("config.yml");
        let content = dir.path().join("content");
        let text = format!(
            "version: 0.1\nlog: {{level: warn}}\nstorage: {{filesystem: {{rootdirectory: {}}}, delete: {{enabled: true}}}}\nhttp: {{addr: '{address}', secret: test}}\n",
            content.display()
        );
        fs::write(&config, text).unwrap();
        let log = fs::File::create(dir.path().join("log")).unwrap();
        let child = Command::new("docker-registry")
            .arg("serve")
            .arg(&config)
            .env("OTEL_TRACES_EXPORTER", "none")
            .stdout(log.try_clone().unwrap())
            .stderr(log)
            .spawn()
            .expect("docker-registry is installed");
        let registry = Self {
            child,
            dir,
            address,
        };
        eventually("the registry answers", || {
            TcpStream::connect(&registry.address).is_ok()
        });
        registry
    }

    /// Pushes an image with skopeo; gives the layers' blob digests.
    pub(crate) fn fill(&self, name: &str, layers: &[Vec<u8>], compress: &[&str]) -> Vec<Digest> {
        let dir = self
            .dir
            .path()
            .join(format!("layout-{}", name.replace(['/', ':'], "-")));
        let digests = layout(&dir, layers, compress);
        let from = format!("oci:{}:latest", dir.display());
        run(
            "skopeo",
            &[
                "copy",
                "--quiet",
                "--preserve-digests",
                "--dest-tls-verify=false",
                &from,
                &format!("docker://{}/{name}", self.address),
            ],
        );
        digests
    }

    /// Where the server keeps a blob.
    pub(crate) fn blob(&self, digest: &Digest) -> PathBuf {
        let hex = digest.hex();
        self.dir.path().join(format!(
            "content/docker/registry/v2/blobs/sha256/{}/{hex}/data",
            &hex[..2]
        ))
    }
}

impl Drop for Registry {
    fn drop(&mut self) {
        drop(self.child.kill());
        drop(self.child.wait());
    }
}

fn free_address() -> String {
    TcpListener::bind("127.0.0.1:0")
        .unwrap()
        .local_addr()
        .unwrap()
        .to_string()
}

/// What a proxy does to the connections through it.
#[derive(Clone, Copy, Default)]
pub(crate) struct Mischief {
    /// Cut each connection after a random number of bytes below this one.
    pub(crate) cut_below: Option<usize>,
    /// Hide range requests from the server.
    pub(crate) no_ranges: bool,
    /// Bytes per millisecond, if it is slow.
    pub(crate) slow: Option<usize>,
}

/// A proxy in front of a registry.
pub(crate) struct Proxy {
    pub(crate) address: String,
    pub(crate) cuts: Arc<AtomicUsize>,
    /// First lines of the requests.
    pub(crate) requests: Arc<Mutex<Vec<String>>>,
}

impl Proxy {
    pub(crate) fn start(to: &str, mischief: Mischief) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap().to_string();
        let cuts = Arc::new(AtomicUsize::new(0));
        let requests = Arc::new(Mutex::new(Vec::new()));
        let (to, count, seen) = (to.to_owned(), Arc::clone(&cuts), Arc::clone(&requests));
        thread::spawn(move || {
            for (number, client) in listener.incoming().enumerate() {
                let (Ok(client), Ok(server)) = (client, TcpStream::connect(&to)) else {
                    continue;
                };
                let (up, down) = (client.try_clone().unwrap(), server.try_clone().unwrap());
                let seen = Arc::clone(&seen);
                thread::spawn(move || upwards(up, server, mischief, &seen));
                let count = Arc::clone(&count);
                let random = u64::from_le_bytes(noise(8, number as u64 + 77).try_into().unwrap());
                thread::spawn(move || downwards(down, client, mischief, random, &count));
            }
        });
        Self {
            address,
            cuts,
            requests,
        }
    }
}

fn upwards(mut from: TcpStream, mut to: TcpStream, mischief: Mischief, seen: &Mutex<Vec<String>>) {
    let mut buffer = vec![0; 64 << 10];
    while let Ok(length @ 1..) = from.read(&mut buffer) {
        let mut text = buffer[..length].to_vec();
        if let Some(line) = text
            .split(|b| *b == b'\r')
            .next()
            .filter(|_| text.starts_with(b"GET"))
        {
            seen.lock()
                .unwrap()
                .push(String::from_utf8_lossy(line).into_owned());
        }
        if mischief.no_ranges
            && let Some(at) = text
                .windows(8)
                .position(|w| w.eq_ignore_ascii_case(b"\r\nrange:"))
        {
            text[at + 2] = b'x';
        }
        if to.write_all(&text).is_err() {
            break;
        }
    }
    drop(to.shutdown(Shutdown::Both));
}

fn downwards(
    mut from: TcpStream,
    mut to: TcpStream,
    mischief: Mischief,
    random: u64,
    cuts: &AtomicUsize,
) {
    // Small answers pass, so that the manifest arrives.
    let mut left = mischief
        .cut_below
        .map_or(usize::MAX, |most| 4096 + random as usize % most);
    let mut buffer = vec![0; 16 << 10];
    while let Ok(length @ 1..) = from.read(&mut buffer) {
        let pass = length.min(left);
        if to.write_all(&buffer[..pass]).is_err() {
            break;
        }
        if let Some(rate) = mischief.slow {
            thread::sleep(Duration::from_millis((pass / rate) as u64));
        }
        left -= pass;
        if left == 0 {
            cuts.fetch_add(1, Ordering::Relaxed);
            break;
        }
    }
    drop(to.shutdown(Shutdown::Both));
    drop(from.shutdown(Shutdown::Both));
}

/// An overlay of an image's layers, mounted read-only.
pub(crate) struct Merged(TempDir);

impl Merged {
    pub(crate) fn mount(image: &Image) -> Self {
        let point = folder();
        let bottom = point.path().join("bottom");
        let at = point.path().join("merged");
        fs::create_dir_all(&bottom).unwrap();
        fs::create_dir_all(&at).unwrap();
        // Option strings are short: the layers are named by links.
        let mut names = Vec::new();
        for (number, lower) in image.lowers().iter().enumerate() {
            let link = point.path().join(number.to_string());
            std::os::unix::fs::symlink(lower, &link).unwrap();
            names.push(link.display().to_string());
        }
        names.push(bottom.display().to_string());
        let options = format!("lowerdir={}", names.join(":"));
        run(
            "mount",
            &[
                "-t",
                "overlay",
                "overlay",
                "-o",
                &options,
                at.to_str().unwrap(),
            ],
        );
        Self(point)
    }

    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.0.path().join("merged").join(name)
    }
}

impl Drop for Merged {
    fn drop(&mut self) {
        drop(
            Command::new("umount")
                .arg(self.0.path().join("merged"))
                .status(),
        );
    }
}
