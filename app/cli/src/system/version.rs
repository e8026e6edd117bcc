//! `version`: of this program and of the engine.

use clap::Args;
use proa_host::Request;
use serde_json::{Value, json};
use std::fmt::Write as _;

use crate::failure::{Exit, Failure};
use crate::output::{self, format};
use crate::session::Session;
use crate::template::{Template, compact_json};
use crate::verb::Act;

/// Flags of `version`.
#[derive(Args, Debug)]
pub(crate) struct Version {
    /// json, or a template
    #[arg(short, long)]
    format: Option<String>,
}

impl Act for Version {
    async fn act(self, session: &Session) -> Result<Exit, Failure> {
        let asked = match session.engine() {
            Ok(engine) => engine
                .ask::<Value>(Request::get(&["version"]))
                .await
                .map_err(Failure::from),
            Err(failure) => Err(failure),
        };
        let (server, failure) = match asked {
            Ok(server) => (server, None),
            Err(failure) => (Value::Null, Some(failure)),
        };
        let both = json!({"Client": client(), "Server": server});
        let text = match self.format.as_deref() {
            None | Some("") => spelled(&both),
            Some("json") => compact_json(&both) + "\n",
            Some(template) => Template::parse(&format::unescaped(template))?.render(&both)? + "\n",
        };
        output::write(text.as_bytes())?;
        failure.map_or(Ok(Exit::OK), Err)
    }
}

fn client() -> Value {
    json!({
        "Platform": {"Name": "Proa"},
        "Version": env!("CARGO_PKG_VERSION"),
        "Os": std::env::consts::OS,
        "Arch": go_arch(std::env::consts::ARCH),
    })
}

/// Docker names machines as Go does.
fn go_arch(arch: &str) -> &str {
    match arch {
        "x86_64" => "amd64",
        "aarch64" => "arm64",
        other => other,
    }
}

fn spelled(both: &Value) -> String {
    let line = |name: &str, value: &str| format!(" {:<18}{value}\n", format!("{name}:"));
    let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
    let client = &both["Client"];
    let mut out = format!("Client: {}\n", text(&client["Platform"]["Name"]));
    out += &line("Version", &text(&client["Version"]));
    out += &line(
        "OS/Arch",
        &format!("{}/{}", text(&client["Os"]), text(&client["Arch"])),
    );
    let server = &both["Server"];
    if server.is_null() {
        return out;
    }
    _ = writeln!(out, "\nServer: {}", text(&server["Platform"]["Name"]));
    out += &line("Version", &text(&server["Version"]));
    out += &line(
        "API version",
        &format!(
            "{} (minimum version {})",
            text(&server["ApiVersion"]),
            text(&server["MinAPIVersion"])
        ),
    );
    out += &line(
        "OS/Arch",
        &format!("{}/{}", text(&server["Os"]), text(&server["Arch"])),
    );
    out += &line("Kernel", &text(&server["KernelVersion"]));
    out += &line("Git commit", &text(&server["GitCommit"]));
    out += &line("Built", &text(&server["BuildTime"]));
    for component in server["Components"].as_array().into_iter().flatten() {
        _ = writeln!(
            out,
            " {} {}",
            text(&component["Name"]),
            text(&component["Version"])
        );
    }
    out
}
