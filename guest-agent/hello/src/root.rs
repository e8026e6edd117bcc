//! The root file system: what it is made of, from `/proc/self/mountinfo`.

/// The root mount in words, such as `overlay of 3 layers, read-write`.
pub(crate) fn describe(mountinfo: &str) -> Option<String> {
    // The last mount on a point is the one that is seen.
    let line = mountinfo
        .lines()
        .rfind(|line| line.split(' ').nth(4) == Some("/"))?;
    let (mount, file_system) = line.split_once(" - ")?;
    let kind = file_system.split(' ').next()?;
    let access = if mount
        .split(' ')
        .nth(5)?
        .split(',')
        .any(|option| option == "ro")
    {
        "read-only"
    } else {
        "read-write"
    };
    let options = file_system.split(' ').nth(2).unwrap_or_default();
    Some(match layers(options) {
        0 => format!("{kind}, {access}"),
        1 => format!("{kind} on 1 layer, {access}"),
        count => format!("{kind} on {count} layers, {access}"),
    })
}

/// Lower folders of an overlay: one option with colons, or with newer kernels an option for each.
fn layers(options: &str) -> usize {
    let mut count = 0;
    for option in options.split(',') {
        if let Some(list) = option.strip_prefix("lowerdir=") {
            count += list.split(':').filter(|layer| is_image(layer)).count();
        } else if let Some(layer) = option.strip_prefix("lowerdir+=") {
            count += usize::from(is_image(layer));
        }
    }
    count
}

/// The lowest one is the engine's: places to mount at, for images that have none.
fn is_image(layer: &str) -> bool {
    !layer.ends_with("/ground")
}

/// How many mounts there are beside the root.
pub(crate) fn other_mounts(mountinfo: &str) -> usize {
    mountinfo
        .lines()
        .filter(|line| line.split(' ').nth(4) != Some("/"))
        .count()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_overlay_says_its_layers() {
        let old = "1 0 0:5 / / rw,relatime - overlay overlay rw,lowerdir=/a:/b,upperdir=/u\n2 1 0:6 / /proc rw - proc proc rw\n";
        assert_eq!(
            describe(old).as_deref(),
            Some("overlay on 2 layers, read-write")
        );
        assert_eq!(other_mounts(old), 1);
        let new = "1 0 0:5 / / ro,relatime - overlay overlay rw,lowerdir+=/a,lowerdir+=/ground,upperdir=/u\n";
        assert_eq!(
            describe(new).as_deref(),
            Some("overlay on 1 layer, read-only")
        );
    }

    #[test]
    fn any_other_root_is_named() {
        assert_eq!(
            describe("1 0 8:1 / / rw shared:1 - ext4 /dev/sda1 rw\n").as_deref(),
            Some("ext4, read-write")
        );
        assert_eq!(describe(""), None);
    }
}
