#!/usr/bin/env bash
# Build the image and run an experiment in it where no Docker engine runs: buildah with chroot isolation, as root, on
# Debian (apt-get install buildah debootstrap). Usage: deploy/rehearse.sh [parameters; default dry_run]
# Pip inside the build knows nothing of this machine: its configuration, certificates and folders of wheels, where it
# needs them, are given in REHEARSAL_MOUNTS (host:container:ro, separated by blanks), arguments of the Dockerfile in
# REHEARSAL_BUILD_ARGS (name=value). REHEARSAL_STORAGE=vfs is for a disk that cannot be overlaid, and copies the image
# once per instruction: 40 GB instead of 3. The variables MACHINE_* of docs/deploy.md reach the run inside.
set -euo pipefail
cd "$(dirname "$0")/.."
params=${1:-dry_run}
place=${REHEARSAL_FOLDER:-/tmp/rehearsal}
suite=${REHEARSAL_SUITE:-bookworm}
mirror=${REHEARSAL_MIRROR:-http://deb.debian.org/debian}
storage=${REHEARSAL_STORAGE:-overlay}
buildah() { command buildah --storage-driver "$storage" --root "$place/images" --runroot "$place/run" "$@"; }

mkdir -p "$place"
if [ ! -e "$place/base/usr/bin/python3" ]; then
    debootstrap --variant=minbase --include=ca-certificates,python3,python3-venv,python3-pip \
        "$suite" "$place/base" "$mirror" >"$place/debootstrap.log"
fi
if ! buildah images --quiet localhost/base >/dev/null 2>&1; then
    container=$(buildah from scratch)
    buildah add --quiet "$container" "$place/base" / >/dev/null
    buildah commit --quiet "$container" localhost/base >/dev/null
    buildah rm "$container" >/dev/null
fi

mounts=()
for mount in ${REHEARSAL_MOUNTS:-}; do mounts+=(-v "$mount"); done
build_arguments=()
for argument in ${REHEARSAL_BUILD_ARGS:-}; do build_arguments+=(--build-arg "$argument"); done
buildah bud --isolation chroot --format docker --pull-never --layers -f Dockerfile -t universal_simulator "${mounts[@]}" \
    --build-arg BASE_IMAGE=localhost/base --build-arg KEDRO_UID="$(id -u)" --build-arg KEDRO_GID="$(id -g)" \
    --build-arg GIT_COMMIT="$(git rev-parse HEAD)" "${build_arguments[@]}" .

# As `kedro docker run` mounts it, for a user who is not root.
mkdir -p "$place/data"
chown 999 "$place/data"
container=$(buildah from --pull-never localhost/universal_simulator)
trap 'buildah rm "$container" >/dev/null' EXIT
entry=$(buildah inspect --type image --format '{{range .OCIv1.Config.Entrypoint}}{{.}} {{end}}' \
    localhost/universal_simulator)
variables=()
for name in "${!MACHINE_@}"; do variables+=(--env "$name=${!name}"); done
# shellcheck disable=SC2086  # the entry point is several words
buildah run --isolation chroot -v "$place/data:/home/kedro_docker/data" "${variables[@]}" "$container" -- \
    $entry kedro run --pipeline=full "--params=$params"
