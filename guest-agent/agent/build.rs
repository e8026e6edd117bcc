//! Builds the program of the embedded image `proa/hello` and packs it as `docker save` would, into `OUT_DIR/hello.tar.gz`.
//!
//! The program is compiled for the agent's own processor and linked statically, by a cargo of its own, because its
//! profile (small before fast) and its target (musl, where it is installed) are not the agent's.

use std::env;
use std::fs;
use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::process::Command;

use flate2::{Compression, write::GzEncoder};
use serde_json::{Value, json};
use sha2::{Digest as _, Sha256};

/// Fixed, so that the same source gives the same image.
const CREATED: &str = "2026-01-01T00:00:00Z";
const CREATED_SECONDS: u64 = 1_767_225_600;

fn main() {
    let agent = PathBuf::from(env::var_os("CARGO_MANIFEST_DIR").expect("cargo sets it"));
    let hello = agent
        .parent()
        .expect("the agent lies beside hello")
        .join("hello");
    println!("cargo::rerun-if-changed={}", hello.display());
    println!("cargo::rerun-if-changed=build.rs");
    let out = PathBuf::from(env::var_os("OUT_DIR").expect("cargo sets it"));
    let program = build(&hello, &out.join("hello"));
    fs::write(out.join("hello.tar.gz"), archive(&program)).expect("OUT_DIR can be written");
}

/// Compiles the program, and returns its bytes.
fn build(hello: &Path, target_dir: &Path) -> Vec<u8> {
    let target = target();
    let mut cargo = Command::new(env::var_os("CARGO").expect("cargo sets it"));
    cargo
        .args([
            "build",
            "--quiet",
            "--profile",
            "hello",
            "--target",
            &target,
            "--manifest-path",
        ])
        .arg(hello.join("Cargo.toml"))
        .arg("--target-dir")
        .arg(target_dir)
        .env("RUSTFLAGS", rust_flags())
        // Those of the outer cargo would make this one check, lint or measure instead of build.
        .env_remove("CARGO_ENCODED_RUSTFLAGS")
        .env_remove("RUSTC_WORKSPACE_WRAPPER")
        .env_remove("CARGO_BUILD_TARGET")
        .env_remove("CARGO_TARGET_DIR");
    let status = cargo.status().expect("cargo starts");
    assert!(
        status.success(),
        "building proa-hello for {target}: {status}"
    );
    let program = target_dir.join(&target).join("hello/hello");
    fs::read(&program).unwrap_or_else(|error| panic!("read {}: {error}", program.display()))
}

/// The flags of the outer build, and a static C library.
fn rust_flags() -> String {
    let outer = env::var("CARGO_ENCODED_RUSTFLAGS")
        .unwrap_or_default()
        .replace('\x1f', " ");
    format!("{outer} -C target-feature=+crt-static -C relocation-model=static")
}

/// The agent's own target, with musl instead of another C library where this toolchain has it.
fn target() -> String {
    let own = env::var("TARGET").expect("cargo sets it");
    let musl = own.replace("-gnu", "-musl");
    let rustc = Command::new(env::var_os("RUSTC").expect("cargo sets it"))
        .args(["--print", "target-libdir", "--target", &musl])
        .output()
        .expect("rustc starts");
    let library = String::from_utf8_lossy(&rustc.stdout).trim().to_owned();
    if Path::new(&library).is_dir() {
        musl
    } else {
        own
    }
}

/// A docker-archive of one layer with one file.
fn archive(program: &[u8]) -> Vec<u8> {
    let layer = tar(&[("hello", 0o755, program)]);
    let config = config(&digest(&layer)).to_string().into_bytes();
    let config_name = format!("{}.json", digest(&config));
    let manifest = json!([{
        "Config": config_name, "RepoTags": ["proa/hello:latest"], "Layers": ["layer.tar"],
    }]);
    let whole = tar(&[
        ("layer.tar", 0o644, &layer),
        (&config_name, 0o644, &config),
        ("manifest.json", 0o644, manifest.to_string().as_bytes()),
    ]);
    let mut gzip = GzEncoder::new(Vec::new(), Compression::best());
    gzip.write_all(&whole)
        .and_then(|()| gzip.finish())
        .expect("a vector takes every byte")
}

fn config(layer: &str) -> Value {
    let architecture = match env::var("CARGO_CFG_TARGET_ARCH").as_deref() {
        Ok("aarch64") => "arm64",
        _ => "amd64",
    };
    json!({
        "architecture": architecture,
        "os": "linux",
        "created": CREATED,
        "config": {
            "Entrypoint": ["/hello"],
            "Env": ["PATH=/"],
            "WorkingDir": "/",
            "Labels": {
                "org.opencontainers.image.title": "proa/hello",
                "org.opencontainers.image.description": "What a container sees of itself",
                "org.opencontainers.image.version": env!("CARGO_PKG_VERSION"),
                "org.opencontainers.image.licenses": "Apache-2.0",
            },
        },
        "rootfs": { "type": "layers", "diff_ids": [format!("sha256:{layer}")] },
        "history": [{ "created": CREATED, "created_by": "proa-hello", "comment": "carried inside proa-agent" }],
    })
}

fn tar(files: &[(&str, u32, &[u8])]) -> Vec<u8> {
    let mut builder = tar::Builder::new(Vec::new());
    for (path, mode, content) in files {
        let mut header = tar::Header::new_ustar();
        header.set_mode(*mode);
        header.set_uid(0);
        header.set_gid(0);
        header.set_mtime(CREATED_SECONDS);
        header.set_size(content.len() as u64);
        builder
            .append_data(&mut header, path, *content)
            .expect("a vector takes every byte");
    }
    builder.into_inner().expect("a vector takes every byte")
}

fn digest(bytes: &[u8]) -> String {
    Sha256::digest(bytes)
        .iter()
        .map(|byte| format!("{byte:02x}"))
        .collect()
}
