#!/usr/bin/env bash
# Make, on a Debian machine without an image registry, what docker-compose.yml would pull.
#
#   deploy/local-images/build.sh [suite]      needs root, debootstrap and a Docker engine
#
# `compose.env` beside this file names the images for docker-compose.yml.
set -euo pipefail

here=$(cd "$(dirname "$0")" && pwd)
repository=$(cd "$here/../.." && pwd)
suite=${1:-bookworm}
base=local/python
workshop=$(mktemp -d)
trap 'rm -rf "$workshop"' EXIT

base_image() {
    local root=$workshop/root
    debootstrap --variant=minbase --include=ca-certificates,python3,python3-venv \
        "$suite" "$root" >"$workshop/debootstrap.log" 2>&1 || {
        cat "$workshop/debootstrap.log" >&2
        return 1
    }
    ln -s python3 "$root/usr/bin/python"
    # Authorities that this machine trusts beyond Debian's: pip must get through the same proxies.
    find /usr/local/share/ca-certificates -name '*.crt' \
        -exec cp {} "$root/usr/local/share/ca-certificates/" \;
    chroot "$root" update-ca-certificates >/dev/null 2>&1
    tar -C "$root" -c . | docker import --change 'CMD ["python3"]' - "$base" >/dev/null
}

stand_in() { # name: builds local/<name> from the folder of that name
    docker build --quiet --build-arg "BASE_IMAGE=$base" --tag "local/$1" "$workshop/$1" >/dev/null
    echo "built local/$1"
}

docker image inspect "$base" >/dev/null 2>&1 || base_image
echo "built $base"
cp -r "$here"/postgres "$here"/rabbitmq "$here"/s3 "$here"/prometheus "$here"/haproxy "$workshop"
# The versions the tests run with; the hashes are left out because not all of the lock is wanted.
sed -nE 's/^([A-Za-z0-9][^ ]*==[^\\]*[^\\ ]) *\\?$/\1/p' "$repository/requirements.lock" \
    >"$workshop/s3/constraints.txt"
for name in postgres rabbitmq s3 prometheus haproxy; do stand_in "$name"; done
