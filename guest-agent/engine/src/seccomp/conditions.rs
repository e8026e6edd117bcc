//! When a rule of a profile applies: with a capability, on an architecture, from a kernel version on.

use std::str::FromStr;

use oci_spec::runtime::Capability;
use serde::Deserialize;

/// What a profile is resolved for.
#[derive(Clone, Debug)]
pub struct Subject<'a> {
    /// The container's capabilities (its bounding set).
    pub capabilities: &'a [Capability],
    /// The kernel it runs on.
    pub kernel: KernelVersion,
    /// The machine, by the name that image platforms use: `amd64`, `arm64`.
    pub architecture: &'a str,
}

/// Major and minor version of a kernel.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct KernelVersion(pub u32, pub u32);

impl FromStr for KernelVersion {
    type Err = String;

    /// Reads `6.18.44-cloud` and `4.8` alike.
    fn from_str(text: &str) -> Result<Self, String> {
        let mut parts = text.split(|letter: char| !letter.is_ascii_digit());
        let mut number = || parts.next().and_then(|part| part.parse().ok());
        match (number(), number()) {
            (Some(major), Some(minor)) => Ok(Self(major, minor)),
            _ => Err(format!(
                "kernel version {text:?} is not two numbers with a dot between"
            )),
        }
    }
}

/// A condition of the default profile.
#[derive(Clone, Copy, Debug)]
pub(super) struct Wanted {
    pub(super) kernel: Option<KernelVersion>,
    pub(super) architectures: &'static [&'static str],
    pub(super) capability: Option<&'static str>,
}

impl Wanted {
    pub(super) const ALWAYS: Self = Self {
        kernel: None,
        architectures: &[],
        capability: None,
    };

    pub(super) const fn kernel(major: u32, minor: u32) -> Self {
        Self {
            kernel: Some(KernelVersion(major, minor)),
            ..Self::ALWAYS
        }
    }

    pub(super) const fn on(architectures: &'static [&'static str]) -> Self {
        Self {
            architectures,
            ..Self::ALWAYS
        }
    }

    pub(super) const fn with(capability: &'static str) -> Self {
        Self {
            capability: Some(capability),
            ..Self::ALWAYS
        }
    }

    pub(super) fn holds(&self, subject: &Subject<'_>) -> bool {
        self.kernel.is_none_or(|kernel| subject.kernel >= kernel)
            && (self.architectures.is_empty() || self.architectures.contains(&subject.architecture))
            && self.capability.is_none_or(|name| subject.has(name))
    }
}

/// `includes` or `excludes` of a rule in a profile file.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub(super) struct Conditions {
    caps: Option<Vec<String>>,
    arches: Option<Vec<String>>,
    min_kernel: Option<String>,
}

impl Conditions {
    /// The capability or version that cannot be understood, in words.
    pub(super) fn check(&self) -> Result<(), String> {
        self.kernel().map(|_| ())
    }

    fn kernel(&self) -> Result<Option<KernelVersion>, String> {
        self.min_kernel
            .as_deref()
            .filter(|text| !text.is_empty())
            .map(str::parse)
            .transpose()
    }

    /// As `includes`: everything it names has to be so; of architectures, one.
    pub(super) fn include(&self, subject: &Subject<'_>) -> bool {
        let arches = self.arches.as_deref().unwrap_or_default();
        (arches.is_empty() || arches.iter().any(|arch| arch == subject.architecture))
            && self.caps.iter().flatten().all(|name| subject.has(name))
            && self
                .kernel()
                .is_ok_and(|kernel| kernel.is_none_or(|kernel| subject.kernel >= kernel))
    }

    /// As `excludes`: one thing it names is enough.
    pub(super) fn exclude(&self, subject: &Subject<'_>) -> bool {
        self.arches
            .iter()
            .flatten()
            .any(|arch| arch == subject.architecture)
            || self.caps.iter().flatten().any(|name| subject.has(name))
            || self
                .kernel()
                .is_ok_and(|kernel| kernel.is_some_and(|kernel| subject.kernel >= kernel))
    }
}

impl Subject<'_> {
    /// Whether the container has the capability of that name, with `CAP_` or without.
    pub(super) fn has(&self, name: &str) -> bool {
        let short = name.strip_prefix("CAP_").unwrap_or(name);
        Capability::from_str(short).is_ok_and(|capability| self.capabilities.contains(&capability))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn kernel_versions_are_compared_by_number() {
        let version = |text: &str| text.parse::<KernelVersion>();
        assert_eq!(version("6.18.44-cloud"), Ok(KernelVersion(6, 18)));
        assert!(version("4.10").unwrap() > version("4.8").unwrap());
        assert!(version("six").is_err());
    }

    #[test]
    fn conditions_of_a_file_add_up() {
        let conditions: Conditions = serde_json::from_str(
            r#"{"caps": ["CAP_CHOWN"], "arches": ["amd64", "arm64"], "minKernel": "5.0"}"#,
        )
        .unwrap();
        let subject = |capabilities, architecture, kernel| Subject {
            capabilities,
            kernel,
            architecture,
        };
        let new = KernelVersion(5, 1);
        assert!(conditions.include(&subject(&[Capability::Chown], "arm64", new)));
        assert!(!conditions.include(&subject(&[], "arm64", new)));
        assert!(!conditions.include(&subject(&[Capability::Chown], "arm", new)));
        assert!(!conditions.include(&subject(&[Capability::Chown], "arm64", KernelVersion(4, 9))));
        assert!(conditions.exclude(&subject(&[], "arm", new)));
        assert!(!conditions.exclude(&subject(&[], "arm", KernelVersion(4, 9))));
        assert!(!Conditions::default().exclude(&subject(&[], "arm", new)));
        assert!(Conditions::default().include(&subject(&[], "arm", new)));
    }
}
