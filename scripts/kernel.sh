#!/usr/bin/env bash
# Fetches one of Debian's cloud kernels from the machine's own mirror and prints the folder it lies in, unpacked:
# boot/vmlinuz-* and lib/modules/*.
#
#   scripts/kernel.sh 6.12     trixie's
#   scripts/kernel.sh 6.1      bookworm's
set -euo pipefail

version=${1:?usage: kernel.sh 6.12 | 6.1}
case $version in
    6.12) suite=trixie ;;
    6.1) suite=bookworm ;;
    *) echo "kernel.sh: no suite of Debian has a cloud kernel $version that is tested here" >&2; exit 2 ;;
esac
cache=${XDG_CACHE_HOME:-$HOME/.cache}/proa/kernel-$version
if [ -e "$cache/.complete" ]; then echo "$cache"; exit 0; fi

rm -rf "$cache"
apt=$cache/apt
mkdir -p "$apt"/{lists/partial,archives/partial}
mirror=$(apt-get indextargets --format '$(REPO_URI)' 'Origin: Debian' | head -n 1)
echo "deb [signed-by=/usr/share/keyrings/debian-archive-keyring.gpg] $mirror $suite main" > "$apt/sources.list"
cat > "$apt/apt.conf" <<CONF
Dir::Etc::sourcelist "$apt/sources.list";
Dir::Etc::sourceparts "-";
Dir::State::lists "$apt/lists";
Dir::Cache "$apt";
CONF
export APT_CONFIG=$apt/apt.conf
apt-get update -qq -o APT::Sandbox::User=root
# The package of that name is empty and depends on the newest kernel.
package=$(apt-cache depends linux-image-cloud-amd64 | awk '$1 == "Depends:" && $2 ~ /^linux-image-/ {print $2; exit}')
(cd "$apt" && apt-get download -qq -o APT::Sandbox::User=root "$package")
dpkg-deb -x "$apt/$package"_*.deb "$cache"
[ -d "$cache/lib/modules" ] || ln -s usr/lib "$cache/lib"
depmod -b "$cache" "$(ls "$cache/lib/modules")"
rm -rf "$apt"
touch "$cache/.complete"
echo "$cache"
