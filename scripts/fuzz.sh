#!/usr/bin/env bash
# Feeds code that reads what others wrote with bytes that nobody meant: every fuzz target, or the one named, for some
# seconds each (60). What was found lies in guest-agent/CRATE/fuzz/artifacts, and the next run begins with what the
# last one learnt.
set -euo pipefail

wanted=${1:-}
seconds=${2:-60}
cache=${XDG_CACHE_HOME:-$HOME/.cache}/proa/fuzz
[ -x "$cache/bin/cargo-fuzz" ] || cargo install --quiet --locked --root "$cache" cargo-fuzz
export PATH=$cache/bin:$PATH
# Coverage is a thing of nightly compilers; the stable one has it too when it is asked in this way.
export RUSTC_BOOTSTRAP=1

ran=0
for file in guest-agent/*/fuzz/fuzz_targets/*.rs; do
    target=$(basename "$file" .rs)
    [ -z "$wanted" ] || [ "$wanted" = "$target" ] || continue
    fuzz=${file%/fuzz_targets/*}
    echo "=== ${fuzz#guest-agent/}: $target"
    # Unsafe code is in one crate only, none of which runs here: without sanitizers more is tried in the same time.
    cargo fuzz run --fuzz-dir "$fuzz" --sanitizer none --target-dir "${CARGO_TARGET_DIR:-target}/fuzz" "$target" -- \
        -max_total_time="$seconds" -rss_limit_mb=4096 -timeout=20 -print_final_stats=1 -verbosity=0
    ran=$((ran + 1))
done
[ "$ran" -gt 0 ] || { echo "fuzz: no target is called $wanted" >&2; exit 2; }
