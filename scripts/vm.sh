#!/usr/bin/env bash
# Runs the tests, or a command, as root in a plain QEMU guest without acceleration: Debian's cloud kernel, cgroup
# version 2 with every controller, a disk of its own. The exit status is the command's.
#
#   scripts/vm.sh                             the suite: test binaries built here, copied in
#   scripts/vm.sh uname -a
#   KERNEL=6.1 scripts/vm.sh                  an older kernel (6.12 unless told)
#   TESTS='kernel runtime' scripts/vm.sh      test targets whose names match one of these words
#   BUILT='target/debug/deps/stories-…' …     these test binaries, without building anything
#   MINUTES=20 MEMORY=3072 scripts/vm.sh      when to give up; the guest's memory in MiB
set -euo pipefail

version=${KERNEL:-6.12}
work=$(mktemp -d /var/tmp/proa-vm.XXXXXX)
trap 'rm -rf "$work"' EXIT
root=$work/root
binaries=${CARGO_TARGET_DIR:-target}/debug

main() {
    local kernel release
    kernel=$(scripts/kernel.sh "$version")
    release=$(ls "$kernel/lib/modules")
    [ -n "${BUILT:-}" ] || cargo build --quiet -p proa-agent -p proa-cli
    make_root
    add_modules "$kernel" "$release"
    if [ $# -gt 0 ]; then printf '%q ' "$@" > "$root/command"; else add_tests; fi
    make_initramfs "$kernel" "$release"
    truncate -s 6G "$work/disk"
    mke2fs -q -t ext4 -O ^has_journal -d "$root" "$work/disk"
    boot "$kernel/boot/vmlinuz-$release"
}

# A root file system: busybox, our binaries with their libraries, the few peers that tests start.
make_root() {
    mkdir -p "$root"/{bin,sbin,usr/bin,etc,proc,sys,dev,run,tmp,root,var/tmp,var/lib,tests,lib64,product}
    chmod 1777 "$root/tmp" "$root/var/tmp"
    cp /bin/busybox "$root/bin/"
    chroot "$root" /bin/busybox --install -s /bin
    printf 'root:x:0:0:root:/root:/bin/sh\ndaemon:x:1:1:daemon:/:/bin/false\n' > "$root/etc/passwd"
    printf 'root:x:0:\ndaemon:x:1:\n' > "$root/etc/group"
    printf '127.0.0.1 localhost\n' > "$root/etc/hosts"
    printf 'icmp 1\ntcp 6\nudp 17\n' > "$root/etc/protocols"
    cp scripts/vm-init.sh "$root/sbin/init"
    add_program "$binaries/proa-agent" product
    add_program "$binaries/proa" product
    add_peers docker docker-registry skopeo
    add_witnesses
}

# Programs that network tests ask what the kernel understood.
add_witnesses() {
    local program library extensions=usr/lib/x86_64-linux-gnu/xtables
    for program in ip tc nft dig curl nsenter unshare xtables-nft-multi; do
        rm -f "$root/bin/$program" # busybox's has less
        add_program "$(command -v "$program")" usr/bin
    done
    # Busybox's shell prefers its own programs to those on PATH.
    rm "$root/bin/sh"
    add_program "$(realpath /bin/sh)" bin sh
    ln -s xtables-nft-multi "$root/usr/bin/iptables-nft"
    mkdir -p "$root/$extensions"
    cp "/$extensions"/libxt_{standard,comment,conntrack,addrtype,MASQUERADE}.so "/$extensions"/libipt_*.so "$root/$extensions/" 2>/dev/null || true
}

# Copies a binary into FOLDER, stripped, and the libraries it names.
add_program() {
    local binary=$1 folder=$2 name=${3:-$(basename "$1")} library
    cp "$binary" "$root/$folder/$name"
    strip --strip-debug "$root/$folder/$name"
    for library in $(ldd "$binary" 2>/dev/null | grep -o '/[^ ]*'); do
        [ -e "$root/$library" ] || install -D "$(realpath "$library")" "$root/$library"
    done
}

# Programs out of the peers' root, where tests look for them, with that root's own libraries.
add_peers() {
    local peers=${PEERS_ROOT:-/var/cache/proa/peers} program library
    local libraries=lib/x86_64-linux-gnu loader=lib64/ld-linux-x86-64.so.2
    mkdir -p "$root/var/cache/proa/peers"/{usr/bin,lib64,$libraries}
    cp -L "$peers/$loader" "$root/var/cache/proa/peers/$loader"
    for program in "$@"; do
        cp "$peers/usr/bin/$program" "$root/var/cache/proa/peers/usr/bin/"
        for library in $("$peers/$loader" --library-path "$peers/$libraries" --list "$peers/usr/bin/$program" |
            grep -o "$peers/$libraries/[^ ]*"); do
            cp -L "$library" "$root/var/cache/proa/peers/$libraries/"
        done
    done
    cp -a "$peers/images" "$root/var/cache/proa/peers/"
    mkdir -p "$root/etc/containers"
    echo '{"default": [{"type": "insecureAcceptAnything"}]}' > "$root/etc/containers/policy.json"
}

# The modules that the guest asks for, with what they need, in the order of loading.
add_modules() {
    local kernel=$1 release=$2 module path
    mkdir -p "$root/lib/modules"
    for module in virtio_pci virtio_blk crc32c_generic ext4 overlay loop bfq xfs $network_modules; do
        for path in $(modprobe -d "$kernel" -S "$release" --show-depends "$module" 2>/dev/null | awk '$1 == "insmod" {print $2}'); do
            grep -qxF "$(module_name "$path")" "$work/modules" 2>/dev/null && continue
            module_name "$path" >> "$work/modules"
            unpack "$path" "$root/lib/modules/$(module_name "$path")"
        done
    done
    cp "$work/modules" "$root/lib/modules/order"
}

# What networks are made of; elsewhere the kernel loads these when they are asked for.
network_modules='veth bridge br_netfilter macvlan ipvlan sch_tbf nf_tables nft_chain_nat nft_nat nft_masq nft_redir nft_ct
    nft_fib_inet nft_reject_inet nft_limit nft_compat nf_conntrack_netlink xt_comment xt_conntrack xt_MASQUERADE xt_addrtype'

module_name() {
    local name=${1##*/}
    echo "${name%.xz}"
}

unpack() {
    case $1 in
        *.xz) xz -dc "$1" > "$2" ;;
        *) cp "$1" "$2" ;;
    esac
}

# Every test binary of the workspace that TESTS asks for, and the command that runs them one after the other.
add_tests() {
    local binary name
    {
        echo 'failed=0'
        test_binaries | while read -r binary; do
            name=$(basename "${binary%-*}")
            add_program "$binary" tests "$name"
            echo "echo; echo \"== $name\"; (cd /tests && ./$name --test-threads 2 ${TEST_ARGS:-}) || failed=1"
        done
        echo 'exit $failed'
    } > "$root/command"
}

test_binaries() {
    local words
    words=$(printf '%s|' ${TESTS:-proa})
    if [ -n "${BUILT:-}" ]; then
        printf '%s\n' $BUILT
    else
        cargo test --workspace --no-run 2>&1 | sed -n 's/^ *Executable .*(\(.*\))$/\1/p' | grep -E "/(${words%|})[^/]*$"
    fi
}

make_initramfs() {
    local folder=$work/initramfs module
    mkdir -p "$folder"/{bin,proc,dev,new}
    cp /bin/busybox "$folder/bin/"
    {
        echo '#!/bin/busybox sh'
        echo '/bin/busybox mount -t devtmpfs dev /dev'
        while read -r module; do
            cp "$root/lib/modules/$module" "$folder/"
            echo "/bin/busybox insmod /$module"
            case $module in ext4.ko | overlay.ko) break ;; esac
        done < "$work/modules"
        echo '/bin/busybox mount -t ext4 -o noatime /dev/vda /new'
        echo 'exec /bin/busybox switch_root /new /sbin/init'
    } > "$folder/init"
    chmod 755 "$folder/init"
    (cd "$folder" && find . | cpio --quiet -o -H newc | gzip -1) > "$work/initrd"
}

# Without acceleration and with several processors, QEMU 7.2 spoils registers around a cmpxchg16b that is contended; a
# kernel that is told of none uses other means.
# The kernel speaks on the first serial line and the command on the second, so that neither disturbs the other.
boot() {
    local status
    timeout "$((60 * ${MINUTES:-30}))" qemu-system-x86_64 -accel tcg,thread=multi -cpu max,cx16=off -smp 2 -m "${MEMORY:-3072}" \
        -display none -monitor none -no-reboot -nic none -kernel "$1" -initrd "$work/initrd" \
        -append 'console=ttyS0 panic=-1 random.trust_cpu=on mitigations=off' \
        -drive "file=$work/disk,format=raw,if=virtio,cache=unsafe" \
        -serial "file:$work/console" -serial stdio </dev/null | sed -u 's|\r||' | tee "$work/output" || true
    status=$(sed -n 's/^guest: exit \([0-9]*\)$/\1/p' "$work/output" | tail -n 1)
    if [ -z "$status" ]; then
        echo "vm.sh: the guest ended without telling how its command did; the kernel's last words:" >&2
        grep -v "^\[.*  [? ] " "$work/console" | tail -n 30 >&2
    fi
    exit "${status:-1}"
}

main "$@"
