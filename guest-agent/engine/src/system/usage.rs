//! What each kind of object takes on the disk, added up as API version 1.52 has it: since then the engine says what
//! clients used to compute.

use proa_protocol::{ContainerSummary, DiskUsage, ImageSummary, UsageSummary, Volume};

/// Images, containers and volumes, each if they were asked for.
pub fn images(usage: &DiskUsage) -> Option<UsageSummary> {
    let images: &[ImageSummary] = usage.images.as_deref()?;
    let used = images.iter().filter(|image| image.containers > 0);
    let kept: i64 = used
        .clone()
        .map(|image| image.size - image.shared_size.max(0))
        .sum();
    Some(UsageSummary {
        active_count: used.count() as i64,
        total_count: images.len() as i64,
        reclaimable: (usage.layers_size - kept).max(0),
        total_size: usage.layers_size,
    })
}

/// The containers' own files.
pub fn containers(usage: &DiskUsage) -> Option<UsageSummary> {
    let containers: &[ContainerSummary] = usage.containers.as_deref()?;
    let active = |container: &&ContainerSummary| {
        matches!(
            container.state.as_str(),
            "running" | "paused" | "restarting"
        )
    };
    let total: i64 = containers.iter().map(|container| container.size_rw).sum();
    let kept: i64 = containers
        .iter()
        .filter(active)
        .map(|container| container.size_rw)
        .sum();
    Some(UsageSummary {
        active_count: containers.iter().filter(active).count() as i64,
        total_count: containers.len() as i64,
        reclaimable: total - kept,
        total_size: total,
    })
}

/// The volumes.
pub fn volumes(usage: &DiskUsage) -> Option<UsageSummary> {
    let volumes: &[Volume] = usage.volumes.as_deref()?;
    let sizes = |wanted: fn(i64) -> bool| {
        let used = volumes
            .iter()
            .filter_map(|volume| volume.usage_data.as_ref());
        used.filter(move |usage| wanted(usage.ref_count))
            .map(|usage| usage.size.max(0))
    };
    let total: i64 = sizes(|_| true).sum();
    Some(UsageSummary {
        active_count: sizes(|users| users > 0).count() as i64,
        total_count: volumes.len() as i64,
        reclaimable: total - sizes(|users| users > 0).sum::<i64>(),
        total_size: total,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_not_in_use_can_be_reclaimed() {
        let image = |containers, size, shared_size| ImageSummary {
            containers,
            size,
            shared_size,
            ..ImageSummary::default()
        };
        let container = |state: &str, size_rw| ContainerSummary {
            state: state.to_owned(),
            size_rw,
            ..ContainerSummary::default()
        };
        let usage = DiskUsage {
            layers_size: 100,
            images: Some(vec![image(1, 60, 20), image(0, 60, 20)]),
            containers: Some(vec![container("running", 7), container("exited", 5)]),
            ..DiskUsage::default()
        };
        let told = |summary: Option<UsageSummary>| {
            let one = summary.unwrap();
            [
                one.active_count,
                one.total_count,
                one.reclaimable,
                one.total_size,
            ]
        };
        assert_eq!(told(images(&usage)), [1, 2, 60, 100]);
        assert_eq!(told(containers(&usage)), [1, 2, 5, 12]);
        assert_eq!(volumes(&usage), None);
    }
}
