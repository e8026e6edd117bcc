//! `--device` and its relatives.

use serde::Serialize;
use serde_json::{Value, json};

use super::{bytes, csv};
use crate::failure::Failure;

/// A device of the host in the container.
#[derive(Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "PascalCase")]
pub(crate) struct DeviceMapping {
    path_on_host: String,
    path_in_container: String,
    cgroup_permissions: String,
}

/// Whether a device is named by the Container Device Interface: `vendor.com/class=name`.
pub(crate) fn is_interface_name(text: &str) -> bool {
    !text.starts_with('/')
        && text
            .split_once('=')
            .is_some_and(|(kind, name)| kind.contains('/') && !name.is_empty())
}

/// `/dev/a[:/dev/b][:rwm]`.
pub(crate) fn mapping(text: &str) -> Result<DeviceMapping, Failure> {
    let parts: Vec<&str> = text.split(':').collect();
    let is_mode =
        |text: &str| !text.is_empty() && text.chars().all(|c| matches!(c, 'r' | 'w' | 'm'));
    let (host, inside, mode) = match parts.as_slice() {
        [host] => (*host, *host, "rwm"),
        [host, mode] if is_mode(mode) => (*host, *host, *mode),
        [host, inside] => (*host, *inside, "rwm"),
        [host, inside, mode] if is_mode(mode) => (
            *host,
            if inside.is_empty() { *host } else { *inside },
            *mode,
        ),
        _ => {
            return Err(Failure::usage(format!(
                "invalid device specification: {text:?}"
            )));
        }
    };
    if !host.starts_with('/') || !inside.starts_with('/') {
        return Err(Failure::usage(format!(
            "invalid device specification: {text:?}: a path is not absolute"
        )));
    }
    let owned = str::to_owned;
    Ok(DeviceMapping {
        path_on_host: owned(host),
        path_in_container: owned(inside),
        cgroup_permissions: owned(mode),
    })
}

/// `/dev/a:RATE`, with an amount of bytes or a count.
pub(crate) fn throttle(text: &str, in_bytes: bool) -> Result<Value, Failure> {
    let bad = || Failure::usage(format!("bad format: {text:?}: expected /dev/name:rate"));
    let (path, rate) = text
        .rsplit_once(':')
        .filter(|(path, _)| path.starts_with("/dev/"))
        .ok_or_else(bad)?;
    let rate = if in_bytes {
        bytes::positive(rate).map_err(|_| bad())?
    } else {
        rate.parse().map_err(|_| bad())?
    };
    Ok(json!({"Path": path, "Rate": rate}))
}

/// `/dev/a:WEIGHT`.
pub(crate) fn weight(text: &str) -> Result<Value, Failure> {
    let bad = || Failure::usage(format!("bad format: {text:?}: expected /dev/name:weight"));
    let (path, weight) = text
        .rsplit_once(':')
        .filter(|(path, _)| path.starts_with("/dev/"))
        .ok_or_else(bad)?;
    let weight: u16 = weight.parse().map_err(|_| bad())?;
    if weight != 0 && !(10..=1000).contains(&weight) {
        return Err(Failure::usage(format!(
            "invalid weight for device: {text:?}: expected 0, or 10 to 1000"
        )));
    }
    Ok(json!({"Path": path, "Weight": weight}))
}

/// `--gpus all`, `--gpus 2`, `--gpus device=0,driver=nvidia,"capabilities=compute,utility"`.
pub(crate) fn gpus(text: &str) -> Result<Value, Failure> {
    let bad = |what: &str| Failure::usage(format!("invalid --gpus {text:?}: {what}"));
    let count = |text: &str| match text {
        "all" => Ok(-1),
        number => number
            .parse::<i64>()
            .map_err(|_| bad("expected a count or all")),
    };
    let mut request = json!({"Driver": "", "Count": 0, "DeviceIDs": null, "Capabilities": [["gpu"]], "Options": {}});
    let mut counted = false;
    for (key, value) in csv::pairs(text).map_err(Failure::usage)? {
        let list = |value: &str| value.split(',').map(str::to_owned).collect::<Vec<_>>();
        match (key.as_str(), value.as_deref()) {
            (number, None) | ("count", Some(number)) => {
                (request["Count"], counted) = (count(number)?.into(), true);
            }
            ("driver", Some(driver)) => request["Driver"] = driver.into(),
            ("device", Some(ids)) => request["DeviceIDs"] = list(ids).into(),
            ("capabilities", Some(names)) => {
                let mut names = list(names);
                names.push("gpu".to_owned());
                request["Capabilities"] = json!([names]);
            }
            ("options", Some(options)) => {
                request["Options"] = json!(super::pairs::map(&list(options)));
            }
            (key, Some(_)) => return Err(bad(&format!("unexpected key {key:?}"))),
        }
    }
    if !counted && request["DeviceIDs"].is_null() {
        request["Count"] = 1.into();
    }
    Ok(request)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn devices_default_to_the_same_path_and_all_rights() {
        let shown = |text| {
            mapping(text).map(|d| {
                format!(
                    "{} {} {}",
                    d.path_on_host, d.path_in_container, d.cgroup_permissions
                )
            })
        };
        for (text, expected) in [
            ("/dev/a", "/dev/a /dev/a rwm"),
            ("/dev/a:r", "/dev/a /dev/a r"),
            ("/dev/a:/dev/b", "/dev/a /dev/b rwm"),
            ("/dev/a:/dev/b:rw", "/dev/a /dev/b rw"),
        ] {
            assert_eq!(shown(text).ok().as_deref(), Some(expected));
        }
        assert!(mapping("a").is_err() && mapping("/dev/a:/b:x").is_err());
        assert!(is_interface_name("vendor.com/gpu=0") && !is_interface_name("/dev/a"));
    }

    #[test]
    fn rates_are_amounts_or_counts() {
        assert_eq!(
            throttle("/dev/sda:1mb", true).ok(),
            Some(json!({"Path": "/dev/sda", "Rate": 1 << 20}))
        );
        assert_eq!(
            throttle("/dev/sda:10", false).ok(),
            Some(json!({"Path": "/dev/sda", "Rate": 10}))
        );
        assert!(throttle("sda:1", true).is_err() && weight("/dev/sda:5").is_err());
    }
}
