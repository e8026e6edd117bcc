#!/usr/bin/env bash
# Fetches one of Debian's cloud kernels from the machine's own mirror and prints the folder it lies in, unpacked:
# boot/vmlinuz-* and lib/modules/*.
#
#   scripts/kernel.sh 6.12             trixie's
#   scripts/kernel.sh 6.1              bookworm's
#   scripts/kernel.sh 6.12 arm64       for another processor
set -euo pipefail

version=${1:?usage: kernel.sh 6.12 | 6.1 [amd64 | arm64]} architecture=${2:-amd64}
case $version in
    6.12) suite=trixie ;;
    6.1) suite=bookworm ;;
    *) echo "kernel.sh: no suite of Debian has a cloud kernel $version that is tested here" >&2; exit 2 ;;
esac
cache=${XDG_CACHE_HOME:-$HOME/.cache}/proa/kernel-$version
[ "$architecture" = amd64 ] || cache+=-$architecture
if [ -e "$cache/.complete" ]; then echo "$cache"; exit 0; fi

rm -rf "$cache"
read -r _ _ _ package < <(scripts/debian.sh "$suite" "$architecture" "$cache/packages" "linux-image-cloud-$architecture")
dpkg-deb -x "$package" "$cache"
[ -d "$cache/lib/modules" ] || ln -s usr/lib "$cache/lib"
depmod -b "$cache" "$(ls "$cache/lib/modules")"
rm -rf "$cache/packages"
touch "$cache/.complete"
echo "$cache"
