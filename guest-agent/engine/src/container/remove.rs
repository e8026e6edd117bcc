//! `remove`: the delete is committed first, then everything is taken apart.

use std::{sync::Arc, time::Duration};

use tokio::time::timeout;

use super::{
    Container, mounts, signal,
    start::LEAVING,
    state::{Ended, State},
    stop::AFTER_KILL,
    task::{Request, Task},
};
use crate::{Engine, Error, Kind, Result, db::Change, error::Context};

/// How to remove.
#[derive(Clone, Copy, Debug, Default)]
pub struct RemoveOptions {
    /// Kill it first if it runs.
    pub force: bool,
    /// With its anonymous volumes.
    pub volumes: bool,
    /// Remove a link, not the container; refused.
    pub link: bool,
}

impl Container {
    /// Removes it. Goes on when the caller goes away.
    pub async fn remove(&self, options: RemoveOptions) -> Result<()> {
        if options.link {
            return Err(Error::bad(format!(
                "Conflict, cannot remove the default link name of the container {}",
                self.id
            )));
        }
        let container = self.clone();
        tokio::spawn(async move { container.remove_to_the_end(options).await })
            .await
            .context(|| format!("remove container {}", self.id))?
    }

    async fn remove_to_the_end(&self, options: RemoveOptions) -> Result<()> {
        let seen = self.seen();
        let alive = seen.state.live().is_some() || matches!(seen.state, State::Restarting(_));
        if alive && options.force {
            self.end_with(signal::SIGKILL).await?;
            timeout(AFTER_KILL, self.ended_after(seen.exits))
                .await
                .map_err(|_| {
                    Error::internal(format!(
                        "cannot remove container \"/{}\": could not kill: tried to kill container, but did not \
                         receive an exit event",
                        self.name()
                    ))
                })?;
        }
        let removed = self
            .ask(|answer| Request::Remove {
                volumes: options.volumes,
                answer,
            })
            .await;
        match removed {
            // Removed by its own end meanwhile.
            Err(error) if error.kind() == Kind::NotFound && options.force && alive => Ok(()),
            other => other,
        }
    }
}

impl Task {
    /// A user asks for it.
    pub(super) async fn remove(&mut self, engine: &Arc<Engine>, volumes: bool) -> Result<()> {
        let refuse = |what: &str| {
            let name = &self.definition.name;
            Err(Error::conflict(format!(
                "cannot remove container \"/{name}\": container is {what}"
            )))
        };
        match &self.state {
            State::Running(_) => {
                refuse("running: stop the container before removing or force remove")
            }
            State::Restarting(_) => {
                refuse("restarting: stop the container before removing or force remove")
            }
            State::Paused(_) => refuse("paused and must be unpaused first"),
            State::Removing(_) => Err(Error::conflict(format!(
                "removal of container {} is already in progress",
                self.id()
            ))),
            State::Created(failure) => {
                let ended = Ended::Never(failure.clone());
                self.take_apart(engine, ended, volumes).await
            }
            State::Exited(exit) => {
                let ended = Ended::Exited(exit.clone());
                self.take_apart(engine, ended, volumes).await
            }
        }
    }

    /// `--rm`: after its end, and after a start that failed.
    pub(super) async fn remove_if_asked_for(&mut self, engine: &Arc<Engine>) {
        let Some(ended) = self.state.ended() else {
            return;
        };
        let stays = !self.definition.auto_remove() || self.kept > 0;
        if stays || matches!(self.state, State::Removing(_)) {
            return;
        }
        if let Err(error) = self.take_apart(engine, ended, true).await {
            tracing::error!(
                id = self.id(),
                error = error.told(),
                "removing a container after its end failed"
            );
        }
    }

    async fn take_apart(
        &mut self,
        engine: &Arc<Engine>,
        ended: Ended,
        volumes: bool,
    ) -> Result<()> {
        self.must_be_in_reach(engine)?;
        self.enter(State::Removing(ended.clone()));
        let id = self.definition.id.clone();
        if !self.definition.auto_remove()
            && let Err(error) = engine
                .db
                .commit(Change::ContainerGone { id: id.to_string() })
                .await
        {
            self.enter(ended.into());
            return Err(error);
        }
        self.close_views(Duration::ZERO).await;
        self.put_away(engine);
        if let Some(clearing) = self.clearing.take() {
            // Its failure was told where it happened.
            let _ = clearing.await;
        }
        engine.execs.forget(&id);
        engine.containers.remove(&id);
        self.tell(engine, "destroy", &[]);
        if volumes {
            self.remove_volumes(engine).await;
        }
        self.publish_removed();
        Ok(())
    }

    /// Takes its folders out of sight. What is slow about their removal nobody waits for: what a crash leaves of it, the
    /// engine's next start sweeps.
    fn put_away(&mut self, engine: &Arc<Engine>) {
        let id = self.definition.id.clone();
        let failed = move |error: &dyn std::fmt::Display| {
            tracing::warn!(%id, %error, "removing a container's files failed");
        };
        let id = &self.definition.id;
        let retired = tokio::task::block_in_place(|| {
            if let Err(error) = mounts::remove_folder(&engine.paths.run_container(id)) {
                failed(&error.told());
            }
            engine.spares.retire(&engine.paths.container(id))
        });
        let retired = match retired {
            Ok(retired) => retired,
            Err(error) => return failed(&error),
        };
        let (engine, leaving) = (Arc::clone(engine), self.leaving.take());
        tokio::spawn(async move {
            if let Some(link) = leaving
                && timeout(LEAVING, link.gone()).await.is_err()
            {
                return failed(&"its monitor still has them mounted");
            }
            let settled = tokio::task::spawn_blocking(move || engine.spares.settle(retired));
            match settled.await {
                Ok(Ok(())) => {}
                Ok(Err(error)) => failed(&error),
                Err(error) => failed(&error),
            }
        });
    }

    /// Anonymous volumes that no other container uses.
    async fn remove_volumes(&self, engine: &Engine) {
        for (name, anonymous) in self.definition.volumes() {
            if !anonymous || engine.volume_users(name) > 0 {
                continue;
            }
            match engine.volumes.delete(name).await {
                Ok(()) => engine.tell_volume("destroy", name),
                Err(error) => tracing::warn!(
                    volume = name,
                    error = error.told(),
                    "removing a volume failed"
                ),
            }
        }
    }
}

impl Engine {
    /// How many containers use a volume.
    pub fn volume_users(&self, name: &str) -> usize {
        let uses = |container: &Container| {
            container
                .seen()
                .definition
                .volumes()
                .any(|(used, _)| used == name)
        };
        self.containers
            .all()
            .iter()
            .filter(|container| uses(container))
            .count()
    }

    /// Removes a volume that nobody uses.
    pub async fn remove_volume(&self, name: &str, force: bool) -> Result<()> {
        if let Err(error) = self.volumes.find(name) {
            return if force { Ok(()) } else { Err(error) };
        }
        let all = self.containers.all();
        let users: Vec<_> = all
            .iter()
            .filter(|container| {
                container
                    .seen()
                    .definition
                    .volumes()
                    .any(|(used, _)| used == name)
            })
            .map(|container| container.id().as_str())
            .collect();
        if !users.is_empty() {
            return Err(Error::conflict(format!(
                "remove {name}: volume is in use - [{}]",
                users.join(", ")
            )));
        }
        self.volumes.delete(name).await?;
        self.tell_volume("destroy", name);
        Ok(())
    }
}
