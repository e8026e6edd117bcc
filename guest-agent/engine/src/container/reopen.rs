//! Finding again, after this process was started anew, what is kept and what runs.

use std::{
    collections::HashSet,
    fs,
    path::Path,
    sync::Arc,
    time::{Duration, Instant},
};

use proa_images::Hold;
use proa_runtime::client::{self, ConnectError, Hello, Monitor};

use super::{
    definition::Definition,
    exit::{exit_of, lost},
    launch::cgroup_path,
    link::Link,
    mounts, network,
    state::{Ended, Exit, History, Running, State},
    task::{Beginning, DEFINITION_FILE, HISTORY_FILE, Task},
};
use crate::{Engine, Error, Result, clock, error::Context, paths::Paths};

/// How long a monitor that is there is asked again, if it does not answer or descriptors are short.
const ASKING: Duration = Duration::from_secs(10);

/// The wait between two such tries.
const PAUSE: Duration = Duration::from_millis(200);

/// Every container that was kept: in the database, and beside its running state.
pub(crate) fn collect(paths: &Paths, stored: Vec<(String, String)>) -> Vec<(Definition, History)> {
    let mut texts = stored;
    for entry in fs::read_dir(paths.run_containers())
        .into_iter()
        .flatten()
        .flatten()
    {
        let read = |name: &str| fs::read_to_string(entry.path().join(name));
        if let (Ok(definition), Ok(history)) = (read(DEFINITION_FILE), read(HISTORY_FILE)) {
            texts.push((definition, history));
        }
    }
    texts
        .iter()
        .filter_map(|(definition, history)| parse(definition, history))
        .collect()
}

fn parse(definition: &str, history: &str) -> Option<(Definition, History)> {
    let parsed = serde_json::from_str(definition)
        .and_then(|definition| Ok((definition, serde_json::from_str(history)?)));
    match parsed {
        Ok(pair) => Some(pair),
        Err(error) => {
            tracing::error!(%error, "a container's record cannot be read; it is left alone");
            None
        }
    }
}

/// What a container's task begins with: the state it is found in.
pub(crate) async fn find(
    engine: &Arc<Engine>,
    definition: Definition,
    mut history: History,
    hold: Option<Hold>,
) -> Beginning {
    let folder = engine.paths.run_container(&definition.id);
    let found = tokio::task::spawn_blocking(move || reach(&folder)).await;
    let mut execs = Vec::new();
    let found = match found {
        Ok(Ok((monitor, hello))) => {
            let state = connected(engine, &definition, &mut history, monitor, &hello);
            execs = hello.execs;
            state
        }
        Ok(Err(ConnectError::Gone(_))) => Ok(without_monitor(engine, &definition, &mut history)),
        Ok(Err(error)) => Err(Error::internal("it cannot be reached").with(error)),
        Err(error) => Err(Error::internal("it cannot be reached").with(error)),
    };
    let (state, out_of_reach) = match found {
        Ok(state) => (state, None),
        Err(error) => {
            let why = error.told();
            tracing::error!(id = %definition.id, why, "a container runs on without the engine");
            let started = history.running.unwrap_or_else(clock::now);
            let words = format!("the container may still run, but {why}");
            let seen = lost(started, 255, &words);
            (State::Exited(seen), Some(words))
        }
    };
    Beginning {
        definition,
        state,
        history,
        hold,
        execs,
        out_of_reach,
    }
}

/// Only a monitor that is not there is taken for dead: what a mere failure ends would be a live container.
fn reach(folder: &Path) -> Result<(Monitor, Hello), ConnectError> {
    let deadline = Instant::now() + ASKING;
    loop {
        match Monitor::connect(folder) {
            Err(ConnectError::System { .. }) if Instant::now() < deadline => {
                std::thread::sleep(PAUSE);
            }
            other => return other,
        }
    }
}

impl Task {
    /// A run that cannot be reached must not meet a second one, nor lose its files.
    pub(super) fn must_be_in_reach(&mut self, engine: &Engine) -> Result<()> {
        let Some(why) = &self.out_of_reach else {
            return Ok(());
        };
        let cgroup = engine.cgroups.open(&cgroup_path(&self.definition)?);
        if cgroup.exists() && !cgroup.pids().is_ok_and(|pids| pids.is_empty()) {
            return Err(Error::conflict(format!(
                "{why}; end its processes, or start the engine that can reach it"
            )));
        }
        self.out_of_reach = None;
        clear(engine, &self.definition);
        Ok(())
    }
}

fn connected(
    engine: &Engine,
    definition: &Definition,
    history: &mut History,
    monitor: Monitor,
    hello: &Hello,
) -> Result<State> {
    let started = clock::from_nanoseconds(hello.started.time);
    if let Some(exit) = &hello.exit {
        clear(engine, definition);
        return Ok(ended(history, Ended::Exited(exit_of(exit, started))));
    }
    let link = Link::new(monitor).context(|| "listen to the container's monitor".into())?;
    let cgroup = Arc::new(engine.cgroups.open(&cgroup_path(definition)?));
    history.running = Some(started);
    let running = Running {
        pid: hello.started.pid,
        started,
        link,
        cgroup,
        place: network::read(&engine.paths.run_container(&definition.id)),
        kit: Arc::default(),
    };
    Ok(if running.cgroup.frozen() {
        State::Paused(running)
    } else {
        State::Running(running)
    })
}

/// It has ended: as its monitor wrote down, or unseen.
fn without_monitor(engine: &Engine, definition: &Definition, history: &mut History) -> State {
    let folder = engine.paths.run_container(&definition.id);
    let recorded = client::exit(&folder).ok().flatten();
    let exit = match (history.running, recorded) {
        (Some(started), Some(exit)) => exit_of(&exit, started),
        (Some(started), None) if folder.exists() => {
            lost(started, 137, "the container's monitor was killed")
        }
        // The folder is gone with the last boot, and the container with it.
        (Some(started), None) => lost(started, 255, ""),
        // This process was killed before it had written down the start.
        (None, Some(exit)) if is_news(history, &exit) => Exit {
            started: None,
            ..exit_of(&exit, clock::from_nanoseconds(exit.time))
        },
        (None, _) => return history.ended.clone().into(),
    };
    clear(engine, definition);
    let state = ended(history, Ended::Exited(exit));
    if let (Ok(history), false) = (serde_json::to_string(history), definition.auto_remove()) {
        engine.db.write_soon(crate::db::Change::History {
            id: definition.id.to_string(),
            history,
        });
    }
    state
}

/// Whether a recorded exit came after the last one that was noted.
fn is_news(history: &History, exit: &client::Exit) -> bool {
    let time = clock::from_nanoseconds(exit.time);
    history.finished().is_none_or(|noted| noted < time)
}

/// Takes away what an ended container left of its cgroup.
fn clear(engine: &Engine, definition: &Definition) {
    let Ok(path) = cgroup_path(definition) else {
        return;
    };
    let cgroup = engine.cgroups.open(&path);
    if cgroup.exists()
        && let Err(error) = cgroup.kill_and_wait().and_then(|()| cgroup.delete())
    {
        tracing::warn!(id = %definition.id, %error, "deleting the cgroup of an ended container failed");
    }
}

fn ended(history: &mut History, ended: Ended) -> State {
    history.running = None;
    history.ended = ended.clone();
    ended.into()
}

/// Folders that belong to no container: a crash came between.
pub(crate) fn sweep(paths: &Paths, known: &HashSet<String>) {
    for folder in [paths.containers(), paths.run_containers()] {
        sweep_folder(&folder, known);
    }
}

fn sweep_folder(folder: &Path, known: &HashSet<String>) {
    for entry in fs::read_dir(folder).into_iter().flatten().flatten() {
        if entry
            .file_name()
            .to_str()
            .is_some_and(|name| known.contains(name))
        {
            continue;
        }
        if let Err(error) = mounts::remove_folder(&entry.path()) {
            tracing::warn!(path = %entry.path().display(), error = error.told(), "sweeping leftovers failed");
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn folders_without_a_container_are_swept() {
        let dir = tempfile::tempdir().unwrap();
        for name in ["kept", "left/upper"] {
            fs::create_dir_all(dir.path().join(name)).unwrap();
        }
        sweep_folder(dir.path(), &HashSet::from(["kept".to_owned()]));
        assert!(dir.path().join("kept").exists() && !dir.path().join("left").exists());
    }
}
