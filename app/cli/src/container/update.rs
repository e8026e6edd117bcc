//! `update`: other limits for containers that exist.

use clap::Args;
use proa_host::Request;
use serde::Deserialize;

use super::flags::ResourceFlags;
use super::spec;
use crate::failure::{Exit, Failure};
use crate::flags::bytes;
use crate::flags::document::Document;
use crate::output;
use crate::session::Session;
use crate::verb::Act;

/// Flags of `update`.
#[derive(Args, Clone, Debug)]
pub(crate) struct Update {
    /// Memory limit (512m, 2g)
    #[arg(short, long, value_parser = bytes::positive)]
    memory: Option<i64>,
    /// Memory and swap together; -1 for no limit
    #[arg(long, value_parser = bytes::swap)]
    memory_swap: Option<i64>,
    /// Memory it is pressed back to when the host runs short
    #[arg(long, value_parser = bytes::positive)]
    memory_reservation: Option<i64>,
    /// Number of CPUs (0.5, 2)
    #[arg(long, value_parser = bytes::nano_cpus)]
    cpus: Option<i64>,
    /// Share of CPU time (relative weight)
    #[arg(short, long)]
    cpu_shares: Option<i64>,
    /// CPU time per period, in microseconds
    #[arg(long)]
    cpu_quota: Option<i64>,
    /// The period, in microseconds
    #[arg(long)]
    cpu_period: Option<i64>,
    /// Real-time period, in microseconds
    #[arg(long)]
    cpu_rt_period: Option<i64>,
    /// Real-time run time, in microseconds
    #[arg(long)]
    cpu_rt_runtime: Option<i64>,
    /// CPUs it may run on (0-3, 0,1)
    #[arg(long, default_value = "", hide_default_value = true)]
    cpuset_cpus: String,
    /// Memory nodes it may use (0-3, 0,1)
    #[arg(long, default_value = "", hide_default_value = true)]
    cpuset_mems: String,
    /// Most processes at a time; -1 for no limit
    #[arg(long)]
    pids_limit: Option<i64>,
    /// Share of block I/O (10 to 1000)
    #[arg(long)]
    blkio_weight: Option<u16>,
    /// What to do when it exits: no, on-failure[:times], always, unless-stopped
    #[arg(long)]
    restart: Option<String>,
    #[arg(value_name = "CONTAINER", required = true)]
    containers: Vec<String>,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Updated {
    warnings: Option<Vec<String>>,
}

impl Act for Update {
    async fn act(self, session: &Session) -> Result<Exit, Failure> {
        let engine = session.engine()?;
        let document = self.document()?;
        if document == Document::default() {
            return Err(Failure::usage(
                "you must provide one or more flags when using this command",
            ));
        }
        let mut failed = false;
        for name in &self.containers {
            match engine
                .ask::<Updated>(Request::post(&["containers", name, "update"]).json(&document))
                .await
            {
                Ok(updated) => {
                    updated
                        .warnings
                        .iter()
                        .flatten()
                        .for_each(|warning| eprintln!("WARNING: {warning}"));
                    output::line(name)?;
                }
                Err(error) => {
                    Failure::from(error).report();
                    failed = true;
                }
            }
        }
        if failed {
            Err(Failure::Reported)
        } else {
            Ok(Exit::OK)
        }
    }
}

impl Update {
    fn document(&self) -> Result<Document, Failure> {
        let flags = self.clone();
        let resources = ResourceFlags {
            memory: flags.memory,
            memory_swap: flags.memory_swap,
            memory_reservation: flags.memory_reservation,
            cpus: flags.cpus,
            cpu_shares: flags.cpu_shares,
            cpu_quota: flags.cpu_quota,
            cpu_period: flags.cpu_period,
            cpu_rt_period: flags.cpu_rt_period,
            cpu_rt_runtime: flags.cpu_rt_runtime,
            cpuset_cpus: flags.cpuset_cpus,
            cpuset_mems: flags.cpuset_mems,
            pids_limit: flags.pids_limit,
            blkio_weight: flags.blkio_weight,
            ..ResourceFlags::default()
        };
        let mut document = Document::default();
        spec::resources(&mut document, &resources)?;
        if let Some(restart) = &flags.restart {
            document.always("RestartPolicy", spec::restart_policy(restart)?);
        }
        Ok(document)
    }
}
