//! The first use of a volume: what the image has at that place is copied into it.

use std::{fs, io, path::Path};

use proa_kernel::{resolve, tree};
use rustix::fs::{Mode, OFlags};

use crate::rootfs::{Found, Layers};

const DIRECTORY: OFlags = OFlags::CLOEXEC
    .union(OFlags::NOFOLLOW)
    .union(OFlags::DIRECTORY);

/// Copies the directory `from`, found in `layers` and as the container would see it, into the empty directory `to`.
///
/// A directory that holds something already is left as it is: the volume was used before.
pub(crate) fn fill(layers: &Layers, from: &Found, to: &Path) -> io::Result<()> {
    if fs::read_dir(to)?.next().is_some() || !from.metadata.is_dir() {
        return Ok(());
    }
    let shown = proa_runtime::init::show_layers(layers.directories())?;
    // Beneath what is shown, whatever the name is.
    let name = from.name.strip_prefix("/").unwrap_or(&from.name);
    let name = Path::new(".").join(name);
    let from = resolve::open_plain(shown, name.as_path(), OFlags::RDONLY | OFlags::DIRECTORY)?;
    let to = rustix::fs::open(to, DIRECTORY, Mode::empty())?;
    tree::copy_tree(from, to, &|uid, gid| (uid, gid))
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::{FileTypeExt as _, MetadataExt as _};

    use rustix::fs::{FileType, XattrFlags};

    use super::*;

    #[test]
    fn a_new_volume_gets_what_the_image_has_there() {
        let dir = tempfile::tempdir().unwrap();
        let at = |name: &str| dir.path().join(name);
        fs::create_dir_all(at("top/data/sub")).unwrap();
        fs::create_dir_all(at("bottom/data")).unwrap();
        fs::write(at("bottom/data/file"), "below").unwrap();
        fs::write(at("top/data/sub/file"), "above").unwrap();
        std::os::unix::fs::symlink("/outside", at("bottom/data/link")).unwrap();
        let (fifo, mode) = (at("bottom/data/fifo"), Mode::from_raw_mode(0o622));
        rustix::fs::mknodat(rustix::fs::CWD, &fifo, FileType::Fifo, mode, 0).unwrap();
        rustix::fs::chmod(&fifo, mode).unwrap();
        std::os::unix::fs::lchown(at("bottom/data/link"), Some(7), Some(8)).unwrap();
        let value = XattrFlags::empty();
        rustix::fs::lsetxattr(at("bottom/data/link"), "trusted.proa", b"x", value).unwrap();
        rustix::fs::chmod(at("top/data"), Mode::from_raw_mode(0o1777)).unwrap();
        let layers = Layers::new([at("top"), at("bottom")]);
        let from = layers.find(Path::new("/data")).unwrap().unwrap();
        fs::create_dir(at("volume")).unwrap();
        fill(&layers, &from, &at("volume")).unwrap();
        assert_eq!(fs::read_to_string(at("volume/file")).unwrap(), "below");
        assert_eq!(fs::read_to_string(at("volume/sub/file")).unwrap(), "above");
        assert_eq!(fs::metadata(at("volume")).unwrap().mode() & 0o7777, 0o1777);
        let fifo = fs::symlink_metadata(at("volume/fifo")).unwrap();
        assert!(fifo.file_type().is_fifo() && fifo.mode() & 0o7777 == 0o622);
        let link = fs::symlink_metadata(at("volume/link")).unwrap();
        assert!(link.is_symlink() && (link.uid(), link.gid()) == (7, 8));
        let mut value = [0; 1];
        assert_eq!(
            rustix::fs::lgetxattr(at("volume/link"), "trusted.proa", &mut value),
            Ok(1)
        );
        let old = fs::symlink_metadata(at("bottom/data/link")).unwrap();
        assert_eq!(link.mtime_nsec(), old.mtime_nsec());

        fs::remove_file(at("volume/file")).unwrap();
        fill(&layers, &from, &at("volume")).unwrap();
        assert!(!at("volume/file").exists(), "a volume in use is left alone");
    }
}
