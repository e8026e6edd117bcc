//! Kernel modules: which files a name or a device's alias stands for, and loading them (`finit_module(2)`).
//!
//! The folder is as `depmod(8)` leaves it: `modules.dep` names each file and what it needs, `modules.alias` says which
//! devices and requests of the kernel a module answers to.

use std::ffi::CStr;
use std::fs::{self, File};
use std::io;
use std::path::{Path, PathBuf};

/// `MODULE_INIT_COMPRESSED_FILE` of `linux/module.h`: the kernel unpacks the file (Linux 5.17).
const COMPRESSED: i32 = 4;

/// A folder of modules with its two tables.
#[derive(Clone, Debug)]
pub struct Modules {
    folder: PathBuf,
    dependencies: String,
    aliases: String,
}

/// Why a module was not loaded.
#[derive(Debug, thiserror::Error)]
pub enum LoadError {
    /// Nothing answers to the name.
    #[error("there is no module {0}")]
    Unknown(String),
    /// The kernel refused the file, or it cannot be read.
    #[error("load {}", .0.display())]
    File(PathBuf, #[source] io::Error),
}

impl Modules {
    /// Reads the tables of a folder.
    pub fn open(folder: &Path) -> io::Result<Self> {
        Ok(Self {
            folder: folder.to_owned(),
            dependencies: fs::read_to_string(folder.join("modules.dep"))?,
            aliases: fs::read_to_string(folder.join("modules.alias"))?,
        })
    }

    /// Loads what a name or an alias stands for, dependencies first. What is loaded already is left alone.
    pub fn load(&self, name: &str) -> Result<(), LoadError> {
        let mut found = false;
        for files in self.meant_by(name) {
            found = true;
            for file in files {
                self.insert(file)?;
            }
        }
        if found {
            Ok(())
        } else {
            Err(LoadError::Unknown(name.to_owned()))
        }
    }

    /// Loads drivers for every device that has none, as long as that brings up further devices. Says what failed.
    pub fn load_drivers(&self) -> Vec<LoadError> {
        let mut tried: Vec<String> = Vec::new();
        let mut failed = Vec::new();
        loop {
            let mut new = undriven();
            new.retain(|alias| !tried.contains(alias));
            if new.is_empty() {
                return failed;
            }
            for alias in &new {
                match self.load(alias) {
                    // Many devices have no driver here, and need none.
                    Ok(()) | Err(LoadError::Unknown(_)) => {}
                    Err(error) => failed.push(error),
                }
            }
            tried.append(&mut new);
        }
    }

    /// For each module meant, its files in the order of loading.
    fn meant_by(&self, name: &str) -> Vec<Vec<&str>> {
        if let Some(files) = self.files(name) {
            return vec![files];
        }
        let aliases = self.aliases.lines().filter_map(|line| {
            let (pattern, module) = line.strip_prefix("alias ")?.rsplit_once(' ')?;
            matches(pattern.as_bytes(), name.as_bytes()).then_some(module)
        });
        aliases.filter_map(|module| self.files(module)).collect()
    }

    /// A module's file, and before it those that it needs.
    fn files(&self, module: &str) -> Option<Vec<&str>> {
        self.dependencies.lines().find_map(|line| {
            let (file, needs) = line.split_once(':')?;
            same_module(file, module).then_some(())?;
            // The table has the nearest need first.
            let needs = needs.split_ascii_whitespace().rev();
            Some(needs.chain([file]).collect())
        })
    }

    fn insert(&self, file: &str) -> Result<(), LoadError> {
        let path = self.folder.join(file);
        let flags = if file.ends_with(".ko") { 0 } else { COMPRESSED };
        let none: &CStr = c"";
        let inserted = File::open(&path).and_then(|module| {
            match rustix::system::finit_module(module, none, flags) {
                Err(rustix::io::Errno::EXIST) => Ok(()),
                other => Ok(other?),
            }
        });
        inserted.map_err(|e| LoadError::File(path, e))
    }
}

/// The aliases of the devices that no driver has taken yet.
fn undriven() -> Vec<String> {
    let buses = fs::read_dir("/sys/bus").into_iter().flatten().flatten();
    let devices = buses.filter_map(|bus| fs::read_dir(bus.path().join("devices")).ok());
    let mut aliases: Vec<String> = devices
        .flatten()
        .flatten()
        .filter(|device| !device.path().join("driver").exists())
        .filter_map(|device| fs::read_to_string(device.path().join("modalias")).ok())
        .map(|alias| alias.trim_end().to_owned())
        .collect();
    aliases.sort();
    aliases.dedup();
    aliases
}

/// Whether a path of the table is this module's; `-` and `_` are one letter in names of modules.
fn same_module(file: &str, module: &str) -> bool {
    let base = file.rsplit('/').next().unwrap_or(file);
    let Some((base, _)) = base.split_once(".ko") else {
        return false;
    };
    let plain = |c: u8| if c == b'-' { b'_' } else { c };
    base.bytes().map(plain).eq(module.bytes().map(plain))
}

/// Whether a text has the form of a pattern of the shell's kind (`*`, `?`, `[…]`), as `fnmatch(3)` decides it.
fn matches(pattern: &[u8], text: &[u8]) -> bool {
    match (pattern.split_first(), text.split_first()) {
        (None, _) => text.is_empty(),
        (Some((b'*', rest)), _) => (0..=text.len()).any(|skipped| matches(rest, &text[skipped..])),
        (Some(_), None) => false,
        (Some((b'?', rest)), Some((_, text))) => matches(rest, text),
        (Some((b'[', rest)), Some((letter, text))) => {
            let Some(end) = rest.iter().position(|c| *c == b']') else {
                return false;
            };
            in_class(&rest[..end], *letter) && matches(&rest[end + 1..], text)
        }
        (Some((expected, rest)), Some((letter, text))) => expected == letter && matches(rest, text),
    }
}

/// Whether a letter is one of `a-f0-9xyz`.
fn in_class(class: &[u8], letter: u8) -> bool {
    match class {
        [from, b'-', to, rest @ ..] => (*from..=*to).contains(&letter) || in_class(rest, letter),
        [one, rest @ ..] => *one == letter || in_class(rest, letter),
        [] => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn modules() -> Modules {
        Modules {
            folder: "/modules".into(),
            dependencies: "virtio_blk.ko:\nvirtio-net.ko.xz: net_failover.ko.xz failover.ko.xz\n\
                           xfs.ko: libcrc32c.ko\n"
                .to_owned(),
            aliases: "# Aliases extracted from modules themselves.\nalias virtio:d00000001v* virtio_net\n\
                      alias fs-xfs xfs\nalias pci:v00001AF4d0000104[0-2]sv* virtio_blk\n"
                .to_owned(),
        }
    }

    #[test]
    fn a_name_stands_for_its_files_in_the_order_of_loading() {
        let modules = modules();
        assert_eq!(modules.meant_by("virtio-blk"), [["virtio_blk.ko"]]);
        assert_eq!(
            modules.meant_by("virtio_net"),
            [["failover.ko.xz", "net_failover.ko.xz", "virtio-net.ko.xz"]]
        );
        assert!(modules.meant_by("virtio").is_empty());
    }

    #[test]
    fn an_alias_stands_for_the_modules_whose_pattern_it_fits() {
        let modules = modules();
        let net = modules.meant_by("virtio:d00000001v00001AF4");
        assert_eq!(net[0].last(), Some(&"virtio-net.ko.xz"));
        assert_eq!(modules.meant_by("fs-xfs"), [["libcrc32c.ko", "xfs.ko"]]);
        let block = modules.meant_by("pci:v00001AF4d00001042sv00001AF4");
        assert_eq!(block, [["virtio_blk.ko"]]);
        assert!(
            modules
                .meant_by("pci:v00001AF4d00001043sv00001AF4")
                .is_empty()
        );
    }

    #[test]
    fn patterns_are_the_shells() {
        for (pattern, text, fits) in [
            ("a*c", "abbc", true),
            ("a*c", "abbd", false),
            ("*", "", true),
            ("a?", "a", false),
            ("[a-cx]y", "xy", true),
            ("[a-c]y", "dy", false),
            ("[a", "a", false),
        ] {
            assert_eq!(
                matches(pattern.as_bytes(), text.as_bytes()),
                fits,
                "{pattern} {text}"
            );
        }
    }
}
