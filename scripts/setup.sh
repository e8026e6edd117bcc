# Sourced by scripts/dev: what each group of verbs needs, installed only where it is missing.

# Runs apt-get as root, quietly, updating the lists once.
apt_install() {
    local missing=() package
    for package in "$@"; do
        dpkg-query -W -f '${Status}' "$package" 2>/dev/null | grep -q '^install ok' || missing+=("$package")
    done
    [ ${#missing[@]} -gt 0 ] || return 0
    local as_root=()
    [ "$(id -u)" -eq 0 ] || as_root=(sudo)
    echo "installing ${missing[*]}" >&2
    [ -n "${apt_updated:-}" ] || "${as_root[@]}" apt-get update -qq
    apt_updated=1
    "${as_root[@]}" env DEBIAN_FRONTEND=noninteractive \
        apt-get install -y -qq --no-install-recommends "${missing[@]}" >/dev/null
}

# Compilers: a C one for the parts in C, musl's for the static binaries, Rust itself where Debian has rustup.
need_build() {
    apt_install gcc libc6-dev musl-tools git ca-certificates
    if ! command -v cargo >/dev/null; then
        apt_install rustup || { echo "install Rust 1.95 or newer with rustup first" >&2; exit 1; }
        rustup default stable
    fi
    if [ ! -d "$(rustc --print sysroot)/lib/rustlib/$(uname -m)-unknown-linux-musl" ]; then
        timeout 300 rustup target add "$(uname -m)-unknown-linux-musl" >&2 ||
            echo "no musl target: building against the C library of this machine, statically" >&2
    fi
}

# What `docker version` tells of a release binary: its commit and when that was made.
say_commit() {
    local commit
    commit=$(git rev-parse --short HEAD 2>/dev/null) || return 0
    git diff --quiet HEAD 2>/dev/null || commit+=-changed
    PROA_COMMIT=$commit PROA_BUILT=$(git log -1 --format=%cI)
    export PROA_COMMIT PROA_BUILT
}

# The target of the release binaries: musl where it is installed.
static_target() {
    local machine
    machine=$(uname -m)
    if [ -d "$(rustc --print sysroot)/lib/rustlib/$machine-unknown-linux-musl" ]; then
        echo "$machine-unknown-linux-musl"
    else
        echo "$machine-unknown-linux-gnu"
    fi
}

# What tests start: a static shell for images, and the peers in a root folder of theirs.
need_tests() {
    [ "$(id -u)" -eq 0 ] || { echo "the tests make namespaces, mounts and cgroups: run them as root" >&2; exit 1; }
    apt_install attr bind9-dnsutils busybox-static curl dbus debootstrap docker-registry e2fsprogs iproute2 iptables nftables openssl python3-venv skopeo systemd ufw umoci zstd
    # Installed, firewalld would also be started; only tests shall do that, in network namespaces of their own.
    if ! command -v firewalld >/dev/null && command -v systemctl >/dev/null; then
        systemctl mask --quiet firewalld
    fi
    apt_install firewalld
    scripts/peers.sh setup >&2
    scripts/clients.sh setup >&2
}

# The guest of scripts/vm.sh.
need_vm() {
    apt_install qemu-system-x86 qemu-system-arm qemu-utils e2fsprogs cpio kmod busybox-static
}

# What makes the machine's image, for this processor and for the other.
need_image() {
    local other=aarch64-unknown-linux-musl
    [ "$(uname -m)" = x86_64 ] || other=x86_64-unknown-linux-musl
    apt_install binutils cpio erofs-utils kmod make python3-pip xz-utils zstd
    case $(uname -m) in
        x86_64) apt_install gcc-aarch64-linux-gnu ;;
        aarch64) apt_install gcc-x86-64-linux-gnu ;;
    esac
    [ -d "$(rustc --print sysroot)/lib/rustlib/$other" ] || timeout 300 rustup target add "$other" >&2 ||
        echo "no target $other: its standard library will be compiled" >&2
}
