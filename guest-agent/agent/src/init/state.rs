//! What the first process found, for the API server to tell. Its file also says that this engine is a machine's.

use std::fs;
use std::io;

use serde::{Deserialize, Serialize};

use super::console;

const FILE: &str = "/run/proa/machine.json";

/// What was found at boot.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct State {
    /// The data disk.
    pub disk: FoundDisk,
}

/// The disk that everything is kept on.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub(crate) struct FoundDisk {
    /// Its device, if there is one.
    pub device: Option<String>,
    /// What is wrong with it; then everything is kept in memory, and lost with the machine.
    pub fault: Option<String>,
    /// What was done to it.
    pub repaired: bool,
}

impl State {
    /// What the first process saved; `None`: this engine is no machine's.
    pub(crate) fn read() -> Option<Self> {
        serde_json::from_slice(&fs::read(FILE).ok()?).ok()
    }

    pub(super) fn save(&self) {
        let saved = serde_json::to_vec(self)
            .map_err(io::Error::from)
            .and_then(|text| fs::create_dir_all("/run/proa").and_then(|()| fs::write(FILE, text)));
        if let Err(error) = saved {
            console::say(&format!("write {FILE}: {error}"));
        }
    }
}
