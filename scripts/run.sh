#!/usr/bin/env bash
# Builds the two binaries, starts an engine of its own in a scratch folder, and runs `proa` against it with the given
# arguments, by default `run --rm proa/hello`. Nothing of it is left afterwards.
set -euo pipefail

target=$(. scripts/setup.sh && static_target)
cargo build --release --target "$target" -p proa-agent -p proa-cli
binaries=${CARGO_TARGET_DIR:-target}/$target/release

[ "$(id -u)" -eq 0 ] || { echo "an engine makes namespaces, mounts and cgroups: run this as root" >&2; exit 1; }
folder=$(mktemp -d /var/tmp/proa-run.XXXXXX)
run=$(mktemp -d /run/proa-run.XXXXXX)
"$binaries/proa-agent" serve --root "$folder/root" --run "$run" --socket "unix://$run/proa.sock" >"$folder/log" 2>&1 &
agent=$!
export PROA_HOST=unix://$run/proa.sock

end() {
    kill -TERM "$agent" 2>/dev/null || true
    wait "$agent" 2>/dev/null || true
    rm -rf "$folder" "$run"
}
trap end EXIT

for _ in $(seq 200); do
    [ -S "$run/proa.sock" ] && break
    kill -0 "$agent" 2>/dev/null || { cat "$folder/log" >&2; exit 1; }
    sleep 0.05
done
[ $# -gt 0 ] || set -- run --rm proa/hello
"$binaries/proa" "$@"
