#!/usr/bin/env bash
# Every test, or with --stories those of the whole product; further arguments go to cargo test. Tests make
# namespaces, mounts and cgroups for real, so they run as root; one that cannot run here fails.
set -euo pipefail

export RUST_BACKTRACE=1
# Test binaries of other crates start these two.
cargo build -p proa-agent -p proa-cli

if [ "${1:-}" = --stories ]; then
    shift
    exec cargo test -p proa-agent --test 'compat*' -p proa-cli --test 'e2e*' "$@"
fi
if [ $# -gt 0 ]; then
    exec cargo test --workspace "$@"
fi
scripts/check.sh
cargo test --workspace --no-fail-fast
