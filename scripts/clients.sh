#!/usr/bin/env bash
# Other people's clients that come from a package index and not from Debian, away from the machine's own Python:
# docker-py and Testcontainers in a virtual environment. Some seconds and 40 MB, once.
#
#   scripts/clients.sh setup
#   scripts/clients.sh python ARGS       runs the environment's Python, which is made if it is not there
set -euo pipefail

root=${CLIENTS_ROOT:-/var/cache/proa/clients}
# The newest of each that were tried.
packages=(docker==7.2.0 testcontainers==4.15.0)

# Tests come in parallel: one of them makes the environment, the others wait for it. It is there under its name only
# when it is whole.
setup() {
    local name
    name=python-$(printf '%s\n' "${packages[@]}" | cksum | cut -d ' ' -f 1)
    place=$root/$name
    [ ! -e "$place/.complete" ] || return 0
    mkdir -p "$root"
    exec 9>"$root/.lock"
    flock 9
    if [ ! -e "$place/.complete" ]; then
        echo "clients: building $place" >&2
        rm -rf --one-file-system "$place"
        python3 -m venv "$place"
        "$place/bin/pip" install --quiet --disable-pip-version-check "${packages[@]}" >&2
        touch "$place/.complete"
    fi
    exec 9>&-
}

verb=${1:?usage: clients.sh setup | python ARGUMENTS...}
shift
case $verb in
    setup) setup ;;
    python) setup; exec "$place/bin/python" "$@" ;;
    *) echo "clients.sh: no verb $verb" >&2; exit 2 ;;
esac
