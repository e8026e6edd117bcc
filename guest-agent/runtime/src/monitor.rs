//! One process per container: holds its stdio, writes its log, reaps its processes, records their exits.

pub mod message;
