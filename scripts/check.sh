#!/usr/bin/env bash
# Formatting, lints and the rules of the source tree, as CI wants them.
set -euo pipefail
cargo fmt --all --check
cargo clippy --workspace --all-targets --quiet -- -D warnings
cargo test --quiet -p proa-protocol --test tidy
