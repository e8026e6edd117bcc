//! `stats`: the counters of a container's cgroup, once or every second.

use std::time::Duration;

use futures_util::stream::{self, BoxStream, StreamExt};
use proa_kernel::cgroup::{host_cpu, host_memory};
use proa_protocol::ContainerStats;

use super::Container;
use crate::{
    Engine, Result, clock,
    error::Context,
    stats::{self, Sample, Subject},
};

/// Between two measurements.
const INTERVAL: Duration = Duration::from_secs(1);

impl Container {
    /// One measurement; `one_shot` leaves out the one before it, otherwise it takes a second.
    pub async fn stats(&self, one_shot: bool) -> Result<ContainerStats> {
        let engine = self.engine()?;
        let first = self.sample().await?;
        if one_shot || first.is_none() {
            return Ok(self.measured(&engine, first.as_ref(), None));
        }
        tokio::time::sleep(INTERVAL).await;
        let second = self.sample().await?;
        Ok(self.measured(&engine, second.as_ref(), first.as_ref()))
    }

    /// A measurement every second until the container is removed.
    pub fn stats_stream(&self) -> Result<BoxStream<'static, Result<ContainerStats>>> {
        let engine = self.engine()?;
        let beginning = (self.clone(), engine, None::<Sample>, true);
        let documents =
            stream::unfold(beginning, |(container, engine, before, first)| async move {
                if !first {
                    tokio::time::sleep(INTERVAL).await;
                }
                if container.seen().removed {
                    return None;
                }
                let now = match container.sample().await {
                    Ok(now) => now,
                    Err(error) => return Some((Err(error), (container, engine, before, false))),
                };
                let document = container.measured(&engine, now.as_ref(), before.as_ref());
                Some((Ok(document), (container, engine, now, false)))
            });
        Ok(documents.boxed())
    }

    /// The counters now; `None` if it does not run.
    async fn sample(&self) -> Result<Option<Sample>> {
        let Some(running) = self.seen().state.live().cloned() else {
            return Ok(None);
        };
        let attempt = || format!("read the counters of container {}", self.id);
        let pid = running.pid;
        let wired = !running.place.joints.is_empty();
        let read = tokio::task::spawn_blocking(move || (running.cgroup.stats(), host_cpu()))
            .await
            .context(attempt)?;
        let (used, machine) = match read {
            (Ok(used), Ok(machine)) => (used, machine),
            // It ended meanwhile.
            _ if self.seen().state.live().is_none() => return Ok(None),
            (used, machine) => (used.context(attempt)?, machine.context(attempt)?),
        };
        Ok(Some(Sample {
            at: clock::now(),
            used,
            machine,
            networks: wired.then(|| stats::interfaces(pid)),
        }))
    }

    fn measured(
        &self,
        engine: &Engine,
        now: Option<&Sample>,
        before: Option<&Sample>,
    ) -> ContainerStats {
        let name = format!("/{}", self.name());
        let subject = Subject {
            id: self.id.as_str(),
            name: &name,
            version: engine.cgroups.version(),
            memory: host_memory().unwrap_or_default(),
        };
        match now {
            Some(now) => stats::document(subject, now, before),
            None => stats::stopped(subject),
        }
    }
}
