//! The binary `proa-agent`.

fn main() {}
