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
# What the kernel's build system needs on the machine this runs on.
tools='libc6 libelf1t64 zlib1g libzstd1'
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
    build_module
    stage_modules
    make_initramfs
    make_image
    place
}

# Every package of the image, unpacked into $work/debian.
unpack_packages() {
    local name
    for name in $(awk -v debian="$debian" '$2 == debian && $1 ~ /^linux-image-/ {print $1}' vm-image/pins) $packages; do
        find_package "$name" "$debian"
        dpkg-deb -x "$found" "$work/debian"
        echo "$name $(dpkg-deb -f "$found" Version)" >> "$work/versions"
    done
    [ -e "$work/debian" ] || { echo "image: vm-image/pins has nothing for $debian" >&2; exit 1; }
    tree=$(dirname "$(find "$work/debian" -path '*/lib/modules/*/kernel' -type d -prune)")
    release=$(basename "$tree")
}

# Sets $found to the file of a package: the pinned one, or, said loudly, what Debian has now, which keeps only the newest.
find_package() {
    local name=$1 debian=$2 version sum present file stem=$1
    read -r version sum < <(awk -v name="$name" -v debian="$debian" '$1 == name && $2 == debian {print $3, $4}' vm-image/pins) || true
    found=$cache/${sum:-none}.deb
    [ ! -e "$found" ] || return 0
    mkdir -p "$work/fetched"
    if [ -n "$version" ] && read -r _ _ present file < <(scripts/debian.sh "$suite" "$debian" "$work/fetched" "$name=$version" 2>/dev/null); then
        [ "$present" = "$sum" ] || { echo "image: $name $version is not what vm-image/pins says: its sha256 is $present" >&2; exit 1; }
        mv "$file" "$found"
        return 0
    fi
    case $name in linux-image-*) stem=linux-image-cloud-$debian ;; esac
    read -r name version present file < <(scripts/debian.sh "$suite" "$debian" "$work/fetched" "$stem") ||
        { echo "image: the mirror has no $stem for $debian" >&2; exit 1; }
    cat >&2 <<SAID
image: !!! Debian does not have the pinned $1 any more; going on with $name $version.
image: !!! Move the pins, and commit them:  scripts/dev image --move-pins
SAID
    found=$cache/$present.deb
    mv "$file" "$found"
}

# Headers of a kernel, and the programs that come with them, by the kernel's release.
headers_of() {
    local release=$1 debian=$2
    echo "linux-headers-$release $debian"
    echo "linux-headers-${release%-cloud-*}-common all"
    echo "linux-kbuild-${release%-cloud-*} $(dpkg --print-architecture)"
}

# The module that brings the host's file events to watchers.
build_module() {
    local name architecture library
    while read -r name architecture; do
        find_package "$name" "$architecture"
        dpkg-deb -x "$found" "$work/headers"
    done < <(headers_of "$release" "$debian"; for library in $tools; do echo "$library $(dpkg --print-architecture)"; done)
    vm-image/fsevents/build.sh "$arch" "$release" "$work/headers" "$work/proa_fsevents.ko"
}

move_pins() {
    local debian kernel
    grep '^#' vm-image/pins > "$cache/pins"
    for debian in amd64 arm64; do
        pin "$debian" "linux-image-cloud-$debian" $packages
        kernel=$(awk -v debian="$debian" '$2 == debian && $1 ~ /^linux-image-/ {print substr($1, 13)}' "$cache/pins")
        pin "$debian" "linux-headers-$kernel"
    done
    # Common to both, and what runs here, whichever machine that is.
    for debian in amd64 arm64; do pin "$debian" "linux-kbuild-${kernel%-cloud-*}" ${tools#libc6 }; done
    pin all "linux-headers-${kernel%-cloud-*}-common"
    mv "$cache/pins" vm-image/pins
    rm -rf "$cache/new"
}

# Adds lines for an architecture's packages.
pin() {
    local debian=$1 name version sum file
    shift
    while read -r name version sum file; do
        mv "$file" "$cache/$sum.deb"
        echo "$name $debian $version $sum" >> "$cache/pins"
    done < <(scripts/debian.sh "$suite" "${debian/all/amd64}" "$cache/new" "$@")
}

# The first program, always; the agent, unless one was given. Paths of this machine do not get into them.
build_programs() {
    local target=$arch-unknown-linux-musl flags="--remap-path-prefix=$PWD=/proa --remap-path-prefix=${CARGO_HOME:-$HOME/.cargo}=/cargo"
    local words=(--quiet --profile hello --target "$target" --target-dir "$target_dir/boot" -p proa-boot)
    boot=$target_dir/boot/$target/hello/proa-boot
    if has_standard_library "$target"; then
        # There is no C in it, so the linker that Rust brings will do for any processor.
        [ "$arch" = "$(uname -m)" ] || flags+=" -Clinker=rust-lld -Clink-self-contained=yes"
        RUSTFLAGS=$flags cargo build "${words[@]}"
    else
        scripts/cross.sh "${words[@]}"
    fi
    if [ -z "$agent" ]; then
        agent=$target_dir/$target/release/proa-agent
        if [ "$arch" = "$(uname -m)" ] && has_standard_library "$target"; then
            cargo build --release --target "$target" -p proa-agent
        else
            scripts/cross.sh --release --target "$target" -p proa-agent
        fi
    fi
}

has_standard_library() {
    [ -d "$(rustc --print sysroot)/lib/rustlib/$1" ]
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
    cp "$work/proa_fsevents.ko" "$all/"
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
    "$arch-linux-gnu-strip" --strip-all "$1"
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
