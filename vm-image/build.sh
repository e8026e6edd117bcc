#!/usr/bin/env bash
# Makes the machine's boot files, the same bytes from the same source: target/vm-image/<arch>/{kernel,initramfs,image.erofs,
# manifest.json}. Run by `scripts/dev image`.
#
#   vm-image/build.sh [x86_64 | aarch64]        with a release build of the agent
#   vm-image/build.sh --agent FILE [ARCH]       with this agent; one that is not static brings its libraries along
#   vm-image/build.sh --no-agent [ARCH]         without one: for a test of what comes before it
#   vm-image/build.sh --out FOLDER …            somewhere else
#   vm-image/build.sh --move-pins               pins Debian's present packages, for both
set -euo pipefail
cd "$(dirname "$(realpath "$0")")/.."
export LC_ALL=C TZ=UTC SOURCE_DATE_EPOCH=1767225600
umask 022

# Limits of the design: an initramfs is waited for, an image is downloaded.
initramfs_limit=$((15 << 20)) image_limit=$((40 << 20))
suite=trixie
packages='xfsprogs libc6 libinih1 liburcu8t64 libblkid1 libuuid1'
cache=${XDG_CACHE_HOME:-$HOME/.cache}/proa/packages
target_dir=${CARGO_TARGET_DIR:-target}
arch=$(uname -m) agent='' out='' words='console=ttyS0 quiet loglevel=4 panic=-1 random.trust_cpu=on mitigations=off'

main() {
    mkdir -p "$cache"
    while [ $# -gt 0 ]; do
        case $1 in
            --agent) agent=$(realpath "$2"); shift ;;
            --no-agent) agent=none ;;
            --out) out=$2; shift ;;
            --move-pins) move_pins; exit ;;
            x86_64 | aarch64) arch=$1 ;;
            *) echo "image: no such architecture or option: $1" >&2; exit 2 ;;
        esac
        shift
    done
    case $arch in
        x86_64) debian=amd64 ;;
        aarch64) debian=arm64 words=${words/ttyS0/ttyAMA0} ;;
        *) echo "image: no machine is made for $arch; choose x86_64 or aarch64" >&2; exit 2 ;;
    esac
    out=${out:-$target_dir/vm-image/$arch}
    work=$(mktemp -d /var/tmp/proa-image.XXXXXX)
    trap 'rm -rf "$work"' EXIT
    unpack_packages
    build_programs
    stage_modules
    make_initramfs
    make_image
    place
}

# Every pinned package, unpacked into $work/debian.
unpack_packages() {
    local name version sum file
    while read -r name version sum; do
        file=$cache/$sum.deb
        [ -e "$file" ] || fetch "$name" "$version" "$sum" || file=$replaced
        dpkg-deb -x "$file" "$work/debian"
        echo "$name $version" >> "$work/versions"
    done < <(awk -v debian="$debian" '$2 == debian {print $1, $3, $4}' vm-image/pins)
    [ -e "$work/debian" ] || { echo "image: vm-image/pins has nothing for $debian" >&2; exit 1; }
    release=$(ls "$work"/debian/usr/lib/modules 2>/dev/null || ls "$work/debian/lib/modules")
    tree=$work/debian/usr/lib/modules/$release
    [ -e "$tree" ] || tree=$work/debian/lib/modules/$release
}

# Downloads one package. Debian keeps only the newest of each: then that one is taken, and it is said.
fetch() {
    local name=$1 version=$2 sum=$3 present_version present_sum file stem=$1
    mkdir -p "$work/fetched"
    if read -r _ _ present_sum file < <(scripts/debian.sh "$suite" "$debian" "$work/fetched" "$name=$version" 2>/dev/null); then
        [ "$present_sum" = "$sum" ] || { echo "image: $name $version is not what vm-image/pins says: its sha256 is $present_sum" >&2; exit 1; }
        mv "$file" "$cache/$sum.deb"
        return 0
    fi
    case $name in linux-image-*) stem=linux-image-cloud-$debian ;; esac
    read -r name present_version present_sum file < <(scripts/debian.sh "$suite" "$debian" "$work/fetched" "$stem") ||
        { echo "image: the mirror has neither $1 $version nor another $stem for $debian" >&2; exit 1; }
    cat >&2 <<SAID
image: !!! Debian has no $1 $version any more; going on with $name $present_version.
image: !!! Move the pins, and commit them:  scripts/dev image --move-pins
SAID
    mv "$file" "$cache/$present_sum.deb"
    replaced=$cache/$present_sum.deb
    return 1
}

move_pins() {
    local debian name version sum file
    grep '^#' vm-image/pins > "$cache/pins"
    for debian in amd64 arm64; do
        while read -r name version sum file; do
            mv "$file" "$cache/$sum.deb"
            echo "$name $debian $version $sum" >> "$cache/pins"
        done < <(scripts/debian.sh "$suite" "$debian" "$cache/new" "linux-image-cloud-$debian" $packages)
    done
    mv "$cache/pins" vm-image/pins
    rm -rf "$cache/new"
}

# The first program, always; the agent, unless one was given. Paths of this machine do not get into them.
build_programs() {
    local target=$arch-unknown-linux-musl flags="--remap-path-prefix=$PWD=/proa --remap-path-prefix=${CARGO_HOME:-$HOME/.cargo}=/cargo"
    # There is no C in it, so the linker that Rust brings will do for any processor.
    [ "$arch" = "$(uname -m)" ] || flags+=" -Clinker=rust-lld -Clink-self-contained=yes"
    [ -d "$(rustc --print sysroot)/lib/rustlib/$target" ] || { target=$arch-unknown-linux-gnu; flags+=" -Ctarget-feature=+crt-static"; }
    RUSTFLAGS=$flags cargo build --quiet --profile hello --target "$target" --target-dir "$target_dir/boot" -p proa-boot
    boot=$target_dir/boot/$target/hello/proa-boot
    if [ -z "$agent" ]; then
        cargo build --release --target "$target" -p proa-agent
        agent=$target_dir/$target/release/proa-agent
    fi
}

# The chosen modules in three folders, with tables by depmod for the initramfs's and for all of the image's.
stage_modules() {
    local first=$work/first/lib/modules/$release all=$work/all/lib/modules/$release kind what file
    mkdir -p "$first" "$all"
    cp "$tree"/modules.{builtin*,order} "$first/"
    cp "$tree"/modules.{builtin*,order} "$all/"
    depmod -b "${tree%/lib/modules/*}" "$release"
    while read -r kind what; do
        case $kind in
            first) with_needs "$what" | while read -r file; do unpack_module "$file" "$first"; done ;;&
            first | ready) with_needs "$what" | while read -r file; do unpack_module "$file" "$all"; done ;;
            more) (cd "$tree" && files_below "$what" | xargs -r cp -t "$all") ;;
        esac
    done < vm-image/modules
    # What is unpacked already is not needed packed.
    for file in "$all"/*.ko; do rm -f "$file.xz"; done
    add_needs "$all"
    depmod -b "$work/first" "$release"
    depmod -b "$work/all" "$release"
    for file in "$first" "$all"; do
        (cd "$file" && find . -name 'modules.*' ! -name modules.dep ! -name modules.alias -delete)
    done
}

# A module's file in the tree and those it needs. One that is built in, or not made for this processor, has none.
with_needs() {
    awk -F: -v name="/$1.ko" 'index($1, name) {print $1; n = split($2, needs, " "); for (i = 1; i <= n; i++) print needs[i]; exit}' "$tree/modules.dep"
}

files_below() {
    awk -F: -v folder="kernel/$1" 'index($1, folder) == 1 {print $1}' "$tree/modules.dep"
}

# What the modules of a folder need and is not there yet: one pass over the table, whose needs are complete.
add_needs() {
    local file
    find "$1" -name '*.ko*' -printf '%f\n' | awk -F: '
        NR == FNR { have[name($0)] = 1; next }
        name($1) in have { n = split($2, needs, " "); for (i = 1; i <= n; i++) if (!(name(needs[i]) in have)) print needs[i] }
        function name(path) { sub(/.*\//, "", path); sub(/\.ko.*/, "", path); return path }
    ' - "$tree/modules.dep" | sort -u | while read -r file; do cp "$tree/$file" "$1/"; done
}

unpack_module() {
    local name
    name=$(basename "$1" .xz)
    [ -e "$2/$name" ] || case $1 in
        *.xz) xz -dc "$tree/$1" > "$2/$name" ;;
        *) cp "$tree/$1" "$2/$name" ;;
    esac
}

make_initramfs() {
    local folder=$work/initramfs size
    mkdir -p "$folder"/{dev,proc,sys,root}
    install -m 755 "$boot" "$folder/init"
    cp -r "$work/first/lib/modules/$release" "$folder/modules"
    find "$folder" -exec touch -h -d "@$SOURCE_DATE_EPOCH" {} +
    (cd "$folder" && find . -mindepth 1 | sort | cpio --quiet -o -H newc --reproducible -R 0:0) > "$work/cpio"
    size=$(stat -c %s "$work/cpio")
    [ "$size" -le "$initramfs_limit" ] || { echo "image: the initramfs is $size bytes unpacked, more than $initramfs_limit" >&2; exit 1; }
    zstd -q -19 -f "$work/cpio" -o "$work/cpio.zst"
}

make_image() {
    local folder=$work/image
    mkdir -p "$folder"/{bin,xfs,root}
    cp -r "$work/all/lib/modules/$release" "$folder/modules"
    install -m 755 "$boot" "$folder/bin/modprobe"
    if [ "$agent" != none ]; then
        install -m 755 "$agent" "$folder/bin/proa-agent"
        strip_program "$folder/bin/proa-agent"
        add_libraries "$agent" "$folder/root"
    fi
    add_xfs "$folder/xfs"
    find "$folder" -exec touch -h -d "@$SOURCE_DATE_EPOCH" {} +
    mkfs.erofs --quiet -T "$SOURCE_DATE_EPOCH" -U 50726f61-0000-4000-8000-000000000001 --all-root "$work/image.erofs" "$folder" >/dev/null
}

strip_program() {
    [ "$arch" != "$(uname -m)" ] || strip --strip-all "$1"
}

# What a debug build of this machine is linked to, at the places it looks for it.
add_libraries() {
    local library
    for library in $(ldd "$1" 2>/dev/null | grep -o '/[^ ]*'); do
        install -D "$(realpath "$library")" "$2$library"
    done
}

# Debian's programs for the data disk, the loader and the libraries they name.
add_xfs() {
    local program library found
    for program in mkfs.xfs xfs_repair; do
        install -m 755 "$(find "$work/debian" -name "$program" -type f)" "$1/$program"
    done
    local -A seen=()
    local pending=("$1/mkfs.xfs" "$1/xfs_repair")
    while [ ${#pending[@]} -gt 0 ]; do
        for library in $(objdump_needed "${pending[0]}"); do
            [ -z "${seen[$library]:-}" ] || continue
            seen[$library]=1
            found=$(find "$work/debian" -name "$library" | head -n 1)
            [ -n "$found" ] || { echo "image: no package in vm-image/pins has $library, which ${pending[0]##*/} needs" >&2; exit 1; }
            install -m 755 "$(realpath "$found")" "$1/$library"
            pending+=("$1/$library")
        done
        pending=("${pending[@]:1}")
    done
    mv "$1"/ld-linux-* "$1/loader"
}

objdump_needed() {
    readelf -d "$1" | sed -n 's/.*(NEEDED).*\[\(.*\)\]/\1/p'
}

# The files at their place, and what is true of them.
place() {
    local file size packed
    mkdir -p "$out"
    cp "$work/cpio.zst" "$out/initramfs"
    cp "$work/image.erofs" "$out/image.erofs"
    cp "$work"/debian/boot/vmlinu* "$out/kernel"
    packed=$(tar --sort=name --owner=0 --group=0 --mtime="@$SOURCE_DATE_EPOCH" -C "$out" -c kernel initramfs image.erofs | zstd -q -10 -T0 | wc -c)
    manifest "$packed" > "$out/manifest.json"
    echo "$out: initramfs $(stat -c %s "$work/cpio") bytes unpacked, image $(stat -c %s "$out/image.erofs"), all $packed compressed"
    # An agent with debug information is no release.
    if [ "$packed" -gt "$image_limit" ] && ! [ -d "$work/image/root/lib64" ]; then
        echo "image: kernel, initramfs and image are $packed bytes compressed, more than $image_limit" >&2
        exit 1
    fi
}

manifest() {
    local file separator=
    printf '{\n  "format": 1,\n  "architecture": "%s",\n  "kernel_release": "%s",\n  "command_line": "%s",\n' "$arch" "$release" "$words"
    printf '  "initramfs_unpacked": %s,\n  "compressed": %s,\n  "packages": {' "$(stat -c %s "$work/cpio")" "$1"
    while read -r name version; do printf '%s\n    "%s": "%s"' "$separator" "$name" "$version"; separator=,; done < "$work/versions"
    printf '\n  },\n  "files": {'
    separator=
    for file in kernel initramfs image.erofs; do
        printf '%s\n    "%s": { "size": %s, "sha256": "%s" }' "$separator" "$file" "$(stat -c %s "$out/$file")" "$(sha256sum "$out/$file" | cut -d' ' -f1)"
        separator=,
    done
    printf '\n  }\n}\n'
}

main "$@"
