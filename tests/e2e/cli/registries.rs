//! Registries as companies have them: behind a proxy, with an authority of their own, for those who log in.
#![allow(
    clippy::unwrap_used,
    reason = "what cannot be made here fails the test"
)]

use std::fs;
use std::io::{Read as _, Write as _};
use std::net::{Shutdown, TcpListener, TcpStream};
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use crate::support::{Agent, Image, peer, poll, run, short_folder, unique};

/// The server's only user, and what `htpasswd -B` makes of the password.
const USER: &str = "user";
const PASSWORD: &str = "open sesame";
const ACCOUNT: &str = "user:$2b$05$abcdefghijklmnopqrstuupx2xBUC4954936wVIjyyPHmUBFu0wCW\n";

/// A registry whose name only a proxy knows, and whose certificate only its own authority vouches for.
struct Company {
    server: Child,
    folder: PathBuf,
    /// Where an engine looks for that authority.
    trusted: PathBuf,
    name: String,
    proxy: String,
}

impl Company {
    fn open() -> Self {
        let folder = short_folder(Path::new("/var/tmp"), "proa-company-");
        let name = format!("registry-{}.example", unique().to_lowercase());
        certificates(&folder, &name);
        fs::write(folder.join("users"), ACCOUNT).unwrap();
        let address = free_address();
        let at = |name: &str| folder.join(name).display().to_string();
        let config = format!(
            "version: 0.1\nlog: {{level: warn}}\nstorage: {{filesystem: {{rootdirectory: {}}}}}\nauth: {{htpasswd: \
             {{realm: test, path: {}}}}}\nhttp:\n  addr: {address}\n  secret: only-a-test\n  tls: {{certificate: {}, \
             key: {}, clientcas: [{}]}}\n",
            at("content"),
            at("users"),
            at("server.crt"),
            at("server.key"),
            at("ca.crt"),
        );
        fs::write(folder.join("config.yml"), config).unwrap();
        let server = peer("docker-registry")
            .arg("serve")
            .arg(folder.join("config.yml"))
            .env("OTEL_TRACES_EXPORTER", "none")
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        poll(Duration::from_secs(120), "the registry listens", || {
            TcpStream::connect(&address).is_ok()
        });
        let trusted = Path::new("/etc/docker/certs.d").join(&name);
        fs::create_dir_all(&trusted).unwrap();
        for (from, to) in [
            ("ca.crt", "ca.crt"),
            ("client.crt", "client.cert"),
            ("client.key", "client.key"),
        ] {
            fs::copy(folder.join(from), trusted.join(to)).unwrap();
        }
        Self {
            server,
            trusted,
            proxy: proxy(name.clone(), address),
            name,
            folder,
        }
    }

    /// An engine that knows the proxy.
    fn engine(&self) -> Agent {
        let proxy = format!("HTTPS_PROXY=http://{}", self.proxy);
        Agent::start_behind(vec!["env".into(), proxy], &[])
    }
}

impl Drop for Company {
    fn drop(&mut self) {
        let _ = self.server.kill();
        let _ = self.server.wait();
        let _ = fs::remove_dir_all(&self.trusted);
        let _ = fs::remove_dir_all(&self.folder);
    }
}

fn free_address() -> String {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    listener.local_addr().unwrap().to_string()
}

/// An authority, and what it signs for the server and for a client.
fn certificates(folder: &Path, name: &str) {
    let script = format!(
        "set -e; key='-newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes'
         openssl req -x509 $key -keyout ca.key -out ca.crt -days 2 -subj '/CN=the test'
         sign() {{
             openssl req $key -keyout $1.key -out $1.csr -subj \"/CN=$1\"; printf \"$2\" > $1.ext
             openssl x509 -req -in $1.csr -CA ca.crt -CAkey ca.key -CAcreateserial -days 2 -extfile $1.ext -out $1.crt
         }}
         sign server 'subjectAltName=DNS:{name}\\nextendedKeyUsage=serverAuth'
         sign client 'extendedKeyUsage=clientAuth'"
    );
    let mut command = Command::new("sh");
    run(command.args(["-c", &script]).current_dir(folder)).ok();
}

/// A proxy that leads one name to `address`, and nothing else anywhere; the answer is its own address.
fn proxy(name: String, address: String) -> String {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let own = listener.local_addr().unwrap().to_string();
    std::thread::spawn(move || {
        for client in listener.incoming().flatten() {
            let (name, address) = (name.clone(), address.clone());
            std::thread::spawn(move || tunnel(client, &name, &address));
        }
    });
    own
}

fn tunnel(mut client: TcpStream, name: &str, address: &str) -> std::io::Result<()> {
    let mut head = Vec::new();
    while !head.ends_with(b"\r\n\r\n") {
        let mut byte = [0];
        client.read_exact(&mut byte)?;
        head.push(byte[0]);
    }
    if !head.starts_with(format!("CONNECT {name}:443 ").as_bytes()) {
        return client.write_all(b"HTTP/1.1 403 no\r\n\r\n");
    }
    let mut server = TcpStream::connect(address)?;
    client.write_all(b"HTTP/1.1 200 yes\r\n\r\n")?;
    let (mut from, mut to) = (server.try_clone()?, client.try_clone()?);
    let back = std::thread::spawn(move || {
        let _ = std::io::copy(&mut from, &mut to);
        let _ = to.shutdown(Shutdown::Write);
    });
    let _ = std::io::copy(&mut client, &mut server);
    let _ = server.shutdown(Shutdown::Write);
    let _ = back.join();
    Ok(())
}

#[test]
fn a_company_registry_is_for_those_who_log_in() {
    let company = Company::open();
    let agent = company.engine();
    let image = agent.load(&Image::busybox());
    let remote = format!("{}/team/tool:1", company.name);
    agent.proa(&["tag", &image, &remote]).ok();
    let told = agent.proa(&["push", &remote]).failed(1);
    assert!(
        told.contains("unauthorized") || told.contains("no basic auth"),
        "{told}"
    );

    let login = ["login", "-u", USER, "--password-stdin", &company.name];
    let told = agent.proa_with_input(&login, b"wrong").failed(1);
    assert!(told.contains("401 Unauthorized"), "{told}");
    agent.proa_with_input(&login, PASSWORD.as_bytes()).ok();
    agent.proa(&["push", &remote]).ok();
    agent.proa(&["rmi", &remote]).ok();
    agent.proa(&["pull", &remote]).ok();
    agent.proa(&["logout", &company.name]).ok();
    agent.proa(&["pull", &remote]).failed(1);

    // Docker's command line, with the same words and the same file.
    let told = agent.docker_with_input(&login, b"wrong").failed(1);
    assert!(told.contains("401 Unauthorized"), "{told}");
    agent.docker_with_input(&login, PASSWORD.as_bytes()).ok();
    agent.docker(&["pull", &remote]).ok();
    agent.assert_nothing_left();
}

#[test]
fn passwords_are_kept_by_a_credential_helper() {
    let company = Company::open();
    let agent = company.engine();
    let folder = agent.scratch("docker");
    let kept = folder.join("kept");
    fs::create_dir_all(&folder).unwrap();
    fs::write(folder.join("config.json"), r#"{"credsStore": "test"}"#).unwrap();
    let script = format!(
        "#!/bin/sh\ncase $1 in\nstore) cat > {0} ;;\nget) [ -e {0} ] && cat {0} || {{ echo 'credentials not found in native \
         keychain'; exit 1; }} ;;\nerase) rm -f {0} ;;\nlist) echo '{{}}' ;;\nesac\n",
        kept.display()
    );
    let helper = folder.join("docker-credential-test");
    fs::write(&helper, script).unwrap();
    fs::set_permissions(&helper, fs::Permissions::from_mode(0o755)).unwrap();
    let path = format!("{}:{}", folder.display(), std::env::var("PATH").unwrap());
    let proa = |words: &[&str]| run(agent.proa_command(words).env("PATH", &path));

    let image = agent.load(&Image::busybox());
    let remote = format!("{}/team/kept:1", company.name);
    agent.proa(&["tag", &image, &remote]).ok();
    proa(&["login", "-u", USER, "-p", PASSWORD, &company.name]).ok();
    let stored = fs::read_to_string(&kept).unwrap();
    assert!(
        stored.contains(PASSWORD) && stored.contains(&company.name),
        "{stored}"
    );
    let config = fs::read_to_string(folder.join("config.json")).unwrap();
    assert!(!config.contains("\"auth\""), "{config}");
    proa(&["push", &remote]).ok();
    proa(&["logout", &company.name]).ok();
    assert!(!kept.exists());
    proa(&["push", &remote]).failed(1);
    agent.assert_nothing_left();
}

#[test]
fn sockets_are_taken_from_whoever_starts_the_engine() {
    let folder = short_folder(Path::new("/var/tmp"), "proa-activated-");
    let path = folder.join("activated.sock");
    let listener = std::os::unix::net::UnixListener::bind(&path).unwrap();
    rustix::io::fcntl_setfd(&listener, rustix::io::FdFlags::empty()).unwrap();
    let number = std::os::fd::AsRawFd::as_raw_fd(&listener);
    let script = format!("exec 3<&{number} {number}<&-; LISTEN_PID=$$ LISTEN_FDS=1 exec \"$@\"");
    let prefix = ["bash", "-c", &script, "sh"].map(str::to_owned).to_vec();
    let agent = Agent::start_behind(prefix, &["--socket", "fd://"]);
    drop(listener);
    let mut api = crate::support::Client::unix(&path);
    assert_eq!(api.get("/_ping").ok().text(), "OK");
    agent.assert_nothing_left();
    let _ = fs::remove_dir_all(&folder);
}
