#!/usr/bin/env bash
# Builds the image without a Docker engine and uses it as a newcomer would.
#
#   docker/verify.sh                        base made by debootstrap from the mirror apt uses here
#   BASE=python:3.11-slim-bookworm docker/verify.sh     base pulled from a registry
#
# Needs root, buildah, curl and debootstrap. The image's own command runs as its own user, on a
# read-only root with /data as the only place to write, in a network of its own.
set -euo pipefail
cd "$(dirname "$0")/.."

MAX_BYTES=900000000
WORK=${WORK:-/var/tmp/face-image}   # kept: a later run takes the base from it
IMAGE=localhost/face:verify
buildah() { command buildah --storage-driver vfs --root "$WORK/storage" --runroot "$WORK/run" "$@"; }
say() { printf '\n== %s\n' "$*"; }

make_base() {
  local mirror root=$WORK/base
  mirror=$(apt-get indextargets --format '$(REPO_URI)' 'Created-By: Packages' 'Component: main' \
    | head -n 1)
  rm -rf "$root"
  debootstrap --variant=minbase --include=python3,python3-venv,ca-certificates \
    "$(. /etc/os-release && echo "$VERSION_CODENAME")" "$root" "$mirror" > "$WORK/debootstrap.log"
  # What slim images leave out too.
  rm -rf "$root"/var/cache/apt/* "$root"/var/lib/apt/lists/* "$root"/usr/share/{doc,man,locale}/*
  tar -C "$root" -cf "$root.tar" .
  local container
  container=$(buildah from scratch)
  buildah add --quiet "$container" "$root.tar" / > /dev/null
  buildah commit --quiet --rm "$container" "$BASE" > /dev/null
  rm -rf "$root" "$root.tar"
}

build() {
  if [ -z "${BASE:-}" ]; then
    BASE=localhost/face-base:latest
    buildah images --quiet "$BASE" > /dev/null 2>&1 || { say "base by debootstrap"; make_base; }
  fi
  say "build from $BASE"
  # The certificates of this machine, as its package mirror may be behind a proxy of its own.
  buildah bud --isolation chroot --format docker --build-arg "BASE=$BASE" \
    --volume /etc/ssl/certs:/etc/ssl/certs:ro --tag "$IMAGE" . > "$WORK/build.log" 2>&1 \
    || { tail -n 30 "$WORK/build.log"; exit 1; }
}

prove() {
  local container root
  container=$(buildah from "$IMAGE")
  # For a path that the image declares, buildah would put a volume of its own over ours.
  buildah config --volume /data- "$container"
  root=$(buildah mount "$container")
  # shellcheck disable=SC2064  # their values now
  trap "rm -rf '$WORK/data' '$WORK/pictures'; buildah rm '$container' > /dev/null" EXIT

  say "size"
  local bytes
  bytes=$(du --summarize --apparent-size --block-size=1 "$root" | cut -f1)
  echo "$((bytes / 1000000)) MB of $((MAX_BYTES / 1000000))"
  [ "$bytes" -le "$MAX_BYTES" ]
  compgen -G "$root/opt/face/lib/python3*/site-packages/torch" && exit 1

  # A new volume starts with what the image has there, and so with its owner.
  rm -rf "$WORK/data" && cp -a "$root/data" "$WORK/data"
  ip link set lo up
  WORK=$WORK CONTAINER=$container ROOT=$root python3 docker/newcomer.py
}

[ "$(id -u)" = 0 ] || { echo "docker/verify.sh needs root: chroot and mounts" >&2; exit 1; }
for tool in buildah curl debootstrap; do
  [ "$tool" = debootstrap ] && [ -n "${BASE:-}" ] && continue   # not needed then
  command -v "$tool" > /dev/null || { echo "docker/verify.sh needs $tool" >&2; exit 1; }
done
if [ "${1:-}" = inside ]; then
  prove
else
  mkdir -p "$WORK"
  build
  # Own mounts, processes and network: port 8000 is free there, and nothing is left behind.
  exec unshare --mount --net --pid --fork --kill-child --mount-proc "$0" inside
fi
