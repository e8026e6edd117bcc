//! `connect` and `disconnect`, from the container's side; and the file in which its place is kept.

use std::{path::Path, sync::Arc};

use super::{
    definition::Definition,
    files,
    state::{Running, State},
    task::Task,
};
use crate::{
    Engine, Result,
    error::Context,
    network::{
        Place, Target,
        connect::{self, blocking},
    },
};

/// In a container's folder of running state: what a later engine needs to know of its networks.
const PLACE_FILE: &str = "network.json";

impl Task {
    pub(super) async fn connect(&mut self, engine: &Arc<Engine>, target: Target) -> Result<()> {
        let changed = connect::with(&self.definition, &target);
        let Some(running) = self.state.live().cloned() else {
            return self.redefine(engine, changed).await;
        };
        let networks = Arc::clone(&engine.networks);
        let definition = Arc::clone(&self.definition);
        let (before, wanted) = (Arc::clone(&running.place), target.clone());
        let place =
            blocking(move || networks.connect(&definition, running.pid, &before, &wanted)).await?;
        self.moved(engine, place)?;
        engine.tell_network("connect", &target.record, Some(&self.definition.id));
        self.redefine(engine, changed).await
    }

    pub(super) async fn disconnect(&mut self, engine: &Arc<Engine>, target: Target) -> Result<()> {
        let record = target.record;
        let changed = connect::without(&self.definition, &record);
        let not_connected = || connect::not_connected(&self.definition, &record);
        let Some(running) = self.state.live().cloned() else {
            let changed = changed.ok_or_else(not_connected)?;
            return self.redefine(engine, changed).await;
        };
        let networks = Arc::clone(&engine.networks);
        let definition = Arc::clone(&self.definition);
        let (before, network) = (Arc::clone(&running.place), Arc::clone(&record));
        let place =
            blocking(move || networks.disconnect(&definition, running.pid, &before, &network))
                .await?;
        self.moved(engine, place)?;
        engine.tell_network("disconnect", &record, Some(&self.definition.id));
        match changed {
            Some(changed) => self.redefine(engine, changed).await,
            None => Ok(()),
        }
    }

    /// It is elsewhere now: its files say so, and everybody sees it.
    pub(super) fn moved(&mut self, engine: &Engine, place: Place) -> Result<()> {
        let folder = engine.paths.container(&self.definition.id);
        write(&engine.paths.run_container(&self.definition.id), &place)?;
        let before = self.state.live().map(|running| Arc::clone(&running.place));
        files::update(
            &folder,
            &self.definition,
            &before.unwrap_or_default(),
            &place,
        )
        .context(|| format!("write the files of container {}", self.id()))?;
        engine.networks.name(&self.definition, &place);
        let place = Arc::new(place);
        let moved = |running: &Running| Running {
            place: Arc::clone(&place),
            ..running.clone()
        };
        let state = match &self.state {
            State::Running(running) => State::Running(moved(running)),
            State::Paused(running) => State::Paused(moved(running)),
            State::Created(_) | State::Restarting(_) | State::Exited(_) | State::Removing(_) => {
                return Ok(());
            }
        };
        self.enter(state);
        Ok(())
    }

    /// It has ended: ports and addresses are free before anybody hears of it.
    pub(super) fn leave_networks(&self, engine: &Engine, running: &Running) {
        if running.place.joints.is_empty() {
            return;
        }
        tokio::task::block_in_place(|| leave(engine, &self.definition, &running.place));
    }

    /// Tells of the networks it has come to, or left.
    pub(super) fn tell_networks(&self, engine: &Engine, action: &str, place: &Place) {
        let tell = |network: &str| {
            if let Ok(record) = engine.networks.find(network) {
                engine.tell_network(action, &record, Some(&self.definition.id));
            }
        };
        let mode = self.definition.host.network_mode.as_str();
        if place.joints.is_empty() && matches!(mode, "host" | "none") {
            tell(mode);
        }
        for joint in &place.joints {
            tell(&joint.endpoint.network);
        }
    }
}

fn leave(engine: &Engine, definition: &Definition, place: &Place) {
    engine.networks.unpublish(definition, place);
    engine.networks.leave(definition, place);
}

/// Keeps a place, whole or not at all.
pub(super) fn write(run_folder: &Path, place: &Place) -> Result<()> {
    let attempt = || format!("write {}", run_folder.join(PLACE_FILE).display());
    let text = serde_json::to_string(place).context(attempt)?;
    let keep = || -> std::io::Result<()> {
        std::fs::create_dir_all(run_folder)?;
        let new = run_folder.join("network.new");
        std::fs::write(&new, text)?;
        std::fs::rename(new, run_folder.join(PLACE_FILE))
    };
    keep().context(attempt)
}

/// Reads it back; nowhere, if there is none.
pub(super) fn read(run_folder: &Path) -> Arc<Place> {
    let Ok(text) = std::fs::read_to_string(run_folder.join(PLACE_FILE)) else {
        return Arc::default();
    };
    match serde_json::from_str(&text) {
        Ok(place) => Arc::new(place),
        Err(error) => {
            tracing::error!(folder = %run_folder.display(), %error, "a container's networks cannot be read");
            Arc::default()
        }
    }
}
