//! `update`: limits and restart policy of a container, running or not.

use std::sync::{Arc, OnceLock};

use proa_protocol::{ContainerUpdateBody, ContainerUpdateResponse, HostConfig};

use super::{
    Container, check,
    create::as_models,
    state::State,
    task::{Request, Task},
};
use crate::{Engine, Error, Result, error::Context, spec};

impl Container {
    /// Changes its limits and its restart policy.
    pub async fn update(&self, body: ContainerUpdateBody) -> Result<ContainerUpdateResponse> {
        check::restart_policy(&body.restart_policy)?;
        let body = Box::new(body);
        self.ask(|answer| Request::Update { body, answer }).await
    }
}

impl Task {
    /// Merges here, where nobody else changes the definition meanwhile.
    pub(super) async fn update(
        &mut self,
        engine: &Engine,
        body: ContainerUpdateBody,
    ) -> Result<ContainerUpdateResponse> {
        let id = self.definition.id.clone();
        let cannot = |error: Error| {
            Error::new(
                error.kind(),
                format!("Cannot update container {id}: {}", error.told()),
            )
        };
        if matches!(self.state, State::Removing(_)) {
            return Err(cannot(Error::conflict(
                "Container is marked for removal and cannot be \"update\".",
            )));
        }
        let mut definition = self.definition.as_ref().clone();
        if definition.auto_remove() && !matches!(body.restart_policy.name.as_str(), "" | "no") {
            return Err(cannot(Error::bad(
                "Restart policy cannot be updated because AutoRemove is enabled for the container",
            )));
        }
        definition.models = OnceLock::new();
        merge(&mut definition.host, body)?;
        let cpus = engine.host.cpus;
        let warnings = check::limits(&definition.host, check::Facts { cpus })?;
        self.enforce(engine, &definition.host)
            .await
            .map_err(cannot)?;
        self.redefine(engine, definition).await?;
        self.tell(engine, "update", &[]);
        Ok(ContainerUpdateResponse {
            warnings: (!warnings.is_empty()).then_some(warnings),
        })
    }

    /// Puts limits in force, if it runs.
    async fn enforce(&self, engine: &Engine, host: &HostConfig) -> Result<()> {
        let Some(running) = self.state.live() else {
            return Ok(());
        };
        let limits = limits(engine, &self.definition.config, host)?;
        let cgroup = Arc::clone(&running.cgroup);
        let apply = tokio::task::spawn_blocking(move || cgroup.apply(&limits));
        let attempt = || "put the limits in force".to_owned();
        apply.await.context(attempt)?.context(attempt)
    }
}

fn limits(
    engine: &Engine,
    config: &proa_protocol::ContainerConfig,
    host: &HostConfig,
) -> Result<proa_kernel::cgroup::Limits> {
    let (_, host) = as_models(config, host)?;
    let resources = spec::resources(&host).map_err(|error| Error::bad(error.to_string()))?;
    let mut limits = engine.limits(&resources)?;
    // The device rules were set at the start and are not part of an update.
    limits.devices.clear();
    Ok(limits)
}

/// What the body says replaces what was; zero is "not said".
fn merge(host: &mut HostConfig, body: ContainerUpdateBody) -> Result<()> {
    let conflict = |words: &str| Err(Error::bad(format!("Conflicting options: {words}")));
    if body.nano_cpus > 0 && (host.cpu_period > 0 || host.cpu_quota > 0) {
        return conflict("Nano CPUs cannot be updated as CPU Period/Quota has already been set");
    }
    if body.nano_cpus == 0 && host.nano_cpus > 0 && (body.cpu_period > 0 || body.cpu_quota > 0) {
        return conflict("CPU Period/Quota cannot be updated as NanoCPUs has already been set");
    }
    if body.memory > 0
        && body.memory_swap == 0
        && host.memory_swap > 0
        && body.memory > host.memory_swap
    {
        return Err(Error::bad(
            "Memory limit should be smaller than already set memoryswap limit, update the memoryswap at the same time",
        ));
    }
    let number = |own: &mut i64, new: i64| {
        if new != 0 {
            *own = new;
        }
    };
    number(&mut host.cpu_shares, body.cpu_shares);
    number(&mut host.cpu_period, body.cpu_period);
    number(&mut host.cpu_quota, body.cpu_quota);
    number(&mut host.cpu_realtime_period, body.cpu_realtime_period);
    number(&mut host.cpu_realtime_runtime, body.cpu_realtime_runtime);
    number(&mut host.memory, body.memory);
    number(&mut host.memory_swap, body.memory_swap);
    number(&mut host.memory_reservation, body.memory_reservation);
    number(&mut host.nano_cpus, body.nano_cpus);
    if body.blkio_weight != 0 {
        host.blkio_weight = body.blkio_weight;
    }
    if !body.cpuset_cpus.is_empty() {
        host.cpuset_cpus = body.cpuset_cpus;
    }
    if !body.cpuset_mems.is_empty() {
        host.cpuset_mems = body.cpuset_mems;
    }
    if body.pids_limit.is_some() {
        host.pids_limit = body.pids_limit;
    }
    if !body.restart_policy.name.is_empty() {
        host.restart_policy = body.restart_policy;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_not_said_stays() {
        let mut host = HostConfig {
            memory: 7,
            cpu_shares: 5,
            ..HostConfig::default()
        };
        merge(
            &mut host,
            ContainerUpdateBody {
                cpu_shares: 9,
                ..ContainerUpdateBody::default()
            },
        )
        .unwrap();
        assert_eq!((host.memory, host.cpu_shares), (7, 9));
    }

    #[test]
    fn memory_beyond_the_swap_limit_is_refused() {
        let mut host = HostConfig {
            memory_swap: 5,
            ..HostConfig::default()
        };
        let told = merge(
            &mut host,
            ContainerUpdateBody {
                memory: 9,
                ..ContainerUpdateBody::default()
            },
        );
        assert!(
            told.unwrap_err()
                .told()
                .starts_with("Memory limit should be smaller than already set memoryswap")
        );
    }
}
