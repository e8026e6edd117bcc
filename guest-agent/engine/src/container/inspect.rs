//! `inspect`: a container's whole document.

use std::{collections::BTreeMap, path::Path};

use proa_protocol::{
    ContainerInspect, ContainerState, EndpointSettings, GraphDriver, IdMappings, MountPoint,
    NetworkSettings, ProaFacts, TextMap,
};

use super::{
    Container,
    definition::{Definition, Mounted, Source},
    files,
    health::Health,
    log_config,
    state::{Ended, State},
    task::Published,
};
use crate::{
    Engine, Result, clock,
    engine::lock,
    error::Context,
    network::{DEFAULT, Joint, names, ports},
    user_ids::IdRange,
};

impl Container {
    /// Its whole document. `size` adds what its root takes.
    pub async fn inspect(&self, size: bool) -> Result<ContainerInspect> {
        let engine = self.engine()?;
        let seen = self.seen();
        let mut document = document(&engine, &seen);
        document.state.health = lock(&self.health).as_ref().map(Health::document);
        document.exec_ids = engine.execs.of(&self.id);
        document.proa = self.facts();
        if size {
            let (own, root) = self.size().await?;
            (document.size_rw, document.size_root_fs) = (Some(own), Some(root));
        }
        Ok(document)
    }

    /// What is known beyond Docker's documents, if anything is.
    pub(super) fn facts(&self) -> Option<ProaFacts> {
        let readiness = lock(&self.readiness).document();
        readiness.is_some().then_some(ProaFacts { readiness })
    }

    /// Bytes of its own changes, and of its whole root.
    pub(super) async fn size(&self) -> Result<(i64, i64)> {
        let engine = self.engine()?;
        let definition = self.seen().definition;
        let upper = engine.paths.container(&self.id).join("upper");
        let attempt = || format!("measure the files of container {}", definition.id);
        let own = tokio::task::spawn_blocking(move || bytes_beneath(&upper))
            .await
            .context(attempt)?;
        let own = i64::try_from(own).unwrap_or(i64::MAX);
        let image = engine
            .images()
            .find(&definition.image)
            .map_or(0, |image| image.size());
        Ok((own, own + i64::try_from(image).unwrap_or(0)))
    }
}

/// Bytes of the files beneath a directory; what goes away meanwhile counts nothing.
pub(crate) fn bytes_beneath(path: &Path) -> u64 {
    let Ok(entries) = std::fs::read_dir(path) else {
        return 0;
    };
    let one = |entry: std::fs::DirEntry| {
        let Ok(metadata) = entry.metadata() else {
            return 0;
        };
        if metadata.is_dir() {
            bytes_beneath(&entry.path())
        } else {
            metadata.len()
        }
    };
    entries.flatten().map(one).sum()
}

fn document(engine: &Engine, seen: &Published) -> ContainerInspect {
    let definition = &seen.definition;
    let folder = engine.paths.container(&definition.id);
    let files = files::paths(&folder);
    let text = |path: &Path| path.display().to_string();
    let mut command = definition.command.iter().cloned();
    let mut config = definition.config.clone();
    // Shown as nothing where there is nothing.
    config.volumes = config.volumes.filter(|volumes| !volumes.is_empty());
    ContainerInspect {
        id: definition.id.to_string(),
        created: clock::document(Some(definition.created)),
        path: command.next().unwrap_or_default(),
        args: command.collect(),
        state: state(seen),
        image: definition.image.clone(),
        resolv_conf_path: text(&files.resolv_conf),
        hostname_path: text(&files.hostname),
        hosts_path: text(&files.hosts),
        log_path: match definition.host.log_config.kind.as_str() {
            "json-file" => log_config::readable(engine, definition)
                .map(|(path, _)| text(&path))
                .unwrap_or_default(),
            _ => String::new(),
        },
        name: format!("/{}", definition.name),
        restart_count: i64::from(seen.restarts),
        driver: "overlay2".to_owned(),
        platform: definition.platform.clone(),
        app_armor_profile: apparmor(engine, definition),
        host_config: definition.host.clone(),
        graph_driver: graph_driver(definition, &folder),
        id_mappings: definition.ids.map(id_mappings),
        mounts: mount_points(definition),
        config,
        network_settings: network_settings(engine, seen),
        ..ContainerInspect::default()
    }
}

fn id_mappings(ids: IdRange) -> IdMappings {
    let map = vec![format!("0:{}:{}", ids.first, ids.size)];
    IdMappings {
        uid_map: map.clone(),
        gid_map: map,
    }
}

fn apparmor(engine: &Engine, definition: &Definition) -> String {
    if !engine.host.machine.apparmor {
        return String::new();
    }
    let options = definition.host.security_opt.iter().flatten();
    let named = options
        .filter_map(|option| option.strip_prefix("apparmor="))
        .next_back();
    match named {
        Some(name) => name.to_owned(),
        None if definition.host.privileged => "unconfined".to_owned(),
        None => String::new(),
    }
}

fn state(seen: &Published) -> ContainerState {
    let mut document = ContainerState {
        status: seen.state.name().to_owned(),
        ..ContainerState::default()
    };
    (document.started_at, document.finished_at) = (clock::document(None), clock::document(None));
    if let Some(running) = seen.state.live() {
        document.running = true;
        document.paused = matches!(seen.state, State::Paused(_));
        document.pid = i64::from(running.pid);
        document.started_at = clock::document(Some(running.started));
        document.finished_at = clock::document(seen.finished_before);
        return document;
    }
    document.restarting = matches!(seen.state, State::Restarting(_));
    // Docker counts a container that waits for its restart as running.
    document.running = document.restarting;
    match seen.state.ended() {
        Some(Ended::Exited(exit)) => {
            document.exit_code = i64::from(exit.code);
            document.oom_killed = exit.oom_killed;
            document.error = exit.error;
            document.started_at = clock::document(exit.started);
            document.finished_at = clock::document(Some(exit.finished));
        }
        Some(Ended::Never(Some(failure))) => {
            document.exit_code = i64::from(failure.code);
            document.error = failure.error;
        }
        Some(Ended::Never(None)) | None => {}
    }
    document
}

fn graph_driver(definition: &Definition, folder: &Path) -> GraphDriver {
    let lowers: Vec<String> = definition
        .lowers
        .iter()
        .map(|path| path.display().to_string())
        .collect();
    let at = |name: &str| folder.join(name).display().to_string();
    let pairs = [
        ("ID", definition.id.to_string()),
        ("LowerDir", lowers.join(":")),
        ("MergedDir", at("merged")),
        ("UpperDir", at("upper")),
        ("WorkDir", at("work")),
    ];
    let data: TextMap = pairs
        .into_iter()
        .map(|(key, value)| (key.to_owned(), value))
        .collect();
    GraphDriver {
        name: "overlay2".to_owned(),
        data: Some(data),
    }
}

/// The mounts that documents show.
pub(super) fn mount_points(definition: &Definition) -> Vec<MountPoint> {
    // What `--tmpfs` asked for is shown in the host configuration alone.
    let by_option = |target: &String| {
        let wanted = definition.host.tmpfs.as_ref();
        wanted.is_some_and(|wanted| wanted.contains_key(target))
    };
    let shown = definition
        .mounts
        .iter()
        .filter(|mount| !(matches!(mount.what, Source::Tmpfs { .. }) && by_option(&mount.target)));
    shown.map(mount_point).collect()
}

fn mount_point(mount: &Mounted) -> MountPoint {
    let common = MountPoint {
        destination: mount.target.clone(),
        rw: !mount.read_only,
        ..MountPoint::default()
    };
    match &mount.what {
        Source::Bind {
            path,
            propagation,
            mode,
            ..
        } => MountPoint {
            kind: "bind".to_owned(),
            source: path.display().to_string(),
            mode: mode.clone(),
            propagation: propagation.clone(),
            ..common
        },
        Source::Volume {
            name, path, mode, ..
        } => MountPoint {
            kind: "volume".to_owned(),
            name: name.clone(),
            source: path.display().to_string(),
            driver: "local".to_owned(),
            mode: mode.clone(),
            ..common
        },
        Source::Tmpfs { .. } => MountPoint {
            kind: "tmpfs".to_owned(),
            ..common
        },
        Source::Image { reference, .. } => MountPoint {
            kind: "image".to_owned(),
            source: reference.clone(),
            ..common
        },
    }
}

/// Its networks: where it is, and where it would be if it ran.
pub(super) fn networks(engine: &Engine, seen: &Published) -> BTreeMap<String, EndpointSettings> {
    let definition = &seen.definition;
    let mode = definition.host.network_mode.as_str();
    if mode.starts_with("container:") {
        return BTreeMap::new();
    }
    let live = seen.state.live();
    let list = definition.endpoints().into_iter();
    list.map(|(name, mut settings)| {
        let record = engine.networks.find(&name).ok();
        if let Some(record) = &record {
            settings.network_id.clone_from(&record.id);
        }
        let joint = live
            .zip(record.as_ref())
            .and_then(|(running, record)| running.place.joint(&record.id));
        if let Some(joint) = joint {
            describe(&mut settings, joint);
        } else if live.is_some() {
            settings.endpoint_id = endpoint_id(definition, &name);
        } else if let (Some(record), Some(Ended::Exited(_))) = (&record, seen.state.ended()) {
            let known = names::of(definition, record, &settings);
            settings.dns_names = Some(known).filter(|names| !names.is_empty());
        }
        let name = record.map_or(name, |record| record.name.clone());
        (name, settings)
    })
    .collect()
}

/// What stands for an endpoint where the kernel has none, as in `host` and `none`: the same for as long as the
/// container lives.
fn endpoint_id(definition: &Definition, network: &str) -> String {
    let turned = definition.id.as_str().chars().rev();
    let turned: String = turned.collect();
    let mark = network.len() % 10;
    format!("{mark}{}", &turned[1..])
}

/// Fills in what an endpoint has.
fn describe(settings: &mut EndpointSettings, joint: &Joint) {
    let endpoint = &joint.endpoint;
    settings.endpoint_id.clone_from(&endpoint.id);
    settings.mac_address = endpoint.mac.to_string();
    if let Some(address) = endpoint.ipv4 {
        settings.ip_address = address.addr().to_string();
        settings.ip_prefix_len = i64::from(address.prefix_len());
    }
    if let Some(address) = endpoint.ipv6 {
        settings.global_ipv6_address = address.addr().to_string();
        settings.global_ipv6_prefix_len = i64::from(address.prefix_len());
    }
    let text = |gateway: Option<String>| gateway.unwrap_or_default();
    settings.gateway = text(endpoint.gateway4.map(|gateway| gateway.to_string()));
    settings.ipv6_gateway = text(endpoint.gateway6.map(|gateway| gateway.to_string()));
    settings.dns_names = Some(joint.names.clone()).filter(|names| !names.is_empty());
}

/// The ports it publishes; none of a container without networks of its own.
pub(super) fn published(seen: &Published) -> Option<&[proa_networks::Published]> {
    let live = seen.state.live()?;
    let wired = !live.place.joints.is_empty();
    wired.then_some(&live.place.published)
}

fn network_settings(engine: &Engine, seen: &Published) -> NetworkSettings {
    let definition = &seen.definition;
    let live = seen.state.live();
    let networks = networks(engine, seen);
    // The old fields are those of the default network.
    let old = networks.get(DEFAULT).cloned().unwrap_or_default();
    let ports = published(seen).map(|published| ports::map(&definition.config, published));
    NetworkSettings {
        sandbox_id: live.map(|_| definition.id.to_string()).unwrap_or_default(),
        sandbox_key: live
            .map(|running| format!("/proc/{}/ns/net", running.pid))
            .unwrap_or_default(),
        ports: Some(ports.unwrap_or_default()),
        endpoint_id: old.endpoint_id,
        gateway: old.gateway,
        global_ipv6_address: old.global_ipv6_address,
        global_ipv6_prefix_len: old.global_ipv6_prefix_len,
        ip_address: old.ip_address,
        ip_prefix_len: old.ip_prefix_len,
        ipv6_gateway: old.ipv6_gateway,
        mac_address: old.mac_address,
        networks: Some(networks),
        ..NetworkSettings::default()
    }
}
