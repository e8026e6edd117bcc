//! `top`: the processes of a container.

use proa_protocol::ContainerTop;

use super::{Container, state::State};
use crate::{Error, Result, error::Context, ps};

impl Container {
    /// Its processes, as `ps` with these arguments (`-ef` if none) shows them.
    pub async fn top(&self, arguments: Option<&str>) -> Result<ContainerTop> {
        let seen = self.seen();
        if matches!(seen.state, State::Restarting(_)) {
            return Err(Error::conflict(format!(
                "Container {} is restarting, wait until the container is running",
                self.id
            )));
        }
        let running = seen.state.running(self.id.as_str())?.clone();
        let arguments = arguments
            .filter(|words| !words.trim().is_empty())
            .unwrap_or("-ef")
            .to_owned();
        let attempt = || format!("list the processes of container {}", self.id);
        let read = move || -> Result<ps::Table> {
            let pids = running
                .cgroup
                .pids()
                .context(|| "read the container's cgroup".into())?;
            let pids: Vec<u32> = pids
                .into_iter()
                .filter_map(|pid| u32::try_from(pid).ok())
                .collect();
            ps::table(&pids, &arguments).map_err(|error| Error::bad(error.to_string()))
        };
        let table = tokio::task::spawn_blocking(read).await.context(attempt)??;
        self.tell("top", &[]);
        Ok(ContainerTop {
            titles: table.titles,
            processes: table.rows,
        })
    }
}
