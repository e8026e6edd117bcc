#!/usr/bin/env bash
# Compiles the module for host file events as Debian's documents say: against the headers of exactly that kernel, with the
# kernel's own build system. Its programs are run by Debian's own loader, so the machine this runs on may be older.
#
#   vm-image/fsevents/build.sh ARCH RELEASE FOLDER OUT
#
# FOLDER holds, unpacked: linux-headers-RELEASE, linux-headers-…-common, linux-kbuild-…, and the libraries those need.
set -euo pipefail
here=$(dirname "$(realpath "$0")")
arch=$1 release=$2 folder=$(realpath "$3") out=$4

headers=$folder/usr/src/linux-headers-$release
kbuild=$(echo "$folder"/usr/lib/linux-kbuild-*)
sed -i "s|include /usr/src|include $folder/usr/src|" "$headers/Makefile"

# These two choose by name among programs beside them, which a script around them would hide.
ln -sf objtool.real-x86 "$kbuild/tools/objtool/objtool"
ln -sf modpost.real-lsb-64 "$kbuild/scripts/mod/modpost"
loader=$(find "$folder" -name 'ld-linux-*' | head -n 1)
find "$kbuild" -type f -perm -u+x | while read -r program; do
    [ "$(head -c 4 "$program" | tail -c 3)" = ELF ] || continue
    mv "$program" "$program.elf"
    printf '#!/bin/sh\nexec %s --library-path %s %s "$@"\n' \
        "$loader" "$folder/usr/lib/$(uname -m)-linux-gnu" "$program.elf" > "$program"
    chmod 755 "$program"
done

module=$folder/fsevents
mkdir -p "$module"
cp "$here"/{Kbuild,proa_fsevents.c} "$module/"
# The headers were configured for a newer compiler: what this one lacks is done the older way.
make -s -C "$headers" M="$module" CC="$arch-linux-gnu-gcc" CONFIG_CC_HAS_MIN_FUNCTION_ALIGNMENT= \
    CONFIG_DEBUG_INFO= CONFIG_DEBUG_INFO_BTF_MODULES= KBUILD_MODPOST_WARN=1 modules >&2
"$arch-linux-gnu-strip" --strip-debug "$module/proa_fsevents.ko"
cp "$module/proa_fsevents.ko" "$out"
