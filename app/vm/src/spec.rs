//! What a machine is made of, as its owner wants it.

use std::ffi::OsString;
use std::path::PathBuf;
use std::time::Duration;

/// Everything there is to say about a machine before it starts.
#[derive(Clone, Debug)]
pub struct Spec {
    /// The boot files.
    pub image: Image,
    /// The folder for sockets, which must have a short name (a socket's address holds 107 bytes), be nobody else's
    /// and may vanish with the host's next boot.
    pub run: PathBuf,
    /// Where the guest's console is written, from the beginning at each start.
    pub console: PathBuf,
    /// Processors.
    pub cpus: u32,
    /// Memory, in bytes.
    pub memory: u64,
    /// The data disk.
    pub disk: Disk,
    /// The host's folders that the guest may see.
    pub shares: Vec<Share>,
    /// The way to the world.
    pub network: Network,
    /// What runs the guest's instructions.
    pub accelerator: Accelerator,
    /// The program that carries our devices as hidden verbs (`proa`), and words before those verbs.
    pub devices: Vec<OsString>,
    /// Words for the guest's kernel beside the image's own.
    pub kernel_words: Vec<String>,
    /// The guest's vsock port that answers once the guest is up.
    pub ready_port: u32,
    /// How long a start may take.
    pub patience: Duration,
}

/// A folder with `kernel`, `initramfs`, `image.erofs` and `manifest.json`, as `scripts/dev image` writes it.
#[derive(Clone, Debug)]
pub struct Image {
    /// The folder.
    pub folder: PathBuf,
}

/// The disk that outlives the machine's runs.
#[derive(Clone, Debug)]
pub struct Disk {
    /// The file; made when it does not exist.
    pub path: PathBuf,
    /// How large the guest sees it, in bytes. A file that is smaller is grown, one that is larger stays.
    pub size: u64,
    /// How it lies in the file.
    pub format: DiskFormat,
}

/// How a disk lies in its file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum DiskFormat {
    /// Byte for byte, with holes where nothing was written.
    Raw,
    /// QEMU's own, for file systems without holes.
    Qcow2,
}

/// A folder of the host that the guest can mount by its tag.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Share {
    /// The name that the guest mounts it by, at most 36 bytes (virtio 1.2, section 5.11.4).
    pub tag: String,
    /// The folder.
    pub path: PathBuf,
    /// Whether the guest may only read.
    pub readonly: bool,
}

/// The guest's way to the world.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Network {
    /// Whether the guest gets an IPv6 network too.
    pub ipv6: bool,
}

/// What runs the guest's instructions.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Accelerator {
    /// The processor itself where that works, else translation.
    Auto,
    /// Linux's KVM, or no machine at all.
    Kvm,
    /// Translation by the hypervisor: slow, and works everywhere.
    Tcg,
}
