#!/usr/bin/env bash
# Build the real Dockerfiles on stand-ins for NVIDIA's images and run what is in them; no Docker engine, no registry.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."

if [[ ${1:-} == -* || $# -gt 1 ]]; then
    cat <<'TEXT'
Build docker/*.Dockerfile, unmodified, with buildah in chroot isolation, and run the results as uid 10001.

  scripts/try_images.sh [FOLDER]     as root on Debian or Ubuntu, with buildah and debootstrap; minutes; FOLDER is
                                     where the stand-in's files are kept (default /var/tmp/trainyard-images)

The stand-in for the PyTorch image is Debian with what that image sets (environment, entrypoint, pip constraint,
uid 1000 taken) and a CPU build of torch whose metadata call it NVIDIA's version. It proves the build, the pins, the
user and that training and the server run; it proves nothing about CUDA or NVIDIA's layers.
WHEELS=FOLDER offers pip the wheels of a folder, such as a CPU build of torch.
TEXT
    exit 0
fi

KEPT=${1:-/var/tmp/trainyard-images}
NGC_TORCH=2.14.0a0+b2c75dd062.nv26.9
PYTORCH=nvcr.io/nvidia/pytorch:26.09-py3 CUDA=nvcr.io/nvidia/cuda:12.9.1-cudnn-runtime-ubuntu24.04
WHEELS=${WHEELS:-$KEPT/wheels}
export BUILDAH_ISOLATION=chroot
NUMBER=0

step() { NUMBER=$((NUMBER + 1)) && echo "[$NUMBER] $*"; }
fail() { echo "error: $1 ($2): $3" >&2 && exit 2; }
in_container() { buildah run --volume "$WHEELS:/opt/wheels:ro" "$@"; }
build() { buildah build --format docker --pull=never --layers --quiet --volume "$WHEELS:/opt/wheels:ro" "$@"; }

[[ $EUID == 0 ]] || fail "must be root" "id -u" "run it with sudo or in a virtual machine"
for tool in buildah debootstrap; do
    command -v "$tool" >/dev/null || fail "$tool is not installed" "$tool" "apt-get install buildah debootstrap"
done
mkdir -p "$WHEELS"

make_cuda() {
    if [[ ! -e $KEPT/rootfs/usr/bin/python3 ]]; then
        debootstrap --variant=minbase --include=python3,python3-pip,python3-venv,ca-certificates bookworm "$KEPT/rootfs" \
            http://deb.debian.org/debian >"$KEPT/debootstrap.log"
    fi
    # what this host trusts and where it finds packages
    cp /etc/ssl/certs/ca-certificates.crt "$KEPT/rootfs/etc/ssl/certs/"
    printf '[global]\ncert = /etc/ssl/certs/ca-certificates.crt\nfind-links = /opt/wheels\n' >"$KEPT/rootfs/etc/pip.conf"
    local container
    container=$(buildah from scratch)
    buildah add --quiet "$container" "$KEPT/rootfs" / >/dev/null
    in_container "$container" useradd --uid 1000 --user-group ubuntu
    buildah config --env PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin "$container"
    buildah commit --quiet --rm "$container" "$CUDA" >/dev/null
}

make_pytorch() {
    local container site
    container=$(buildah from --pull=never "$CUDA")
    in_container "$container" pip install --quiet --break-system-packages \
        torch==2.13.0+cpu numpy==2.3.5 pyyaml==6.0.2 'setuptools>=77.0.3'
    site=$(in_container "$container" python3 -c 'import torch; print(torch.__path__[0].rsplit("/", 1)[0])')
    in_container "$container" sh -c "cd $site && sed -i 's/^Version: .*/Version: $NGC_TORCH/' torch-*.dist-info/METADATA \
        && mv torch-*.dist-info torch-$NGC_TORCH.dist-info && sed -i \"s/^__version__ = .*/__version__ = '$NGC_TORCH'/\" torch/version.py"
    in_container "$container" sh -c "mkdir -p /etc/pip /opt/nvidia /workspace \
        && printf 'torch==$NGC_TORCH\nnumpy==2.3.5\n' > /etc/pip/constraint.txt \
        && printf '#!/bin/bash\necho \"== PyTorch ==\"\nexec \"\$@\"\n' > /opt/nvidia/nvidia_entrypoint.sh \
        && chmod 755 /opt/nvidia/nvidia_entrypoint.sh"
    buildah config --env PIP_CONSTRAINT=/etc/pip/constraint.txt --env PIP_BREAK_SYSTEM_PACKAGES=1 \
        --env TORCH_ALLOW_TF32_CUBLAS_OVERRIDE=1 --env PROTOCOL_BUFFERS_PYTHON_IMPLEMENTATION=python \
        --env TORCH_CUDA_ARCH_LIST="7.5 8.0 8.6 9.0 10.0 12.0+PTX" --workingdir /workspace \
        --entrypoint '["/opt/nvidia/nvidia_entrypoint.sh"]' "$container"
    buildah commit --quiet --rm "$container" "$PYTORCH" >/dev/null
}

# The image's user, command and labels, as docker inspect would show them.
assert_config() {
    buildah inspect --type image "$1" | python3 -c '
import json, sys
config = json.load(sys.stdin)["Docker"]["config"]
assert config["User"] == "10001:10001", config["User"]
assert config["Labels"]["org.opencontainers.image.licenses"] == "Apache-2.0"
assert bool(config.get("Healthcheck")) == (sys.argv[1] == "serve"), config.get("Healthcheck")
print("    user", config["User"], "| entrypoint", config.get("Entrypoint"), "| health check", bool(config.get("Healthcheck")))
' "$2"
}

try_pytorch() {
    local container
    step "pytorch.Dockerfile on the stand-in"
    build --build-arg BASE_IMAGE=$PYTORCH --file docker/pytorch.Dockerfile --target train --tag trainyard/try-pytorch .
    assert_config trainyard/try-pytorch train
    step "imagenet_resnet: one epoch on digits as uid 10001"
    container=$(buildah from --pull=never trainyard/try-pytorch)
    buildah run "$container" -- /opt/nvidia/nvidia_entrypoint.sh /bin/bash -c "export OMP_NUM_THREADS=1; id -u | grep -qx 10001 \
        && python3 -c 'import torch; assert torch.__version__ == \"$NGC_TORCH\", torch.__version__' \
        && ! touch shared/written 2>/dev/null \
        && python3 projects/imagenet_resnet/train.py trainer.max_epochs=1 model.depth=18 run_dir=/opt/trainyard/runs/try logger=csv \
        && grep -q '\"status\": \"completed\"' runs/try/summary.json"
    buildah rm "$container" >/dev/null
}

try_refusal() {
    local context
    step "a dependency that would replace torch must fail the build"
    context=$(mktemp -d)
    cp --recursive docker pyproject.toml constraints .dockerignore "$context"
    sed --in-place 's/^  "torch>=2.6",/  "torch>=2.6",\n  "torchmetrics", "torch==2.13.0", /' "$context/pyproject.toml"
    sed --in-place 's/--without torch,/--without /' "$context/docker/pytorch.Dockerfile"
    if build --build-arg BASE_IMAGE=$PYTORCH --file "$context/docker/pytorch.Dockerfile" --target deps "$context" \
        >"$KEPT/refusal.log" 2>&1; then
        fail "the build went through" docker/pytorch.Dockerfile "see $KEPT/refusal.log"
    fi
    grep -E 'conflict|ResolutionImpossible|error:' "$KEPT/refusal.log" | head -n 3 | sed 's/^/    /'
    rm -r "$context"
}

try_serve() {
    local container
    step "paddle.Dockerfile, target serve"
    build --build-arg BASE_IMAGE=$CUDA --file docker/paddle.Dockerfile --target serve --tag trainyard/try-serve .
    assert_config trainyard/try-serve serve
    step "the server answers its health check"
    container=$(buildah from --pull=never trainyard/try-serve)
    buildah run "$container" -- /bin/bash -c '
        python scripts/serve.py language=khmer port=8017 & server=$!
        for _ in $(seq 60); do
            sleep 1
            python -c "import urllib.request as r; print(r.urlopen(\"http://127.0.0.1:8017/healthz\", timeout=4).status)" \
                2>/dev/null && kill $server && wait $server; [[ $? == 0 ]] && exit 0
        done; exit 1'
    buildah rm "$container" >/dev/null
}

try_paddle() {
    local container
    step "paddle.Dockerfile, target train, with Paddle's CPU wheel in place of cu129's"
    build --build-arg BASE_IMAGE=$CUDA --build-arg PADDLE_SPEC=paddlepaddle==3.2.2 \
        --build-arg PADDLE_INDEX=https://pypi.org/simple --file docker/paddle.Dockerfile --target train \
        --tag trainyard/try-paddle .
    assert_config trainyard/try-paddle train
    container=$(buildah from --pull=never trainyard/try-paddle)
    buildah run "$container" -- /bin/bash -c 'export OMP_NUM_THREADS=1
        python projects/thai_ocr/train.py hardware=cpu trainer.max_epochs=1 data.count=32 data.val_count=8 \
            effective_batch_size=8 logger=csv run_dir=/opt/trainyard/runs/try'
    buildah rm "$container" >/dev/null
}

step "stand-ins for $CUDA and $PYTORCH"
buildah inspect --type image "$CUDA" >/dev/null 2>&1 || make_cuda
buildah inspect --type image "$PYTORCH" >/dev/null 2>&1 || make_pytorch
try_pytorch
try_refusal
if [[ -e scripts/serve.py ]]; then try_serve; else echo "not tried: serve (no scripts/serve.py)"; fi
if [[ -e projects/thai_ocr/train.py ]]; then try_paddle; else echo "not tried: thai_ocr (no projects/thai_ocr/train.py)"; fi
echo "ok"
