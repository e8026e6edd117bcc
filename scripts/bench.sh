#!/usr/bin/env bash
# The benchmarks, with release binaries of ours and the peers' of Debian. PEERS is the command that runs a peer's
# program; where it is not set, the peers' root is used. With `boot` only how long a machine takes to boot.
set -euo pipefail

target=$(. scripts/setup.sh && static_target)
cargo build --release --target "$target" -p proa-agent -p proa-cli
export PROA_BIN_DIR=$(realpath "${CARGO_TARGET_DIR:-target}/$target/release")
export PEERS=${PEERS-$(realpath scripts/peers.sh) enter}
if [ "${1:-}" = boot ]; then
    exec cargo test --quiet -p proa-cli --bench boot -- --bench
fi
exec cargo test --quiet -p proa-agent --bench peers -- "$@"
