#!/usr/bin/env bash
# Feeds code that reads what others wrote with bytes that nobody meant: every fuzz target, or the one named, for some
# seconds each (60). What was found lies in guest-agent/CRATE/fuzz/artifacts/TARGET; what was learnt lies in
# .../corpus/TARGET, and the next run begins with it.
set -euo pipefail

wanted=${1:-}
seconds=${2:-60}
machine=$(rustc -vV | sed -n 's/^host: //p')
out=$PWD/${CARGO_TARGET_DIR:-target}/fuzz
[[ ${CARGO_TARGET_DIR:-} != /* ]] || out=$CARGO_TARGET_DIR/fuzz

# What cargo-fuzz gives the compiler, but for sanitizers: the unsafe code is in one crate, none of which runs here, and
# without them a stable compiler will do and more is tried in the same time.
flags=(--cfg fuzzing -Cpasses=sancov-module -Cdebug-assertions -Coverflow-checks -Ccodegen-units=1)
for flag in level=4 inline-8bit-counters pc-table trace-compares; do
    flags+=("-Cllvm-args=-sanitizer-coverage-$flag")
done

ran=0
for file in guest-agent/*/fuzz/fuzz_targets/*.rs; do
    target=$(basename "$file" .rs)
    [ -z "$wanted" ] || [ "$wanted" = "$target" ] || continue
    fuzz=${file%/fuzz_targets/*}
    echo "=== ${fuzz#guest-agent/}: $target"
    # The versions that the product has.
    [ -e "$fuzz/Cargo.lock" ] || cp Cargo.lock "$fuzz/Cargo.lock"
    CARGO_TARGET_DIR=$out RUSTFLAGS="${flags[*]}" cargo build --quiet --release --manifest-path "$fuzz/Cargo.toml" \
        --target "$machine" --bin "$target"
    mkdir -p "$fuzz"/{corpus,artifacts}/"$target"
    "$out/$machine/release/$target" -artifact_prefix="$fuzz/artifacts/$target/" -max_total_time="$seconds" \
        -rss_limit_mb=4096 -timeout=20 -print_final_stats=1 -verbosity=0 "$fuzz/corpus/$target"
    ran=$((ran + 1))
done
[ "$ran" -gt 0 ] || { echo "fuzz: no target is called $wanted" >&2; exit 2; }
