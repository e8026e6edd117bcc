//! A registry of a test's own: Debian's `docker-registry` on a free loopback port.

use std::fs;
use std::net::TcpListener;
use std::path::PathBuf;
use std::process::{Child, Stdio};
use std::time::Duration;

use super::dockerd::behind;
use super::http::Client;
use super::network::Network;
use super::programs::{peer, run, short_folder};

/// What `htpasswd -B` makes of the password `secret`.
const USERS: &str = "sailor:$2b$04$hrUNXSzE2X9VVXARz3EVceTHgeVMrvTL3yl95Cin4tYg9wMKQsmCG\n";

/// A running registry server; killed, and its content deleted, when dropped.
pub struct Registry {
    child: Child,
    folder: PathBuf,
    address: String,
}

impl Registry {
    pub fn start() -> Self {
        Self::start_with("")
    }

    /// `more` is appended to the server's configuration: authentication, a proxy.
    pub fn start_with(more: &str) -> Self {
        let registry = Self::serve(Vec::new(), free_address(), more);
        super::poll(Duration::from_secs(120), "the registry answers", || {
            registry.answers()
        });
        registry
    }

    /// On the host of a network of the test's own, where port 5000 is free; with one user, `sailor` with the password
    /// `secret`.
    pub fn start_in(network: &Network) -> Self {
        // The server reads the file again and again; it goes away with the folder of the server.
        let auth = "auth: {htpasswd: {realm: test, path: FOLDER/users}}\n";
        let registry = Self::serve(network.prefix(), "127.0.0.1:5000".to_owned(), auth);
        super::poll(Duration::from_secs(120), "the registry answers", || {
            let url = format!("http://{}/v2/", registry.address);
            run(network.host("curl").args(["--silent", &url])).code == 0
        });
        registry
    }

    fn serve(before: Vec<String>, address: String, more: &str) -> Self {
        let folder = short_folder(std::path::Path::new("/var/tmp"), "proa-registry-");
        let config = folder.join("config.yml");
        fs::write(folder.join("users"), USERS).expect("the folder is new");
        let more = more.replace("FOLDER", &folder.display().to_string());
        let text = format!(
            "version: 0.1\nlog: {{level: warn}}\nstorage: {{filesystem: {{rootdirectory: {}/content}}, delete: {{enabled: true}}}}\nhttp: {{addr: '{address}', secret: only-a-test}}\n{more}",
            folder.display()
        );
        fs::write(&config, text).expect("the folder is new");
        let log = fs::File::create(folder.join("log")).expect("the folder is new");
        let mut server = peer("docker-registry");
        server.arg("serve").arg(&config);
        let child = behind(before, server)
            .env("OTEL_TRACES_EXPORTER", "none")
            .stdin(Stdio::null())
            .stdout(log.try_clone().expect("a file can be shared"))
            .stderr(log)
            .spawn()
            .expect("docker-registry starts");
        Self {
            child,
            folder,
            address,
        }
    }

    /// `127.0.0.1:PORT`, as it stands before an image's name.
    pub fn address(&self) -> &str {
        &self.address
    }

    pub fn api(&self) -> Client {
        Client::tcp(&self.address)
    }

    /// Where the server keeps its content, for tests that damage it.
    pub fn content(&self) -> PathBuf {
        self.folder.join("content")
    }

    fn answers(&self) -> bool {
        self.api()
            .try_send("GET", "/v2/", &[], b"")
            .is_ok_and(|response| matches!(response.status, 200 | 401))
    }
}

impl Drop for Registry {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
        let _ = fs::remove_dir_all(&self.folder);
    }
}

/// A loopback address that was free a moment ago.
pub fn free_address() -> String {
    let listener = TcpListener::bind("127.0.0.1:0").expect("loopback has free ports");
    listener
        .local_addr()
        .expect("a bound socket has an address")
        .to_string()
}
