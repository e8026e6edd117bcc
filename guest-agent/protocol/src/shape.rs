//! Which fields a document has in which version of the API.
//!
//! Documents are made with every field that any version has; [`fit`] takes away what the client's version does not know
//! yet or knows no more. The facts are those of moby's version history (`api/docs/CHANGELOG.md`), and of what its server
//! really does where the two differ: a field that it sends to everybody is in no table here.

use serde_json::Value;

use crate::ApiVersion;

/// The documents whose fields differ between versions.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Shape {
    /// `GET /containers/{id}/json`
    Container,
    /// `GET /containers/json`
    ContainerList,
    /// `GET /images/{name}/json`
    Image,
    /// `GET /images/json`
    ImageList,
    /// `GET /info`
    Info,
    /// `GET /networks/{id}`
    Network,
    /// `GET /networks`
    NetworkList,
    /// `GET /system/df`
    DiskUsage,
    /// One of `GET /events`
    Event,
    /// One of `GET /containers/{id}/stats`
    Stats,
}

/// A field, `*` standing for every element of a list or map on the way to it, and the versions that have it.
struct Field {
    path: &'static str,
    first: u16,
    last: u16,
}

const fn until(last: u16, path: &'static str) -> Field {
    let first = 0;
    Field { path, first, last }
}

const fn since(first: u16, path: &'static str) -> Field {
    let last = u16::MAX;
    Field { path, first, last }
}

const CONTAINER: &[Field] = &[
    until(51, "HostConfig/KernelMemoryTCP"),
    until(51, "NetworkSettings/Bridge"),
    until(51, "NetworkSettings/EndpointID"),
    until(51, "NetworkSettings/Gateway"),
    until(51, "NetworkSettings/GlobalIPv6Address"),
    until(51, "NetworkSettings/GlobalIPv6PrefixLen"),
    until(51, "NetworkSettings/HairpinMode"),
    until(51, "NetworkSettings/IPAddress"),
    until(51, "NetworkSettings/IPPrefixLen"),
    until(51, "NetworkSettings/IPv6Gateway"),
    until(51, "NetworkSettings/LinkLocalIPv6Address"),
    until(51, "NetworkSettings/LinkLocalIPv6PrefixLen"),
    until(51, "NetworkSettings/MacAddress"),
    until(51, "NetworkSettings/SecondaryIPAddresses"),
    until(51, "NetworkSettings/SecondaryIPv6Addresses"),
    since(48, "NetworkSettings/Networks/*/GwPriority"),
    since(48, "ImageManifestDescriptor"),
];
const CONTAINER_LIST: &[Field] = &[
    since(48, "*/NetworkSettings/Networks/*/GwPriority"),
    since(48, "*/ImageManifestDescriptor"),
    since(52, "*/Health"),
];
const IMAGE: &[Field] = &[
    until(43, "VirtualSize"),
    until(44, "ContainerConfig"),
    since(48, "Descriptor"),
    since(48, "Manifests"),
];
const IMAGE_LIST: &[Field] = &[
    until(43, "*/VirtualSize"),
    since(48, "*/Descriptor"),
    since(47, "*/Manifests"),
];
const INFO: &[Field] = &[
    until(41, "KernelMemory"),
    until(48, "ContainerdCommit/Expected"),
    until(48, "InitCommit/Expected"),
    until(48, "RuncCommit/Expected"),
    until(48, "RegistryConfig/AllowNondistributableArtifactsCIDRs"),
    until(48, "RegistryConfig/AllowNondistributableArtifactsHostnames"),
    until(49, "BridgeNfIptables"),
    until(49, "BridgeNfIp6tables"),
    until(51, "KernelMemoryTCP"),
    since(46, "Containerd"),
    since(49, "FirewallBackend"),
    since(50, "DiscoveredDevices"),
    since(53, "NRI"),
];
const NETWORK: &[Field] = &[since(48, "EnableIPv4"), since(52, "Status")];
const NETWORK_LIST: &[Field] = &[since(48, "*/EnableIPv4"), since(52, "*/Status")];
const DISK_USAGE: &[Field] = &[
    until(43, "Images/*/VirtualSize"),
    since(48, "Containers/*/NetworkSettings/Networks/*/GwPriority"),
    since(52, "Containers/*/Health"),
];
const EVENT: &[Field] = &[until(51, "status"), until(51, "id"), until(51, "from")];
const STATS: &[Field] = &[since(52, "os_type")];

fn table(shape: Shape) -> &'static [Field] {
    match shape {
        Shape::Container => CONTAINER,
        Shape::ContainerList => CONTAINER_LIST,
        Shape::Image => IMAGE,
        Shape::ImageList => IMAGE_LIST,
        Shape::Info => INFO,
        Shape::Network => NETWORK,
        Shape::NetworkList => NETWORK_LIST,
        Shape::DiskUsage => DISK_USAGE,
        Shape::Event => EVENT,
        Shape::Stats => STATS,
    }
}

/// Whether every field belongs to this version, so that [`fit`] has nothing to do.
pub fn fits(shape: Shape, version: ApiVersion) -> bool {
    foreign(shape, version).next().is_none()
}

/// Takes away what this version does not have.
pub fn fit(document: &mut Value, shape: Shape, version: ApiVersion) {
    for field in foreign(shape, version) {
        remove(document, field.path);
    }
}

fn foreign(shape: Shape, ApiVersion(minor): ApiVersion) -> impl Iterator<Item = &'static Field> {
    let known = move |field: &&Field| !(field.first..=field.last).contains(&minor);
    table(shape).iter().filter(known)
}

fn remove(value: &mut Value, path: &str) {
    let (step, rest) = match path.split_once('/') {
        Some((step, rest)) => (step, Some(rest)),
        None => (path, None),
    };
    match (value, step, rest) {
        (Value::Array(items), "*", Some(rest)) => {
            for item in items.iter_mut() {
                remove(item, rest);
            }
        }
        (Value::Object(fields), "*", Some(rest)) => {
            fields.values_mut().for_each(|field| remove(field, rest));
        }
        (Value::Object(fields), step, Some(rest)) => {
            if let Some(field) = fields.get_mut(step) {
                remove(field, rest);
            }
        }
        (Value::Object(fields), step, None) => {
            fields.remove(step);
        }
        _ => {}
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn check(shape: Shape, minor: u16, mut document: Value, expected: &Value) {
        fit(&mut document, shape, ApiVersion(minor));
        assert_eq!(&document, expected, "1.{minor}");
    }

    #[test]
    fn a_version_has_its_own_fields_and_no_others() {
        let settings = || json!({ "NetworkSettings": { "Ports": {}, "IPAddress": "10.0.0.2", "Networks": { "a": { "GwPriority": 0, "Gateway": "g" } } } });
        check(Shape::Container, 51, settings(), &settings());
        let newer = json!({ "NetworkSettings": { "Ports": {}, "Networks": { "a": { "GwPriority": 0, "Gateway": "g" } } } });
        check(Shape::Container, 52, settings(), &newer);
        let older = json!({ "NetworkSettings": { "Ports": {}, "IPAddress": "10.0.0.2", "Networks": { "a": { "Gateway": "g" } } } });
        check(Shape::Container, 45, settings(), &older);
        let list = json!([{ "VirtualSize": 1, "Size": 1 }, { "Size": 2 }]);
        check(Shape::ImageList, 43, list.clone(), &list);
        check(
            Shape::ImageList,
            44,
            list,
            &json!([{ "Size": 1 }, { "Size": 2 }]),
        );
        check(
            Shape::Event,
            52,
            json!({ "status": "die", "Type": "container" }),
            &json!({ "Type": "container" }),
        );
    }

    #[test]
    fn a_document_of_another_form_is_left_alone() {
        for document in [
            json!(null),
            json!([]),
            json!({ "Images": null }),
            json!("x"),
        ] {
            check(Shape::DiskUsage, 40, document.clone(), &document);
        }
        assert!(fits(Shape::Event, ApiVersion(51)) && !fits(Shape::Event, ApiVersion(52)));
    }
}
