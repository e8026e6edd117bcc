#!/usr/bin/env bash
# Downloads packages of one of Debian's suites, for any architecture, from this machine's own mirror, into a folder,
# and prints a line for each: name, version, sha256, file. Nothing is installed.
#
#   scripts/debian.sh trixie arm64 /tmp/packages xfsprogs libc6=2.41-12
#   scripts/debian.sh trixie amd64 /tmp/packages linux-image-cloud-amd64     the kernel that this name stands for
set -euo pipefail

suite=${1:?usage: debian.sh SUITE ARCHITECTURE FOLDER PACKAGE[=VERSION]...} architecture=$2 folder=$3
shift 3
mkdir -p "$folder"
folder=$(realpath "$folder")
apt=$folder/.apt-$suite-$architecture
trap 'rm -rf "$apt"' EXIT
mkdir -p "$apt"/{lists/partial,archives/partial}
: > "$apt/status"
mirror=$(apt-get indextargets --format '$(REPO_URI)' 'Origin: Debian' | head -n 1)
echo "deb [arch=$architecture signed-by=/usr/share/keyrings/debian-archive-keyring.gpg] $mirror $suite main" > "$apt/sources.list"
cat > "$apt/apt.conf" <<CONF
APT::Architecture "$architecture";
APT::Architectures { "$architecture"; };
APT::Sandbox::User "root";
Acquire::Languages "none";
Dir::Etc::sourcelist "$apt/sources.list";
Dir::Etc::sourceparts "-";
Dir::State::lists "$apt/lists";
Dir::State::status "$apt/status";
Dir::Cache "$apt";
CONF
export APT_CONFIG=$apt/apt.conf
apt-get update -qq

for wanted in "$@"; do
    # A package of such a name is empty and depends on the newest kernel.
    case $wanted in
        linux-image-cloud-*) wanted=$(apt-cache depends "$wanted" | awk '$1 == "Depends:" && $2 ~ /^linux-image-/ {print $2; exit}') ;;
    esac
    mkdir "$apt/new"
    (cd "$apt/new" && apt-get download -qq "$wanted" >&2) || { rm -rf "$apt/new"; continue; }
    file=$(ls "$apt/new")
    mv "$apt/new/$file" "$folder/"
    rmdir "$apt/new"
    echo "${wanted%%=*} $(dpkg-deb -f "$folder/$file" Version) $(sha256sum "$folder/$file" | cut -d' ' -f1) $folder/$file"
done
