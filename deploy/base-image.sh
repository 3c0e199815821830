#!/bin/sh
# Make the base image from Debian's packages, where no registry can be reached:
#
#     deploy/base-image.sh [IMAGE]        default: deltawire-base:bookworm
#     BASE_IMAGE=deltawire-base:bookworm docker compose build
#
# Needs root, debootstrap and a running engine. Certificate authorities that this machine trusts beside the
# usual ones are trusted in the image too, so that a build behind such a proxy reaches the package index.
set -eu

image=${1:-deltawire-base:bookworm}
suite=bookworm # Python 3.11
mirror=${DEBIAN_MIRROR:-http://deb.debian.org/debian}

command -v debootstrap >/dev/null || { echo "debootstrap is missing: apt-get install debootstrap" >&2; exit 2; }
docker version >/dev/null || { echo "no Docker engine answers" >&2; exit 2; }

root=$(mktemp -d)
trap 'rm -rf "$root"' EXIT
debootstrap --variant=minbase --include=python3,ca-certificates "$suite" "$root" "$mirror" >"$root.log" 2>&1 \
  || { tail -n 20 "$root.log" >&2; rm -f "$root.log"; exit 1; }
rm -f "$root.log"

if ls /usr/local/share/ca-certificates/*.crt >/dev/null 2>&1; then
  cp /usr/local/share/ca-certificates/*.crt "$root/usr/local/share/ca-certificates/"
  chroot "$root" update-ca-certificates >/dev/null 2>&1
fi
# What a container does not need, as in Debian's own slim images.
rm -rf "$root"/var/cache/apt/* "$root"/var/lib/apt/lists/* "$root"/var/log/* "$root"/usr/share/man/* \
  "$root"/usr/share/info/* "$root"/usr/share/locale/* "$root"/tmp/*
find "$root/usr/share/doc" -type f ! -name copyright -delete

tar -C "$root" -c . | docker import --change 'CMD ["python3"]' - "$image"
docker image inspect --format 'made {{index .RepoTags 0}}, {{.Size}} bytes' "$image"
