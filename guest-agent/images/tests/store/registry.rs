//! Pulling and pushing: a real registry, connections that break, registries that lie.

use std::fs;
use std::io::{Read, Write};
use std::net::TcpListener;
use std::sync::atomic::Ordering;
use std::sync::{Arc, Mutex};
use std::thread;
use std::time::Duration;

use proa_images::{Credentials, Error, Kind, Platform, Progress, Pulled, Reference};

use crate::support::{Ground, Mischief, Proxy, Registry, Tar, eventually, noise, run};

fn block_on<T>(future: impl Future<Output = T>) -> T {
    tokio::runtime::Builder::new_multi_thread()
        .worker_threads(2)
        .enable_all()
        .build()
        .unwrap()
        .block_on(future)
}

fn pull(ground: &Ground, name: &str) -> Result<Pulled, Error> {
    block_on(
        ground
            .store
            .pull(&name.parse::<Reference>().unwrap(), None, None, |_| {}),
    )
}

fn layers(seed: u64, size: usize) -> Vec<Vec<u8>> {
    let layer = |at: u64| {
        Tar::new()
            .file(&format!("file{at}"), &noise(size, seed + at))
            .bytes()
    };
    (0..3).map(layer).collect()
}

#[test]
fn an_image_goes_round() {
    let registry = Registry::start();
    let all = layers(10, 200_000);
    registry.fill("org/app:1", &all, &["gzip", "zstd", "cat"]);
    let ground = Ground::new();
    let name = format!("{}/org/app:1", registry.address);
    let lines = Arc::new(Mutex::new(Vec::new()));
    let told = Arc::clone(&lines);
    let say = move |progress: Progress| told.lock().unwrap().push(progress.status.into_owned());
    let pulled = block_on(ground.store.pull(&name.parse().unwrap(), None, None, say)).unwrap();
    assert!(pulled.newer);
    for wanted in [
        "Pulling fs layer",
        "Verifying Checksum",
        "Download complete",
        "Pull complete",
    ] {
        assert_eq!(
            lines
                .lock()
                .unwrap()
                .iter()
                .filter(|line| *line == wanted)
                .count(),
            3,
            "{wanted}"
        );
    }
    let last = lines.lock().unwrap().last().cloned().unwrap();
    assert_eq!(last, format!("Status: Downloaded newer image for {name}"));
    assert_eq!(
        pulled.image.digests()[0].familiar(),
        format!("{}/org/app@{}", registry.address, pulled.digest)
    );
    for (at, lower) in pulled.image.lowers().iter().rev().enumerate() {
        assert_eq!(
            fs::read(lower.join(format!("file{at}"))).unwrap(),
            noise(200_000, 10 + at as u64)
        );
    }
    assert!(!pull(&ground, &name).unwrap().newer);
    let by_digest = pull(&ground, &pulled.image.digests()[0].to_string()).unwrap();
    assert_eq!(by_digest.image.id(), pulled.image.id());
    // To the same registry: mounted, with the manifest it came with. To another: made again from the files.
    let push = |name: &str| {
        ground
            .store
            .tag(pulled.image.id().as_str(), &name.parse().unwrap())
            .unwrap();
        block_on(ground.store.push(&name.parse().unwrap(), None, |_| {})).unwrap()
    };
    assert_eq!(
        push(&format!("{}/copy:1", registry.address)).digest,
        pulled.digest
    );
    let elsewhere = Registry::start();
    let there = format!("{}/other/app:2", elsewhere.address);
    let pushed = push(&there);
    assert_eq!(push(&there).digest, pushed.digest);
    let fresh = Ground::new();
    let back = pull(&fresh, &there).unwrap();
    assert_eq!(
        (back.image.id(), back.digest),
        (pulled.image.id(), pushed.digest)
    );
    run(
        "skopeo",
        &[
            "inspect",
            "--tls-verify=false",
            &format!("docker://{there}"),
        ],
    );
}

#[test]
fn connections_that_break_are_resumed() {
    let registry = Registry::start();
    let size = 3_000_000;
    let all = layers(20, size);
    registry.fill("app", &all, &["gzip", "cat"]);
    for no_ranges in [false, true] {
        // With ranges each connection may bring little; without, a try must get further than the one before.
        let cut_below = if no_ranges { size * 4 } else { size / 2 };
        let proxy = Proxy::start(
            &registry.address,
            Mischief {
                cut_below: Some(cut_below),
                no_ranges,
                slow: None,
            },
        );
        let ground = Ground::new();
        let pulled = pull(&ground, &format!("{}/app", proxy.address)).unwrap();
        assert!(proxy.cuts.load(Ordering::Relaxed) > 0, "nothing was cut");
        for (at, lower) in pulled.image.lowers().iter().rev().enumerate() {
            assert_eq!(
                fs::read(lower.join(format!("file{at}"))).unwrap(),
                noise(size, 20 + at as u64)
            );
        }
        assert_eq!(ground.left(), (3, 0));
    }
}

#[test]
fn two_pulls_of_an_image_share_the_work() {
    let registry = Registry::start();
    let digests = registry.fill("app", &layers(30, 1_000_000), &["gzip"]);
    let proxy = Proxy::start(
        &registry.address,
        Mischief {
            slow: Some(4096),
            ..Mischief::default()
        },
    );
    let ground = Ground::new();
    let name: Reference = format!("{}/app", proxy.address).parse().unwrap();
    block_on(async {
        let pull = || ground.store.pull(&name, None, None, |_| {});
        let (one, two) = tokio::join!(pull(), pull());
        assert_eq!(one.unwrap().image.id(), two.unwrap().image.id());
    });
    let requests = proxy.requests.lock().unwrap().clone();
    for digest in &digests {
        let count = requests
            .iter()
            .filter(|line| line.contains(digest.hex()))
            .count();
        assert_eq!(count, 1, "{digest} of {requests:?}");
    }
}

#[test]
fn a_stopped_pull_leaves_only_whole_layers() {
    let registry = Registry::start();
    registry.fill("app", &layers(40, 2_000_000), &["gzip"]);
    let proxy = Proxy::start(
        &registry.address,
        Mischief {
            slow: Some(1024),
            ..Mischief::default()
        },
    );
    let ground = Ground::new();
    let name: Reference = format!("{}/app", proxy.address).parse().unwrap();
    block_on(async {
        let pull = ground.store.pull(&name, None, None, |_| {});
        assert!(
            tokio::time::timeout(Duration::from_millis(700), pull)
                .await
                .is_err()
        );
    });
    eventually("half-made layers go", || ground.left().1 == 0);
    assert!(ground.store.find(&name.to_string()).is_err());
    ground.store.sweep().unwrap();
    assert_eq!(ground.left(), (0, 0));
}

#[test]
fn failures_are_told_in_dockers_words() {
    let registry = Registry::start();
    registry.fill("app", &layers(50, 1000), &["gzip"]);
    let ground = Ground::new();
    let say = |name: &str| pull(&ground, &format!("{}/{name}", registry.address)).unwrap_err();
    let missing = say("app:nope");
    let want = format!(
        "manifest for {}/app:nope not found: manifest unknown: manifest unknown",
        registry.address
    );
    assert_eq!(
        (missing.to_string(), missing.kind()),
        (want, Kind::NotFound)
    );
    assert_eq!(say("nothing").kind(), Kind::NotFound);
    let platform: Platform = "linux/s390x".parse().unwrap();
    let closed = pull(&ground, "127.0.0.1:1/app").unwrap_err();
    assert!(
        closed
            .to_string()
            .to_lowercase()
            .contains("connection refused"),
        "{closed}"
    );
    assert_eq!(closed.kind(), Kind::Unavailable);
    assert_eq!(platform.to_string(), "linux/s390x");
    let unknown = block_on(
        ground
            .store
            .push(&"127.0.0.1:1/x".parse().unwrap(), None, |_| {}),
    )
    .unwrap_err();
    assert_eq!(
        unknown.to_string(),
        "An image does not exist locally with the tag: 127.0.0.1:1/x"
    );
}

#[test]
fn damaged_layers_are_refused() {
    let registry = Registry::start();
    let digests = registry.fill("app", &layers(60, 100_000), &["gzip", "cat", "zstd"]);
    for digest in &digests {
        let path = registry.blob(digest);
        let good = fs::read(&path).unwrap();
        let mut bad = good.clone();
        let middle = bad.len() / 2;
        bad[middle] ^= 0x55;
        fs::write(&path, &bad).unwrap();
        let ground = Ground::new();
        let error = pull(&ground, &format!("{}/app", registry.address)).unwrap_err();
        assert!(
            error
                .to_string()
                .contains(&format!("verification failed for digest {digest}")),
            "{error}"
        );
        eventually("nothing half-made stays", || ground.left().1 == 0);
        assert!(
            ground
                .store
                .list(&proa_images::Filters::default(), true)
                .unwrap()
                .is_empty()
        );
        fs::write(&path, &good).unwrap();
    }
}

/// A server that answers every request with the same bytes.
fn parrot(answer: &'static [u8]) -> String {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap().to_string();
    thread::spawn(move || {
        for client in listener.incoming().filter_map(Result::ok) {
            thread::spawn(move || {
                let mut client = client;
                let mut buffer = [0; 4096];
                while let Ok(1..) = client.read(&mut buffer) {
                    if client.write_all(answer).is_err() || !answer.starts_with(b"HTTP") {
                        break;
                    }
                }
            });
        }
    });
    address
}

#[test]
fn registries_that_talk_rubbish_get_a_clear_answer() {
    let cases: [(&[u8], &str); 5] = [
        (
            b"HTTP/1.1 200 OK\r\nContent-Length: 14\r\n\r\n<html>hi</html",
            "no manifest",
        ),
        (
            b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n{}",
            "no manifest",
        ),
        (b"220 mail.example ESMTP\r\n", "/v2/"),
        (
            b"HTTP/1.1 401 Unauthorized\r\nContent-Length: 0\r\n\r\n",
            "pull access denied",
        ),
        (
            b"HTTP/1.1 302 Found\r\nLocation: /v2/loop\r\nContent-Length: 0\r\n\r\n",
            "redirects",
        ),
    ];
    for (answer, says) in cases {
        let ground = Ground::new();
        let error = pull(&ground, &format!("{}/app", parrot(answer))).unwrap_err();
        assert!(error.to_string().contains(says), "{error}");
        assert!(
            matches!(error.kind(), Kind::Unavailable | Kind::NotFound),
            "{error}"
        );
    }
}

/// A registry behind a token server: wants `user:secret` for a token, and the token for everything else.
fn guarded(registry: &str) -> String {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap().to_string();
    let (to, own) = (registry.to_owned(), address.clone());
    thread::spawn(move || {
        for client in listener.incoming().filter_map(Result::ok) {
            let (to, own) = (to.clone(), own.clone());
            thread::spawn(move || guard(client, &to, &own));
        }
    });
    address
}

fn guard(mut client: std::net::TcpStream, to: &str, own: &str) {
    let mut buffer = vec![0; 16 << 10];
    while let Ok(length @ 1..) = client.read(&mut buffer) {
        let text = String::from_utf8_lossy(&buffer[..length]).into_owned();
        let lower = text.to_lowercase();
        let answer = |status: &str, more: &str, body: &str| {
            format!(
                "HTTP/1.1 {status}\r\nContent-Length: {}\r\n{more}\r\n{body}",
                body.len()
            )
        };
        let said = if text.starts_with("GET /token") {
            // user:secret
            let known =
                text.contains("dXNlcjpzZWNyZXQ=") && text.contains("scope=repository%3Aapp%3Apull");
            let denied = r#"{"details":"incorrect username or password"}"#;
            if known {
                answer("200 OK", "", r#"{"token":"good"}"#)
            } else {
                answer("401 Unauthorized", "", denied)
            }
        } else if lower.contains("authorization: bearer good") {
            let mut server = std::net::TcpStream::connect(to).unwrap();
            let close = text.replacen("\r\n", "\r\nConnection: close\r\n", 1);
            server.write_all(close.as_bytes()).unwrap();
            drop(std::io::copy(&mut server, &mut client));
            return;
        } else {
            let challenge = format!(
                "WWW-Authenticate: Bearer realm=\"http://{own}/token\",service=\"test\"\r\n"
            );
            answer("401 Unauthorized", &challenge, "")
        };
        if client.write_all(said.as_bytes()).is_err() {
            return;
        }
    }
}

#[test]
fn tokens_are_fetched_with_credentials() {
    let registry = Registry::start();
    registry.fill("app", &layers(70, 1000), &["gzip"]);
    let name: Reference = format!("{}/app", guarded(&registry.address))
        .parse()
        .unwrap();
    let ground = Ground::new();
    let credentials = |password: &str| Credentials {
        username: "user".into(),
        password: password.into(),
        ..Credentials::default()
    };
    let pull = |credentials: Option<Credentials>| {
        block_on(ground.store.pull(&name, None, credentials.as_ref(), |_| {}))
    };
    assert!(
        pull(Some(credentials("wrong")))
            .unwrap_err()
            .to_string()
            .contains("incorrect username or password")
    );
    assert!(pull(None).is_err());
    pull(Some(credentials("secret"))).unwrap();
    let login = |password| block_on(ground.store.login(name.domain(), &credentials(password)));
    assert_eq!(login("wrong").unwrap_err().kind(), Kind::Unauthorized);
}

#[test]
fn an_index_gives_the_image_for_the_platform() {
    let registry = Registry::start();
    registry.fill("app:here", &layers(80, 1000), &["gzip"]);
    let ground = Ground::new();
    let name = format!("{}/app:here", registry.address);
    let plain = pull(&ground, &name).unwrap();
    let host = Platform::host();
    let index = serde_json::json!({"schemaVersion": 2, "mediaType": "application/vnd.oci.image.index.v1+json", "manifests": [
        {"mediaType": "application/vnd.oci.image.manifest.v1+json", "digest": plain.digest, "size": manifest_size(&registry, &plain),
         "platform": {"os": "linux", "architecture": host.architecture}},
    ]});
    put_manifest(&registry, "app", "all", &index.to_string());
    let all: Reference = format!("{}/app:all", registry.address).parse().unwrap();
    let pulled = block_on(ground.store.pull(&all, None, None, |_| {})).unwrap();
    assert_eq!(pulled.image.id(), plain.image.id());
    assert_ne!(pulled.digest, plain.digest);
    let other: Platform = "linux/s390x".parse().unwrap();
    let error = block_on(ground.store.pull(&all, Some(&other), None, |_| {})).unwrap_err();
    assert_eq!(
        error.to_string(),
        "no matching manifest for linux/s390x in the manifest list entries"
    );
    let known = block_on(ground.store.distribution(&all, None)).unwrap();
    assert_eq!(
        (known.descriptor.digest, known.platforms.len()),
        (pulled.digest, 1)
    );
}

fn manifest_size(registry: &Registry, pulled: &Pulled) -> u64 {
    fs::metadata(registry.blob(&pulled.digest)).unwrap().len()
}

fn put_manifest(registry: &Registry, path: &str, tag: &str, text: &str) {
    let mut stream = std::net::TcpStream::connect(&registry.address).unwrap();
    let kind = "application/vnd.oci.image.index.v1+json";
    write!(
        stream,
        "PUT /v2/{path}/manifests/{tag} HTTP/1.1\r\nHost: x\r\nConnection: close\r\nContent-Type: {kind}\r\nContent-Length: {}\r\n\r\n{text}",
        text.len()
    )
    .unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).unwrap();
    assert!(answer.starts_with("HTTP/1.1 201"), "{answer}");
}
