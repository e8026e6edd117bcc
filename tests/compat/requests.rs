//! `proa` sends the engine what the real `docker` command line sends it.
//!
//! Both are run against a socket that answers every request the same way and keeps what was asked. Fields that say
//! nothing (null, false, 0, empty) are left out of the comparison: Docker sends them, and the engine reads them as it
//! reads their absence.

#[path = "../support/mod.rs"]
mod support;

use std::io::{BufRead, BufReader, Read, Write};
use std::os::unix::net::{UnixListener, UnixStream};
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::mpsc::{Receiver, Sender, channel};

use serde_json::{Map, Value};

/// A socket that plays the engine until it is dropped.
struct Recorder {
    socket: PathBuf,
    heard: Receiver<(String, Value)>,
}

impl Recorder {
    fn start() -> Self {
        let socket = std::env::temp_dir().join(format!("proa-requests-{}.sock", support::unique()));
        let listener = UnixListener::bind(&socket).expect("the folder is ours");
        let (sender, heard) = channel();
        std::thread::spawn(move || {
            for stream in listener.incoming().flatten() {
                let sender = sender.clone();
                std::thread::spawn(move || answer(&stream, &sender));
            }
        });
        Self { socket, heard }
    }

    /// Runs a client, and returns the document it sent to the path that ends in `path`.
    fn record(&self, program: &Path, arguments: &[&str], path: &str) -> Value {
        let address = format!("unix://{}", self.socket.display());
        let output = Command::new(program)
            .args(arguments)
            .env("PROA_HOST", &address)
            .env("DOCKER_HOST", &address)
            .env("DOCKER_CONFIG", "/nonexistent")
            .env("FROM_HERE", "yes")
            .current_dir("/tmp")
            .output()
            .expect("the client runs");
        let documents: Vec<_> = self
            .heard
            .try_iter()
            .filter(|(heard, _)| heard.ends_with(path))
            .collect();
        assert!(
            documents.len() == 1,
            "{arguments:?}: heard {documents:?}, and the client said {}",
            String::from_utf8_lossy(&output.stderr)
        );
        documents
            .into_iter()
            .map(|(_, document)| said(document))
            .next()
            .expect("there is one")
    }
}

impl Drop for Recorder {
    fn drop(&mut self) {
        let _ = std::fs::remove_file(&self.socket);
    }
}

/// Answers requests on one connection until the client is gone.
fn answer(stream: &UnixStream, sender: &Sender<(String, Value)>) {
    let mut reader = BufReader::new(stream);
    while let Some((method, path, body)) = request(&mut reader) {
        let document = serde_json::from_slice(&body).unwrap_or(Value::Null);
        let bare = path.split('?').next().unwrap_or_default().to_owned();
        let _ = sender.send((bare.clone(), document));
        let text = if bare.ends_with("_ping") {
            "OK"
        } else {
            r#"{"Id":"0123456789abcdef","Name":"n","Warnings":[]}"#
        };
        let head = "HTTP/1.1 200 OK\r\nApi-Version: 1.47\r\nOstype: linux\r\nContent-Type: application/json";
        let text = if method == "HEAD" { "" } else { text };
        let _ = write!(
            &mut &*stream,
            "{head}\r\nContent-Length: {}\r\n\r\n{text}",
            text.len()
        );
    }
}

/// Method, path and body of the next request.
fn request(reader: &mut BufReader<&UnixStream>) -> Option<(String, String, Vec<u8>)> {
    let mut line = String::new();
    reader
        .read_line(&mut line)
        .ok()
        .filter(|count| *count > 0)?;
    let (method, rest) = line.split_once(' ')?;
    let (method, path) = (method.to_owned(), rest.split(' ').next()?.to_owned());
    let mut length = 0;
    loop {
        let mut header = String::new();
        reader.read_line(&mut header).ok()?;
        let header = header.trim().to_ascii_lowercase();
        if header.is_empty() {
            break;
        }
        if let Some(value) = header.strip_prefix("content-length:") {
            length = value.trim().parse().ok()?;
        }
    }
    let mut body = vec![0; length];
    reader.read_exact(&mut body).ok()?;
    Some((method, path, body))
}

/// A document without the fields that say nothing, and with variables in the order of their names (Docker's is not
/// the same in every run).
fn said(document: Value) -> Value {
    match document {
        Value::Object(fields) => {
            let fields = fields.into_iter().map(|(name, value)| (name, said(value)));
            let mut fields: Map<String, Value> =
                fields.filter(|(name, value)| says(name, value)).collect();
            if let Some(Value::Array(variables)) = fields.get_mut("Env") {
                variables.sort_by_key(ToString::to_string);
            }
            Value::Object(fields)
        }
        Value::Array(items) => Value::Array(items.into_iter().map(said).collect()),
        other => other,
    }
}

fn says(name: &str, value: &Value) -> bool {
    match value {
        Value::Null | Value::Bool(false) => false,
        Value::Number(number) => {
            let unset = name == "MemorySwappiness" && number.as_i64() == Some(-1);
            number.as_f64() != Some(0.0) && !unset
        }
        Value::String(text) => !text.is_empty(),
        Value::Object(fields) => !fields.is_empty(),
        // The size of a terminal that is not there is two zeros.
        Value::Array(items) => {
            let nowhere = name == "ConsoleSize" && items.iter().all(|item| *item == 0);
            !items.is_empty() && !nowhere
        }
        Value::Bool(true) => true,
    }
}

/// docker collects binds in a map, so their order differs from run to run.
fn in_order(mut document: Value) -> Value {
    if let Some(binds) = document
        .pointer_mut("/HostConfig/Binds")
        .and_then(Value::as_array_mut)
    {
        binds.sort_by_key(Value::to_string);
    }
    document
}

#[track_caller]
fn same(path: &str, lines: &[&str]) {
    let recorder = Recorder::start();
    let docker = support::in_path("docker").expect("the docker command line is on PATH");
    for line in lines {
        // A tilde stands for a space inside a word.
        let words: Vec<String> = line
            .split_whitespace()
            .map(|word| word.replace('~', " "))
            .collect();
        let words: Vec<&str> = words.iter().map(String::as_str).collect();
        let theirs = recorder.record(&docker, &words, path);
        let ours = recorder.record(&support::program("proa"), &words, path);
        assert_eq!(in_order(ours), in_order(theirs), "{line}");
    }
}

#[test]
fn create_says_what_docker_says() {
    same(
        "/containers/create",
        &[
            "create busybox",
            "create busybox echo -n --rm",
            "create -it --name x busybox sh",
            "create -i -a stdin busybox",
            "create -a stdout -a stderr busybox",
            "create --rm --init --privileged --read-only busybox",
            "create -e A=1 -e FROM_HERE -e NOT_HERE_AT_ALL -w /w -u 1:2 --group-add 5 busybox",
            "create --entrypoint sh busybox -c true",
            "create --entrypoint= busybox",
            "create -h box --domainname d --stop-signal TERM --stop-timeout 5 busybox",
            "create -l a=b -l c --annotation x=y busybox",
        ],
    );
}

#[test]
fn limits_are_dockers() {
    same(
        "/containers/create",
        &[
            "create -m 256m --memory-swap -1 --memory-reservation 128m --memory-swappiness 10 busybox",
            "create --oom-kill-disable --oom-score-adj -500 --pids-limit 100 busybox",
            "create --cpus 1.5 busybox",
            "create -c 512 --cpu-quota 50000 --cpu-period 100000 --cpuset-cpus 0 --cpuset-mems 0 busybox",
            "create --blkio-weight 100 --blkio-weight-device /dev/sda:200 busybox",
            "create --device-read-bps /dev/sda:1mb --device-write-bps /dev/sda:2mb busybox",
            "create --device-read-iops /dev/sda:10 --device-write-iops /dev/sda:20 busybox",
            "create --ulimit nofile=10:20 --ulimit core=-1 --shm-size 1g --sysctl net.core.somaxconn=10 busybox",
        ],
    );
}

#[test]
fn files_and_devices_are_dockers() {
    same(
        "/containers/create",
        &[
            "create -v /data busybox",
            "create -v ./here:/data:ro -v named:/n -v /a:/b:rslave busybox",
            "create --mount type=bind,src=/a,dst=/b,readonly,bind-propagation=rslave busybox",
            "create --mount src=v,dst=/b,volume-nocopy,volume-label=a=b,volume-driver=local,volume-opt=type=tmpfs busybox",
            "create --mount type=tmpfs,dst=/t,tmpfs-size=1m,tmpfs-mode=1770 busybox",
            "create --tmpfs /t:size=1m --tmpfs /u --volumes-from x:ro --volume-driver local busybox",
            "create --device /dev/null --device /dev/zero:/dev/z:r --device vendor.com/gpu=0 busybox",
            "create --device-cgroup-rule c~1:3~rwm --storage-opt size=1g busybox",
            "create --gpus all busybox",
            "create --gpus 2 busybox",
        ],
    );
}

#[test]
fn networks_and_isolation_are_dockers() {
    same(
        "/containers/create",
        &[
            "create --network none busybox",
            "create --network host busybox",
            "create --network container:x busybox",
            "create --network net --ip 10.0.0.2 --ip6 fd00::2 --network-alias a --link-local-ip 169.254.0.2 busybox",
            "create --network name=net,alias=a,ip=10.0.0.2,driver-opt=x=y --network other busybox",
            "create -p 80 -p 8080:80/udp -p 127.0.0.1:1000-1001:2000-2001 -p [::1]:5:6 -P --expose 90-91 busybox",
            "create --dns 1.1.1.1 --dns-search d --dns-option o --add-host a:1.2.3.4 --add-host b=::1 --add-host c:host-gateway busybox",
            "create --pid host --ipc private --uts host --userns host --cgroupns private --cgroup-parent /p busybox",
            "create --cap-add NET_ADMIN --cap-drop ALL --security-opt no-new-privileges --security-opt seccomp=unconfined busybox",
            "create --security-opt systempaths=unconfined --security-opt apparmor=x --runtime r busybox",
        ],
    );
}

#[test]
fn life_is_dockers() {
    same(
        "/containers/create",
        &[
            "create --restart on-failure:3 busybox",
            "create --restart unless-stopped busybox",
            "create --log-driver json-file --log-opt max-size=1m busybox",
            "create --health-cmd true --health-interval 1m30s --health-retries 2 --health-timeout 5s --health-start-period 1s busybox",
            "create --no-healthcheck busybox",
        ],
    );
}

#[test]
fn a_seccomp_profile_is_sent_as_its_text() {
    let file = std::env::temp_dir().join(format!("proa-seccomp-{}.json", support::unique()));
    std::fs::write(&file, "{\n \"defaultAction\": \"SCMP_ACT_ALLOW\"\n}\n")
        .expect("the folder is ours");
    let option = format!("create --security-opt seccomp={} busybox", file.display());
    same("/containers/create", &[&option]);
    std::fs::remove_file(file).expect("it was there");
}

#[test]
fn other_documents_are_dockers() {
    same(
        "/containers/x/exec",
        &[
            "exec -d -e A=1 -w /w -u 1 --privileged x true -x",
            "exec -i x cat",
        ],
    );
    same(
        "/containers/x/update",
        &["update -m 100m --memory-swap 200m --cpus 2 --pids-limit 5 --restart always x"],
    );
    same(
        "/volumes/create",
        &["volume create v -d local -o type=tmpfs --label a=b"],
    );
    same(
        "/networks/create",
        &[
            "network create n",
            "network create n --subnet 10.9.0.0/16 --gateway 10.9.0.1 --internal --attachable -o a=b --label c=d",
        ],
    );
    same(
        "/networks/n/connect",
        &[
            "network connect n x",
            "network connect --alias a --ip 10.9.0.2 n x",
        ],
    );
    same("/networks/n/disconnect", &["network disconnect -f n x"]);
}
