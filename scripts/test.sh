#!/usr/bin/env bash
# Every test, or with --stories those of the whole product; further arguments go to cargo test. Tests make namespaces,
# mounts and cgroups for real, so they run as root; one that cannot run here fails.
#
# Everything runs natively first. Then the guests: on 6.12 with cgroup version 2 the kernel's wrappers, the runtime and
# the stories again, but for Debian's, whose registry takes minutes to start there, and those whose tools are not there
# or that ask for a crowd; on 6.1 the fallbacks for older kernels. The real clients and the peer Docker stay outside of
# the guests, where they would take hours.
set -euo pipefail

export RUST_BACKTRACE=1
# Test binaries of other crates start these two.
cargo build -p proa-agent -p proa-cli

# Machines boot with the agent that is tested.
boot_files() {
    vm-image/build.sh --agent "${CARGO_TARGET_DIR:-target}/debug/proa-agent"
}

if [ "${1:-}" = --stories ]; then
    shift
    boot_files
    exec cargo test -p proa-agent -p proa-cli --test '*' "$@"
fi
if [ $# -gt 0 ]; then
    exec cargo test --workspace "$@"
fi

boot_files

failed=()
step() {
    local name=$1 started=$SECONDS
    shift
    echo "=== $name"
    "$@" || failed+=("$name")
    echo "=== $name: $((SECONDS - started)) s"
}

step "format, lints, tidy" scripts/check.sh
step "natively" cargo test --workspace --no-fail-fast
step "in a guest with 6.12" env KERNEL=6.12 TESTS='proa_kernel proa_runtime networks ports stories' \
    TEST_ARGS='--skip debian --skip compose:: --skip a_thousand --skip lacking:: --skip readers:: --skip service::' \
    MINUTES=30 scripts/vm.sh
step "in a guest with 6.1" env KERNEL=6.1 TESTS='proa_kernel proa_runtime' MINUTES=10 scripts/vm.sh

if [ ${#failed[@]} -gt 0 ]; then
    printf 'failed: %s\n' "${failed[@]}" >&2
    exit 1
fi
echo "everything passed in $SECONDS s"
