//! Machines that really boot: the image of `scripts/dev image`, by QEMU, with our own devices.
mod faults;
mod runs;
mod shares;
mod support;
