//! Safe Linux: namespaces, mounts, cgroups, capabilities, seccomp, descriptors.
