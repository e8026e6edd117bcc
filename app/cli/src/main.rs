//! The binary `proa`.

fn main() {}
