//! Short words for what most stories do.

use std::time::Duration;

use serde_json::{Value, json};

use crate::support::{Agent, Network, poll};

/// An engine with busybox.
pub struct Engine {
    pub agent: Agent,
    pub image: String,
}

impl Engine {
    pub fn start() -> Self {
        Self::of(Agent::start())
    }

    /// On the host of a network of the test's own.
    pub fn start_in(network: &Network) -> Self {
        Self::of(Agent::start_in(network))
    }

    fn of(agent: Agent) -> Self {
        let image = agent.load(&crate::support::Image::busybox());
        Self { agent, image }
    }

    /// Creates and starts a shell in a container without a network; `host` is its HostConfig.
    #[track_caller]
    pub fn shell(&self, script: &str, host: &Value) -> String {
        let mut host = host.clone();
        if host["NetworkMode"].is_null() {
            host["NetworkMode"] = json!("none");
        }
        let id = self.agent.create(
            &json!({ "Image": self.image, "Cmd": ["sh", "-c", script], "HostConfig": host }),
        );
        self.post(&format!("/containers/{id}/start"));
        id
    }

    /// Runs a shell to its end: exit code, and both streams together.
    #[track_caller]
    pub fn run(&self, script: &str, host: &Value) -> (i64, String) {
        let id = self.shell(script, host);
        let code = self.agent.wait(&id);
        let output = self.logs(&id);
        self.agent
            .api()
            .delete(&format!("/containers/{id}?v=1"))
            .ok();
        (code, output)
    }

    #[track_caller]
    pub fn logs(&self, id: &str) -> String {
        let raw = self
            .agent
            .api()
            .get(&format!("/containers/{id}/logs?stdout=1&stderr=1"))
            .ok()
            .body;
        frames(&raw)
    }

    /// Runs a command in a running container: exit code and output.
    #[track_caller]
    pub fn exec(&self, id: &str, command: &[&str]) -> (i64, String) {
        let mut api = self.agent.api();
        let body = json!({ "Cmd": command, "AttachStdout": true, "AttachStderr": true });
        let created = api
            .post(&format!("/containers/{id}/exec"), &body)
            .ok()
            .json();
        let exec = created["Id"].as_str().expect("an exec has an id");
        let raw = api
            .post(&format!("/exec/{exec}/start"), &json!({ "Detach": false }))
            .ok()
            .body;
        let ended = api.get(&format!("/exec/{exec}/json")).ok().json();
        (
            ended["ExitCode"]
                .as_i64()
                .expect("an ended exec has a code"),
            frames(&raw),
        )
    }

    #[track_caller]
    pub fn post(&self, path: &str) {
        self.agent.api().post(path, &Value::Null).ok();
    }

    #[track_caller]
    pub fn stats(&self, id: &str) -> Value {
        self.agent
            .api()
            .get(&format!(
                "/containers/{id}/stats?stream=false&one-shot=true"
            ))
            .ok()
            .json()
    }

    #[track_caller]
    pub fn poll_log(&self, id: &str, what: &str) {
        poll(
            Duration::from_secs(60),
            &format!("{what:?} in the log"),
            || self.logs(id).contains(what),
        );
    }
}

/// Whether limits are those of cgroup version 2.
pub fn unified() -> bool {
    std::path::Path::new("/sys/fs/cgroup/cgroup.controllers").exists()
}

/// The text inside of a multiplexed stream.
pub fn frames(mut raw: &[u8]) -> String {
    let mut text = Vec::new();
    while let Some(([_, _, _, _, length @ ..], rest)) = raw.split_first_chunk::<8>() {
        let length = (u32::from_be_bytes(*length) as usize).min(rest.len());
        text.extend_from_slice(&rest[..length]);
        raw = &rest[length..];
    }
    String::from_utf8_lossy(&text).into_owned()
}
