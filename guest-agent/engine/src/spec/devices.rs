//! Device nodes: the ones asked for by `--device`, and all of the host's for privileged containers.

use std::path::{Path, PathBuf};

use oci_spec::runtime::{
    LinuxDevice, LinuxDeviceBuilder, LinuxDeviceCgroup, LinuxDeviceCgroupBuilder, LinuxDeviceType,
};
use proa_protocol::models::{DeviceMapping, DeviceRequest, HostConfig};

use super::SpecError;

/// A device node as the host has it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Node {
    /// Where it is.
    pub path: PathBuf,
    /// Block, and character otherwise.
    pub block: bool,
    /// The driver.
    pub major: u32,
    /// The device.
    pub minor: u32,
    /// Permission bits.
    pub mode: u32,
    /// Owner.
    pub uid: u32,
    /// Group.
    pub gid: u32,
}

/// A node given to a container, with what it may do with it (`r`, `w`, `m`).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Granted {
    /// The node; its path is the one in the container.
    pub node: Node,
    /// Permissions for the device controller.
    pub access: String,
}

/// Requests for devices need a driver; there is none for any of them.
pub fn check_requests(requests: &[DeviceRequest]) -> Result<(), SpecError> {
    let Some(request) = requests.first() else {
        return Ok(());
    };
    let of_one = |words: &Vec<String>| format!("[{}]", words.join(" "));
    let capabilities: Vec<_> = request.capabilities.iter().flatten().map(of_one).collect();
    Err(SpecError::NoDriver {
        driver: request.driver.clone().unwrap_or_default(),
        capabilities: format!("[{}]", capabilities.join(" ")),
    })
}

/// Looks up what `--device` asks for. A directory stands for every node beneath it.
///
/// `look` answers with the nodes at a host path: one for a device, all beneath it for a directory.
pub fn grant(
    wanted: &[DeviceMapping],
    look: &dyn Fn(&Path) -> std::io::Result<Vec<Node>>,
) -> Result<Vec<Granted>, SpecError> {
    let mut granted = Vec::new();
    for mapping in wanted {
        let on_host = mapping.path_on_host.as_deref().unwrap_or_default();
        let inside = mapping
            .path_in_container
            .as_deref()
            .filter(|path| !path.is_empty())
            .unwrap_or(on_host);
        let access = mapping
            .cgroup_permissions
            .as_deref()
            .filter(|text| !text.is_empty())
            .unwrap_or("rwm");
        let fail = |reason: String| SpecError::Device {
            path: on_host.to_owned(),
            reason,
        };
        if !access.chars().all(|c| "rwm".contains(c)) {
            return Err(fail(format!("invalid device mode: {access}")));
        }
        let nodes = look(Path::new(on_host)).map_err(|error| match error.kind() {
            std::io::ErrorKind::NotFound => fail("no such file or directory".to_owned()),
            _ => fail(error.to_string()),
        })?;
        if nodes.is_empty() {
            return Err(fail("not a device node".to_owned()));
        }
        for mut node in nodes {
            let beneath = node
                .path
                .strip_prefix(on_host)
                .unwrap_or(Path::new(""))
                .to_owned();
            node.path = if beneath.as_os_str().is_empty() {
                inside.into()
            } else {
                Path::new(inside).join(beneath)
            };
            granted.push(Granted {
                node,
                access: access.to_owned(),
            });
        }
    }
    Ok(granted)
}

/// The nodes to make in the container's `/dev`.
pub(super) fn nodes(granted: &[Granted], privileged: Option<&[Node]>) -> Vec<LinuxDevice> {
    let named = granted.iter().map(|granted| &granted.node);
    privileged
        .unwrap_or_default()
        .iter()
        .chain(named)
        .filter_map(document)
        .collect()
}

fn document(node: &Node) -> Option<LinuxDevice> {
    LinuxDeviceBuilder::default()
        .path(node.path.clone())
        .typ(kind(node.block))
        .major(i64::from(node.major))
        .minor(i64::from(node.minor))
        .file_mode(node.mode & 0o7777)
        .uid(node.uid)
        .gid(node.gid)
        .build()
        .ok()
}

const fn kind(block: bool) -> LinuxDeviceType {
    if block {
        LinuxDeviceType::B
    } else {
        LinuxDeviceType::C
    }
}

/// The device controller's list: nothing, then what every container needs, then what was asked for.
pub(super) fn rules(
    host: &HostConfig,
    granted: &[Granted],
    privileged: bool,
) -> Result<Vec<LinuxDeviceCgroup>, SpecError> {
    if privileged {
        return Ok(vec![
            LinuxDeviceCgroupBuilder::default()
                .allow(true)
                .access("rwm")
                .build()?,
        ]);
    }
    // Null, zero, full, random, urandom, tun, tty, console, and the pseudo-terminals of the container's own devpts.
    let always = [
        (1, 3),
        (1, 5),
        (1, 7),
        (1, 8),
        (1, 9),
        (10, 200),
        (5, 0),
        (5, 1),
        (5, 2),
        (136, -1),
    ];
    let mut list = vec![
        LinuxDeviceCgroupBuilder::default()
            .allow(false)
            .access("rwm")
            .build()?,
    ];
    // Making a node needs a capability anyway, and using one needs a rule of its own.
    list.push(rule(LinuxDeviceType::C, None, None, "m")?);
    list.push(rule(LinuxDeviceType::B, None, None, "m")?);
    for (major, minor) in always {
        list.push(rule(
            LinuxDeviceType::C,
            Some(major),
            (minor >= 0).then_some(minor),
            "rwm",
        )?);
    }
    for Granted { node, access } in granted {
        list.push(rule(
            kind(node.block),
            Some(i64::from(node.major)),
            Some(i64::from(node.minor)),
            access,
        )?);
    }
    for text in host.device_cgroup_rules.as_deref().unwrap_or_default() {
        list.push(parse_rule(text)?);
    }
    Ok(list)
}

fn rule(
    typ: LinuxDeviceType,
    major: Option<i64>,
    minor: Option<i64>,
    access: &str,
) -> Result<LinuxDeviceCgroup, SpecError> {
    let mut rule = LinuxDeviceCgroupBuilder::default()
        .allow(true)
        .typ(typ)
        .access(access)
        .build()?;
    rule.set_major(major);
    rule.set_minor(minor);
    Ok(rule)
}

/// `TYPE MAJOR:MINOR ACCESS`, with `*` for any number and type `a` for both kinds.
fn parse_rule(text: &str) -> Result<LinuxDeviceCgroup, SpecError> {
    let bad = || SpecError::DeviceRule(text.to_owned());
    let mut words = text.split(' ');
    let (Some(typ), Some(numbers), Some(access), None) =
        (words.next(), words.next(), words.next(), words.next())
    else {
        return Err(bad());
    };
    let typ = match typ {
        "a" => LinuxDeviceType::A,
        "b" => LinuxDeviceType::B,
        "c" => LinuxDeviceType::C,
        _ => return Err(bad()),
    };
    let (major, minor) = numbers.split_once(':').ok_or_else(bad)?;
    let number = |text: &str| match text {
        "*" => Ok(None),
        digits => digits
            .parse::<u32>()
            .map(|n| Some(i64::from(n)))
            .map_err(|_| bad()),
    };
    if access.is_empty() || access.len() > 3 || !access.chars().all(|c| "rwm".contains(c)) {
        return Err(bad());
    }
    rule(typ, number(major)?, number(minor)?, access)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_rule_has_three_words() {
        let shown = |text: &str| parse_rule(text).map_or_else(|e| e.to_string(), |r| r.to_string());
        assert_eq!(shown("c 1:3 mr"), "c 1:3 mr");
        assert_eq!(shown("b 7:* rmw"), "b 7:* rmw");
        assert_eq!(shown("c 1:3"), "invalid device cgroup rule format: 'c 1:3'");
        assert_eq!(
            shown("x 1:3 r"),
            "invalid device cgroup rule format: 'x 1:3 r'"
        );
        assert_eq!(
            shown("c 1:y r"),
            "invalid device cgroup rule format: 'c 1:y r'"
        );
    }

    #[test]
    fn a_device_keeps_its_name_or_takes_the_one_given() {
        let fuse = Node {
            path: "/dev/fuse".into(),
            block: false,
            major: 10,
            minor: 229,
            mode: 0o666,
            uid: 0,
            gid: 0,
        };
        let look = |path: &Path| {
            if path == Path::new("/dev/fuse") {
                Ok(vec![fuse.clone()])
            } else {
                Err(std::io::ErrorKind::NotFound.into())
            }
        };
        let ask = |on_host: &str, inside: &str| {
            let mapping = DeviceMapping {
                path_on_host: Some(on_host.to_owned()),
                path_in_container: Some(inside.to_owned()),
                cgroup_permissions: None,
            };
            grant(&[mapping], &look).map(|granted| granted[0].node.path.clone())
        };
        assert_eq!(ask("/dev/fuse", "").unwrap(), Path::new("/dev/fuse"));
        assert_eq!(ask("/dev/fuse", "/dev/x").unwrap(), Path::new("/dev/x"));
        assert_eq!(
            ask("/dev/none", "").unwrap_err().to_string(),
            "error gathering device information while adding custom device \"/dev/none\": no such file or directory"
        );
    }
}
