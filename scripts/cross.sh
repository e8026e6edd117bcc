#!/usr/bin/env bash
# Static release binaries for x86_64 and aarch64, each linked against musl; C parts are compiled by zig for the one
# that is not this machine's. Where rustup's server does not answer, the standard library is compiled from Debian's
# source package of the same version.
#
#   scripts/cross.sh                                                   everything, for both
#   scripts/cross.sh --target aarch64-unknown-linux-musl -p proa-boot  what cargo is told so
set -euo pipefail

targets=(x86_64-unknown-linux-musl aarch64-unknown-linux-musl)
cache=${XDG_CACHE_HOME:-$HOME/.cache}/proa/cross
mkdir -p "$cache"

# The source of the standard library, of exactly this compiler's version, put where cargo looks for it.
source_from_debian() {
    local version library apt mirror suite package
    version=$(rustc --version | awk '{print $2}')
    library=$(rustc --print sysroot)/lib/rustlib/src/rust/library
    [ ! -f "$library/Cargo.lock" ] || return 0
    apt=$cache/apt
    mkdir -p "$apt"/{lists/partial,archives/partial}
    mirror=$(apt-get indextargets --format '$(REPO_URI)' 'Origin: Debian' | head -n 1)
    for suite in trixie trixie-backports sid; do
        echo "deb [signed-by=/usr/share/keyrings/debian-archive-keyring.gpg] $mirror $suite main"
    done > "$apt/sources.list"
    printf 'Dir::Etc::sourcelist "%s";\nDir::Etc::sourceparts "-";\nDir::State::lists "%s";\nDir::Cache "%s";\n' \
        "$apt/sources.list" "$apt/lists" "$apt" > "$apt/apt.conf"
    export APT_CONFIG=$apt/apt.conf
    apt-get update -qq -o APT::Sandbox::User=root
    package=$(apt-cache madison rust-src | awk -F' *[|] *' -v version="$version" 'index($2, version "+") == 1 {print $2; exit}')
    [ -n "$package" ] || { echo "cross: Debian has no rust-src for Rust $version" >&2; exit 1; }
    (cd "$apt" && apt-get download -qq -o APT::Sandbox::User=root "rust-src=$package")
    unset APT_CONFIG
    dpkg-deb -x "$apt"/rust-src_*.deb "$cache/rust-src"
    mkdir -p "$(dirname "$library")"
    ln -sfn "$cache/rust-src/usr/src/rustc-$version/library" "$library"
    rm -rf "$apt"
}

if ! timeout 300 rustup target add "${targets[@]}" >/dev/null 2>&1; then
    source_from_debian
    # By environment, so that the build of the embedded image sees it too.
    export RUSTC_BOOTSTRAP=1 CARGO_UNSTABLE_BUILD_STD=std,panic_abort RUSTFLAGS="-C link-self-contained=no"
fi
[ -x "$cache/python/bin/cargo-zigbuild" ] ||
    python3 -m pip install -q --disable-pip-version-check --root-user-action=ignore --target "$cache/python" ziglang cargo-zigbuild
export PATH=$cache/python/bin:$cache/python/ziglang:$PATH PYTHONPATH=$cache/python

if [ $# -gt 0 ]; then
    exec cargo zigbuild "$@"
fi
for target in "${targets[@]}"; do
    cargo zigbuild --release --target "$target" -p proa-agent -p proa-cli
    file "${CARGO_TARGET_DIR:-target}/$target/release/"{proa,proa-agent}
done
