//! An OCI runtime spec and a root become a process.
