#!/usr/bin/env bash
# Debian's container programs in a root folder of their own, to compare with and to make images: Docker, Podman,
# runc, crun, skopeo, umoci, a registry server. About two minutes and 1.5 GB, once; the machine's own packages
# stay as they are.
#
#   scripts/peers.sh setup
#   scripts/peers.sh enter podman info       runs there; the machine's own root is at /host
#   scripts/peers.sh bin DIR                 writes starters into DIR that run single programs from outside
#
# Setup also leaves an OCI layout with images of Debian's own files in ROOT/images: debian:13, made by debootstrap,
# and nginx:1, which adds one layer to it.
set -euo pipefail

root=${PEERS_ROOT:-/var/cache/proa/peers}
suite=trixie
packages=(
    docker.io docker-cli containerd runc podman crun conmon netavark aardvark-dns passt uidmap
    skopeo umoci docker-registry busybox-static iptables nftables iproute2 procps
)

# The address of the machine's own Debian mirror; on Ubuntu there is none, so debootstrap's default.
mirror() {
    apt-get indextargets --format '$(REPO_URI)' 'Origin: Debian' | head -n 1
}

setup() {
    if [ ! -e "$root/.complete" ]; then machines; fi
    if [ ! -e "$root/.services" ]; then services; fi
}

machines() {
    echo "peers: building $root" >&2
    rm -rf --one-file-system "$root"
    debootstrap --variant=minbase --include=ca-certificates "$suite" "$root" $(mirror) >/dev/null
    cp /etc/resolv.conf "$root/etc/"
    cp /etc/ssl/certs/ca-certificates.crt "$root/etc/ssl/certs/"
    cp -n /etc/apt/apt.conf.d/* "$root/etc/apt/apt.conf.d/" 2>/dev/null || true
    in_root apt-get update -qq
    rm -rf --one-file-system "$root-debian"
    cp -a "$root" "$root-debian"
    in_root apt-get install -y -qq --no-install-recommends "${packages[@]}" >/dev/null
    images
    mkdir -p "$root/host"
    touch "$root/.complete"
}

# The two images, packed by umoci.
images() {
    local layout=$root/images bundle=$root-bundle
    bin "$root-bin"
    PATH=$root-bin:$PATH
    umoci init --layout "$layout"
    umoci new --image "$layout:debian"
    umoci unpack --image "$layout:debian" "$bundle"
    rm -rf "$root-debian"/var/cache/apt/archives/*.deb
    cp -a "$root-debian/." "$bundle/rootfs/"
    umoci repack --refresh-bundle --image "$layout:debian" "$bundle"
    umoci config --image "$layout:debian" --config.cmd bash --config.env PATH=/usr/sbin:/usr/bin:/sbin:/bin
    chroot "$bundle/rootfs" env DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends nginx-light >/dev/null
    rm -rf "$bundle"/rootfs/var/cache/apt/archives/*.deb "$bundle"/rootfs/var/lib/apt/lists/*
    umoci tag --image "$layout:debian" nginx
    umoci repack --image "$layout:nginx" "$bundle"
    umoci config --image "$layout:nginx" --clear=config.cmd --config.cmd nginx --config.cmd=-g --config.cmd 'daemon off;' \
        --config.env PATH=/usr/sbin:/usr/bin:/sbin:/bin --config.exposedports 80/tcp --config.stopsignal SIGQUIT
    rm -rf --one-file-system "$bundle" "$root-debian" "$root-bin"
}

# Compose, and an image with the servers of an application: nginx, a Python to write it in, Redis for its data.
services() {
    local layout=$root/images bundle=$root-services
    echo "peers: adding services to $root" >&2
    in_root apt-get update -qq
    in_root apt-get install -y -qq --no-install-recommends docker-compose >/dev/null
    bin "$root-bin"
    PATH=$root-bin:$PATH
    rm -rf --one-file-system "$bundle"
    umoci unpack --image "$layout:nginx" "$bundle"
    cp /etc/resolv.conf "$bundle/rootfs/etc/"
    chroot "$bundle/rootfs" apt-get update -qq
    chroot "$bundle/rootfs" env DEBIAN_FRONTEND=noninteractive \
        apt-get install -y -qq --no-install-recommends python3 redis-server redis-tools >/dev/null
    rm -rf "$bundle"/rootfs/var/cache/apt/archives/*.deb "$bundle"/rootfs/var/lib/apt/lists/* "$bundle/rootfs/etc/resolv.conf"
    umoci tag --image "$layout:nginx" services
    umoci repack --image "$layout:services" "$bundle"
    rm -rf --one-file-system "$bundle" "$root-bin"
    touch "$root/.services"
}

in_root() {
    chroot "$root" env DEBIAN_FRONTEND=noninteractive "$@"
}

# Podman and crun take a machine with both cgroup versions for one with version 2 alone, unless the second is hidden.
enter() {
    exec unshare --mount sh -c '
        set -e
        root=$1; shift
        mount --make-rprivate /
        mount --bind "$root" "$root"
        for dir in proc sys dev run; do mount --rbind "/$dir" "$root/$dir"; done
        mkdir -p "$root/host"
        cd "$root"
        pivot_root . host
        cd /
        umount /sys/fs/cgroup/unified 2>/dev/null || true
        exec "$@"' sh "$root" "$@"
}

# Programs of the folder run from outside through its own dynamic loader.
bin() {
    local dir=$1 program
    mkdir -p "$dir"
    for program in docker docker-compose docker-registry skopeo umoci crun; do
        cat > "$dir/$program" <<STARTER
#!/bin/sh
exec $root/lib64/ld-linux-x86-64.so.2 --library-path $root/lib/x86_64-linux-gnu $root/usr/bin/$program "\$@"
STARTER
        chmod 755 "$dir/$program"
    done
}

verb=${1:?usage: peers.sh setup | enter COMMAND... | bin DIR}
shift
case $verb in
    setup | bin) "$verb" "$@" ;;
    enter) [ -e "$root/.services" ] || setup; enter "$@" ;;
    *) echo "peers.sh: no verb $verb" >&2; exit 2 ;;
esac
