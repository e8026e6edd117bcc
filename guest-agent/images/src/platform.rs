//! Operating system and processor of an image, and which one of an index fits.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

/// `os/architecture[/variant]` (image-spec, `image-index.md`).
#[derive(Clone, Debug, PartialEq, Eq, Hash, Default, Serialize, Deserialize)]
pub struct Platform {
    /// `linux`
    #[serde(default)]
    pub os: String,
    /// `amd64`, `arm64` …
    #[serde(default)]
    pub architecture: String,
    /// `v7`, `v8` … or empty.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub variant: String,
}

/// A text that names no platform.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{0:?}: unknown operating system or architecture: invalid argument")]
pub struct BadPlatform(pub String);

impl Platform {
    /// The platform this program runs on.
    pub fn host() -> Self {
        Self::new("linux", std::env::consts::ARCH, "")
    }

    /// A platform in the names Go uses, whatever names it is given in.
    pub fn new(os: &str, architecture: &str, variant: &str) -> Self {
        let (architecture, variant) =
            normalised(&architecture.to_lowercase(), &variant.to_lowercase());
        Self {
            os: os.to_lowercase(),
            architecture,
            variant,
        }
    }

    /// The same platform in normalised names.
    #[must_use]
    pub fn normalised(&self) -> Self {
        Self::new(&self.os, &self.architecture, &self.variant)
    }

    /// How well an image for `offer` runs where this platform is asked for; smaller is better, `None` not at all.
    ///
    /// An older variant of the same processor runs on a newer one, and 32-bit ARM images run on most arm64 machines.
    pub fn suitability(&self, offer: &Self) -> Option<u8> {
        let (want, offer) = (self.normalised(), offer.normalised());
        if want.os != offer.os {
            return None;
        }
        let level = |variant: &str| {
            variant
                .trim_start_matches('v')
                .split('.')
                .next()?
                .parse::<u8>()
                .ok()
        };
        if want.architecture == offer.architecture {
            let wanted = level(&want.variant).unwrap_or_else(|| newest(&want.architecture));
            let offered = level(&offer.variant).unwrap_or_else(|| oldest(&want.architecture));
            return wanted.checked_sub(offered);
        }
        let arm = want.architecture == "arm64" && offer.architecture == "arm";
        arm.then(|| {
            8_u8.checked_sub(level(&offer.variant).unwrap_or(7))
                .map(|away| 100 + away)
        })
        .flatten()
    }
}

/// What `--platform linux/arm` without a variant may mean at most.
fn newest(architecture: &str) -> u8 {
    if architecture == "arm" {
        7
    } else {
        oldest(architecture)
    }
}

fn oldest(architecture: &str) -> u8 {
    match architecture {
        "arm64" => 8,
        "arm" => 7,
        _ => 1,
    }
}

fn normalised(architecture: &str, variant: &str) -> (String, String) {
    let (architecture, variant) = match (architecture, variant) {
        ("x86_64" | "x86-64" | "amd64", "v1") => ("amd64", ""),
        ("x86_64" | "x86-64", v) => ("amd64", v),
        ("aarch64" | "arm64", "8" | "v8" | "v8.0") => ("arm64", ""),
        ("aarch64", v) => ("arm64", v),
        ("i386" | "i486" | "i586" | "i686", _) => ("386", ""),
        ("armhf", _) | ("arm", "" | "7") => ("arm", "v7"),
        ("armel", _) | ("arm", "6") => ("arm", "v6"),
        ("arm", "5") => ("arm", "v5"),
        ("arm", "8") => ("arm", "v8"),
        other => other,
    };
    (architecture.into(), variant.into())
}

impl FromStr for Platform {
    type Err = BadPlatform;

    /// `linux/arm64`, `linux/arm/v7`, `linux` or `arm64`.
    fn from_str(text: &str) -> Result<Self, BadPlatform> {
        let word = |w: &&str| {
            !w.is_empty()
                && w.bytes()
                    .all(|b| b.is_ascii_alphanumeric() || b"._-".contains(&b))
        };
        let parts: Vec<&str> = text.split('/').collect();
        if !parts.iter().all(word) {
            return Err(BadPlatform(text.into()));
        }
        match parts[..] {
            [os @ ("linux" | "windows" | "darwin" | "freebsd")] => Ok(Self {
                os: os.into(),
                ..Self::host()
            }),
            [architecture] => {
                let platform = Self::new("linux", architecture, "");
                KNOWN
                    .contains(&platform.architecture.as_str())
                    .then_some(platform)
                    .ok_or(BadPlatform(text.into()))
            }
            [os, architecture] => Ok(Self::new(os, architecture, "")),
            [os, architecture, variant] => Ok(Self::new(os, architecture, variant)),
            _ => Err(BadPlatform(text.into())),
        }
    }
}

const KNOWN: [&str; 11] = [
    "386", "amd64", "arm", "arm64", "loong64", "mips64", "mips64le", "ppc64le", "riscv64", "s390x",
    "wasm",
];

impl fmt::Display for Platform {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.os, self.architecture)?;
        if self.variant.is_empty() {
            Ok(())
        } else {
            write!(f, "/{}", self.variant)
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_best_offer_wins() {
        let best = |want: &str, offers: &[&str]| {
            let want: Platform = want.parse().unwrap();
            let fit = |o: &&&str| want.suitability(&o.parse().unwrap());
            offers
                .iter()
                .filter(|o| fit(o).is_some())
                .min_by_key(fit)
                .copied()
                .unwrap_or("none")
                .to_owned()
        };
        let arms = [
            "linux/amd64",
            "linux/arm/v5",
            "linux/arm/v6",
            "linux/arm/v7",
            "linux/arm64/v8",
        ];
        assert_eq!(best("linux/arm64", &arms), "linux/arm64/v8");
        assert_eq!(best("linux/arm64", &arms[..4]), "linux/arm/v7");
        assert_eq!(best("linux/arm/v6", &arms), "linux/arm/v6");
        assert_eq!(best("linux/arm", &arms), "linux/arm/v7");
        assert_eq!(best("linux/arm/v7", &arms[..3]), "linux/arm/v6");
        assert_eq!(best("linux/arm/v6", &["linux/arm/v7"]), "none");
        assert_eq!(
            best("linux/amd64", &["linux/amd64/v3", "linux/amd64"]),
            "linux/amd64"
        );
        assert_eq!(best("linux/amd64", &["windows/amd64", "linux/386"]), "none");
        assert_eq!(
            best(
                "linux/amd64/v3",
                &["linux/amd64/v2", "linux/amd64", "linux/amd64/v4"]
            ),
            "linux/amd64/v2"
        );
        assert_eq!(best("linux/x86_64", &["linux/amd64"]), "linux/amd64");
    }

    #[test]
    fn texts() {
        assert_eq!(
            "linux/arm/v7".parse::<Platform>().unwrap().to_string(),
            "linux/arm/v7"
        );
        assert_eq!(
            "arm64".parse::<Platform>().unwrap().to_string(),
            "linux/arm64"
        );
        assert_eq!(
            "linux/aarch64/v8".parse::<Platform>().unwrap().to_string(),
            "linux/arm64"
        );
        for bad in ["", "/", "linux/", "a/b/c/d", "nonsense", "linux/amd 64"] {
            assert!(bad.parse::<Platform>().is_err(), "{bad}");
        }
    }
}
