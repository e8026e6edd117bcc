//! Further processes in a running container.
#![expect(missing_docs, reason = "Docker's API reference describes the fields")]

use super::words::Words;
use crate::document::omit;

documents! {
    /// The body of `POST /containers/{id}/exec`.
    pub struct ExecCreateBody {
        pub user: String,
        pub privileged: bool,
        pub tty: bool,
        #[serde(skip_serializing_if = "Option::is_none")]
        pub console_size: Option<[u64; 2]>,
        pub attach_stdin: bool,
        pub attach_stderr: bool,
        pub attach_stdout: bool,
        pub detach_keys: String,
        pub env: Option<Vec<String>>,
        pub working_dir: String,
        pub cmd: Option<Words>,
    }

    /// The answer of `POST /containers/{id}/exec`.
    pub struct ExecCreateResponse {
        pub id: String,
    }

    /// The body of `POST /exec/{id}/start`.
    pub struct ExecStartBody {
        pub detach: bool,
        pub tty: bool,
        #[serde(skip_serializing_if = "Option::is_none")]
        pub console_size: Option<[u64; 2]>,
    }

    /// `GET /exec/{id}/json`
    pub struct ExecInspect {
        #[serde(rename = "ID")]
        pub id: String,
        pub running: bool,
        pub exit_code: Option<i64>,
        pub process_config: ProcessConfig,
        pub open_stdin: bool,
        pub open_stderr: bool,
        pub open_stdout: bool,
        pub can_remove: bool,
        #[serde(rename = "ContainerID")]
        pub container_id: String,
        pub detach_keys: String,
        pub pid: i64,
    }

    /// What an exec runs.
    pub struct ProcessConfig {
        #[serde(rename = "tty")]
        pub tty: bool,
        #[serde(rename = "entrypoint")]
        pub entrypoint: String,
        #[serde(rename = "arguments")]
        pub arguments: Vec<String>,
        #[serde(rename = "privileged", skip_serializing_if = "Option::is_none")]
        pub privileged: Option<bool>,
        #[serde(rename = "user", skip_serializing_if = "omit::zero")]
        pub user: String,
    }
}
