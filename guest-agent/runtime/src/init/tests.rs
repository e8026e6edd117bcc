//! The first process in real namespaces (root).
