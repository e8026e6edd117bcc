//! What a user asked to have mounted: `-v`, `--mount`, `--tmpfs` and the image's volumes, read into one list.
//!
//! Nothing is looked up here: whether a source exists, where a named volume lives and what the root holds is the
//! caller's. The words of refusals are those clients of Docker know.

use std::path::Path;

use proa_protocol::models::{ContainerConfig, HostConfig, Mount, MountType};

/// One mount asked for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Requested {
    /// Absolute path in the container, as given.
    pub target: String,
    /// What is to be mounted there.
    pub what: What,
    /// Not writable in the container.
    pub read_only: bool,
}

/// The kinds of mount.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum What {
    /// A path of the host.
    Bind {
        /// Absolute.
        source: String,
        /// `rprivate` unless said otherwise.
        propagation: String,
        /// Mounts beneath the source come along.
        recursive: bool,
        /// With read-only: mounts beneath stay writable.
        writable_beneath: bool,
        /// Made as a directory where it does not exist (`-v` does, `--mount` does not).
        create: bool,
        /// `z` (shared) or `Z` (private): relabel for SELinux.
        relabel: Option<char>,
    },
    /// A volume; without a name it is anonymous.
    Volume {
        /// The name, where one was given.
        name: Option<String>,
        /// Filled from the image when it is new.
        copy: bool,
        /// The driver asked for.
        driver: Option<String>,
        /// The driver's options.
        options: Vec<(String, String)>,
        /// Labels of a volume made for this.
        labels: Vec<(String, String)>,
        /// A folder inside the volume.
        subpath: Option<String>,
        /// Comes from the image's `VOLUME`.
        from_image: bool,
    },
    /// Memory.
    Tmpfs {
        /// Mount options.
        options: Vec<String>,
    },
    /// Another image's files.
    Image {
        /// Its reference.
        reference: String,
        /// A folder inside it.
        subpath: Option<String>,
    },
}

/// Why a mount was refused.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
pub enum BadMount {
    /// Not of the form `source:target:options`.
    #[error("invalid volume specification: '{0}'")]
    Specification(String),
    /// An option that is unknown or comes twice.
    #[error("invalid mode: {0}")]
    Mode(String),
    /// A volume name with characters it may not have.
    #[error(
        "create {0}: \"{0}\" includes invalid characters for a local volume name, only \"[a-zA-Z0-9][a-zA-Z0-9_.-]\" \
         are allowed. If you intended to pass a host directory, use absolute path"
    )]
    Name(String),
    /// Two mounts at one place.
    #[error("Duplicate mount point: {0}")]
    Duplicate(String),
    /// A field of `--mount` that does not fit.
    #[error("invalid mount config for type \"{kind}\": {reason}")]
    Config {
        /// `bind`, `volume`, …
        kind: &'static str,
        /// What does not fit.
        reason: String,
    },
}

/// Every mount of a container, the user's before the image's, one per target.
pub fn requested(config: &ContainerConfig, host: &HostConfig) -> Result<Vec<Requested>, BadMount> {
    let mut list = Vec::new();
    for text in host.binds.as_deref().unwrap_or_default() {
        push(&mut list, parse_bind(text)?)?;
    }
    for mount in host.mounts.as_deref().unwrap_or_default() {
        push(&mut list, parse_mount(mount)?)?;
    }
    let mut tmpfs: Vec<_> = host.tmpfs.iter().flatten().collect();
    tmpfs.sort();
    for (target, options) in tmpfs {
        let options: Vec<String> = options
            .split(',')
            .filter(|word| !word.is_empty())
            .map(str::to_owned)
            .collect();
        check_target("tmpfs", target)?;
        check_tmpfs(&options)?;
        push(
            &mut list,
            Requested {
                target: target.clone(),
                what: What::Tmpfs { options },
                read_only: false,
            },
        )?;
    }
    for target in config.volumes.as_deref().unwrap_or_default() {
        let taken = list.iter().any(|mount| same_place(&mount.target, target));
        if !taken && Path::new(target).is_absolute() && !same_place(target, "/") {
            list.push(Requested {
                target: target.clone(),
                what: volume(None, true, true),
                read_only: false,
            });
        }
    }
    Ok(list)
}

fn push(list: &mut Vec<Requested>, mount: Requested) -> Result<(), BadMount> {
    if list
        .iter()
        .any(|other| same_place(&other.target, &mount.target))
    {
        return Err(BadMount::Duplicate(mount.target));
    }
    list.push(mount);
    Ok(())
}

fn same_place(a: &str, b: &str) -> bool {
    Path::new(a).components().eq(Path::new(b).components())
}

fn volume(name: Option<String>, copy: bool, from_image: bool) -> What {
    What::Volume {
        name,
        copy,
        driver: None,
        options: Vec::new(),
        labels: Vec::new(),
        subpath: None,
        from_image,
    }
}

/// `[source:]target[:options]`.
pub fn parse_bind(text: &str) -> Result<Requested, BadMount> {
    let bad = || BadMount::Specification(text.to_owned());
    let parts: Vec<&str> = text.split(':').collect();
    let (source, target, options) = match parts[..] {
        [target] => ("", target, ""),
        // `-v /data:ro` is a mistake that Docker tells from `-v volume:/data` by the slash.
        [source, target] if target.starts_with('/') => (source, target, ""),
        [source, target, options] => (source, target, options),
        _ => return Err(bad()),
    };
    if target.is_empty() || (parts.len() > 1 && source.is_empty()) || !target.starts_with('/') {
        return Err(bad());
    }
    let kind = if source.starts_with('/') {
        "bind"
    } else {
        "volume"
    };
    check_target(kind, target)?;
    let mode = Mode::parse(options)?;
    let what = if source.starts_with('/') {
        What::Bind {
            source: source.to_owned(),
            propagation: mode.propagation.unwrap_or_else(|| "rprivate".to_owned()),
            recursive: true,
            writable_beneath: false,
            create: true,
            relabel: mode.relabel,
        }
    } else {
        if !source.is_empty() {
            check_name(source)?;
        }
        volume(
            (!source.is_empty()).then(|| source.to_owned()),
            mode.copy,
            false,
        )
    };
    Ok(Requested {
        target: target.to_owned(),
        what,
        read_only: mode.read_only,
    })
}

/// What stands behind the second colon.
struct Mode {
    read_only: bool,
    copy: bool,
    propagation: Option<String>,
    relabel: Option<char>,
}

impl Mode {
    fn parse(text: &str) -> Result<Self, BadMount> {
        let bad = || BadMount::Mode(text.to_owned());
        let mut mode = Self {
            read_only: false,
            copy: true,
            propagation: None,
            relabel: None,
        };
        let mut access = 0;
        for word in text.split(',').filter(|_| !text.is_empty()) {
            match word {
                "ro" | "rw" => {
                    access += 1;
                    mode.read_only = word == "ro";
                }
                "nocopy" => mode.copy = false,
                "z" | "Z" if mode.relabel.is_none() => mode.relabel = word.chars().next(),
                "consistent" | "cached" | "delegated" | "default" => {}
                word if PROPAGATIONS.contains(&word) && mode.propagation.is_none() => {
                    mode.propagation = Some(word.to_owned());
                }
                _ => return Err(bad()),
            }
        }
        if access > 1 { Err(bad()) } else { Ok(mode) }
    }
}

const PROPAGATIONS: [&str; 6] = [
    "private", "rprivate", "shared", "rshared", "slave", "rslave",
];

/// A mount of the API's `Mounts` list.
pub fn parse_mount(mount: &Mount) -> Result<Requested, BadMount> {
    let unknown = || BadMount::Config {
        kind: "",
        reason: "mount type unknown".to_owned(),
    };
    let typ = mount.typ.ok_or_else(unknown)?;
    let target = mount.target.clone().unwrap_or_default();
    let source = mount.source.clone().filter(|source| !source.is_empty());
    let kind = kind_name(typ);
    check_target(kind, &target)?;
    let wrong = |reason: &str| BadMount::Config {
        kind,
        reason: reason.to_owned(),
    };
    let what = match typ {
        MountType::BIND => bind_of(
            mount,
            source.ok_or_else(|| wrong("field Source must not be empty"))?,
        )?,
        MountType::VOLUME => volume_of(mount, source)?,
        MountType::TMPFS if source.is_some() => {
            return Err(wrong("field Source must not be specified"));
        }
        MountType::TMPFS => What::Tmpfs {
            options: tmpfs_options(mount),
        },
        MountType::IMAGE => What::Image {
            reference: source.ok_or_else(|| wrong("field Source must not be empty"))?,
            subpath: mount
                .image_options
                .as_ref()
                .and_then(|options| options.subpath.clone()),
        },
        MountType::NPIPE | MountType::CLUSTER => return Err(wrong("mount type unknown")),
    };
    Ok(Requested {
        target,
        what,
        read_only: mount.read_only.unwrap_or(false),
    })
}

const fn kind_name(typ: MountType) -> &'static str {
    match typ {
        MountType::BIND => "bind",
        MountType::VOLUME => "volume",
        MountType::TMPFS => "tmpfs",
        MountType::IMAGE => "image",
        MountType::NPIPE => "npipe",
        MountType::CLUSTER => "cluster",
    }
}

fn bind_of(mount: &Mount, source: String) -> Result<What, BadMount> {
    let wrong = |reason: String| BadMount::Config {
        kind: "bind",
        reason,
    };
    if !source.starts_with('/') {
        return Err(wrong(format!(
            "invalid mount path: '{source}' mount path must be absolute"
        )));
    }
    let options = mount.bind_options.as_ref();
    let propagation = options
        .and_then(|options| options.propagation)
        .map(|value| value.to_string());
    let propagation = propagation
        .filter(|text| !text.is_empty())
        .unwrap_or_else(|| "rprivate".to_owned());
    if !PROPAGATIONS.contains(&propagation.as_str()) {
        return Err(wrong(format!("invalid propagation mode: {propagation}")));
    }
    let flag = |pick: fn(&proa_protocol::models::MountBindOptions) -> Option<bool>| {
        options.and_then(pick).unwrap_or(false)
    };
    Ok(What::Bind {
        source,
        propagation,
        recursive: !flag(|options| options.non_recursive),
        writable_beneath: flag(|options| options.read_only_non_recursive),
        create: flag(|options| options.create_mountpoint),
        relabel: None,
    })
}

fn volume_of(mount: &Mount, source: Option<String>) -> Result<What, BadMount> {
    if let Some(name) = &source {
        check_name(name)?;
    }
    let options = mount.volume_options.as_ref();
    let driver = options.and_then(|options| options.driver_config.as_ref());
    let pairs = |map: Option<&std::collections::HashMap<String, String>>| {
        let mut list: Vec<_> = map
            .into_iter()
            .flatten()
            .map(|(k, v)| (k.clone(), v.clone()))
            .collect();
        list.sort();
        list
    };
    Ok(What::Volume {
        name: source,
        copy: !options.and_then(|options| options.no_copy).unwrap_or(false),
        driver: driver
            .and_then(|driver| driver.name.clone())
            .filter(|name| !name.is_empty()),
        options: pairs(driver.and_then(|driver| driver.options.as_ref())),
        labels: pairs(options.and_then(|options| options.labels.as_ref())),
        subpath: options
            .and_then(|options| options.subpath.clone())
            .filter(|path| !path.is_empty()),
        from_image: false,
    })
}

fn tmpfs_options(mount: &Mount) -> Vec<String> {
    let Some(wanted) = &mount.tmpfs_options else {
        return Vec::new();
    };
    let mut options = Vec::new();
    if let Some(size) = wanted.size_bytes.filter(|size| *size > 0) {
        options.push(format!("size={size}"));
    }
    if let Some(mode) = wanted.mode.filter(|mode| *mode != 0) {
        options.push(format!("mode={mode:o}"));
    }
    for pair in wanted.options.iter().flatten() {
        options.push(pair.join("="));
    }
    options
}

/// The options `--tmpfs` may carry: the file system's own and mount flags, nothing else.
fn check_tmpfs(options: &[String]) -> Result<(), BadMount> {
    const FLAGS: [&str; 24] = [
        "ro",
        "rw",
        "exec",
        "noexec",
        "suid",
        "nosuid",
        "dev",
        "nodev",
        "sync",
        "async",
        "atime",
        "noatime",
        "diratime",
        "nodiratime",
        "relatime",
        "norelatime",
        "strictatime",
        "nostrictatime",
        "private",
        "rprivate",
        "shared",
        "rshared",
        "slave",
        "rslave",
    ];
    const VALUES: [&str; 8] = [
        "size",
        "mode",
        "uid",
        "gid",
        "nr_inodes",
        "nr_blocks",
        "mpol",
        "huge",
    ];
    for option in options {
        let known = match option.split_once('=') {
            Some((name, _)) => VALUES.contains(&name),
            None => FLAGS.contains(&option.as_str()),
        };
        if !known {
            return Err(BadMount::Config {
                kind: "tmpfs",
                reason: format!("invalid tmpfs option \"{option}\""),
            });
        }
    }
    Ok(())
}

fn check_target(kind: &'static str, target: &str) -> Result<(), BadMount> {
    let wrong = |reason: String| Err(BadMount::Config { kind, reason });
    if target.is_empty() {
        return wrong("field Target must not be empty".to_owned());
    }
    if !target.starts_with('/') {
        return wrong(format!(
            "invalid mount path: '{target}' mount path must be absolute"
        ));
    }
    // `/x/..` is the root as well.
    let mut depth = 0_i32;
    for part in target.split('/') {
        match part {
            "" | "." => {}
            ".." => depth = (depth - 1).max(0),
            _ => depth += 1,
        }
    }
    if depth == 0 {
        return wrong("invalid specification: destination can't be '/'".to_owned());
    }
    if target.contains('\0') {
        return wrong("the path holds a zero byte".to_owned());
    }
    Ok(())
}

/// A volume's name: letters, digits, `_`, `.`, `-`, two at least, the first a letter or digit.
pub fn check_name(name: &str) -> Result<(), BadMount> {
    let first = name
        .bytes()
        .next()
        .is_some_and(|byte| byte.is_ascii_alphanumeric());
    let rest = name
        .bytes()
        .all(|byte| byte.is_ascii_alphanumeric() || b"_.-".contains(&byte));
    if first && rest && name.len() > 1 && name.len() <= 255 {
        Ok(())
    } else {
        Err(BadMount::Name(name.to_owned()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(text: &str, expected: &str) {
        let shown = match parse_bind(text) {
            Err(error) => format!("error: {error}"),
            Ok(Requested {
                target,
                what,
                read_only,
            }) => {
                let access = if read_only { "ro" } else { "rw" };
                match what {
                    What::Bind {
                        source,
                        propagation,
                        ..
                    } => format!("bind {source} {target} {access} {propagation}"),
                    What::Volume { name, copy, .. } => {
                        format!(
                            "volume {} {target} {access} copy={copy}",
                            name.unwrap_or_else(|| "?".into())
                        )
                    }
                    What::Tmpfs { .. } | What::Image { .. } => unreachable!("not a form of -v"),
                }
            }
        };
        assert_eq!(shown, expected, "{text}");
    }

    #[test]
    fn a_source_with_a_slash_is_a_bind_and_a_word_is_a_volume() {
        check("/a:/b", "bind /a /b rw rprivate");
        check("/a:/b:ro,rslave", "bind /a /b ro rslave");
        check("data:/b", "volume data /b rw copy=true");
        check("data:/b:nocopy,ro", "volume data /b ro copy=false");
        check("/b", "volume ? /b rw copy=true");
    }

    #[test]
    fn what_is_wrong_is_named() {
        check("/a:/b:xx", "error: invalid mode: xx");
        check("/a:/b:ro,rw", "error: invalid mode: ro,rw");
        check("a:b:c:d", "error: invalid volume specification: 'a:b:c:d'");
        check("/a:b", "error: invalid volume specification: '/a:b'");
        check(
            "/a:/",
            "error: invalid mount config for type \"bind\": invalid specification: destination can't be '/'",
        );
        check(
            "/a:/x/..",
            "error: invalid mount config for type \"bind\": invalid specification: destination can't be '/'",
        );
        assert!(
            parse_bind("../x:/b")
                .unwrap_err()
                .to_string()
                .contains("use absolute path")
        );
    }

    #[test]
    fn two_mounts_do_not_share_a_place() {
        let host = HostConfig {
            binds: Some(vec!["/a:/b".into(), "/c:/b/".into()]),
            ..HostConfig::default()
        };
        let error = requested(&ContainerConfig::default(), &host).unwrap_err();
        assert_eq!(error.to_string(), "Duplicate mount point: /b/");
    }

    #[test]
    fn the_images_volumes_come_last_and_yield() {
        let config = ContainerConfig {
            volumes: Some(vec!["/b".into(), "/c".into()]),
            ..ContainerConfig::default()
        };
        let host = HostConfig {
            binds: Some(vec!["/a:/b".into()]),
            ..HostConfig::default()
        };
        let targets: Vec<_> = requested(&config, &host)
            .unwrap()
            .into_iter()
            .map(|mount| mount.target)
            .collect();
        assert_eq!(targets, ["/b", "/c"]);
    }
}
