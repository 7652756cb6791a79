# syntax=docker/dockerfile:1.7
# The Lightning projects on NVIDIA's PyTorch image, whose torch has kernels for sm_80 (A100), sm_90 (H200) and sm_120
# (RTX 5090) and is never replaced. The host's driver must be 580 or newer; for older ones see docker/README.md.
ARG BASE_IMAGE=nvcr.io/nvidia/pytorch:26.09-py3@sha256:6e8ccc607fc2a51e3741667b86316a0889418ba8b78ed0ba96e8d282b648a7a6

FROM ${BASE_IMAGE} AS deps
SHELL ["/bin/bash", "-o", "pipefail", "-c"]
# hadolint ignore=DL3008
RUN --mount=type=cache,target=/var/cache/apt,sharing=locked \
    --mount=type=cache,target=/var/lib/apt,sharing=locked \
    apt-get update \
    && DEBIAN_FRONTEND=noninteractive apt-get install --yes --no-install-recommends libfribidi0
ARG EXTRAS=wandb,sftp,sweeps
ARG MAY_REPLACE=""
COPY docker/requirements.py pyproject.toml constraints/cpu-py311.txt /opt/build/
RUN --mount=type=cache,target=/root/.cache/pip,sharing=locked \
    python3 /opt/build/requirements.py plan --extras "${EXTRAS}" --may-replace "${MAY_REPLACE}" \
       --without torch,ray,submitit \
    && python3 -m pip install --requirement /opt/build/requirements.txt --constraint /opt/build/constraints.txt \
    && python3 /opt/build/requirements.py verify

FROM deps AS train
ARG PROJECT=imagenet_resnet
ARG VCS_REF=unknown
ARG VERSION=0.1.0
LABEL org.opencontainers.image.title="trainyard/${PROJECT}" \
      org.opencontainers.image.description="Training of ${PROJECT}" \
      org.opencontainers.image.version="${VERSION}" \
      org.opencontainers.image.revision="${VCS_REF}" \
      org.opencontainers.image.licenses="Apache-2.0"
ENV PROJECT=${PROJECT} \
    NO_ALBUMENTATIONS_UPDATE=1 \
    PYTHONUNBUFFERED=1 \
    WANDB_MODE=offline
RUN groupadd --gid 10001 trainyard \
    && useradd --uid 10001 --gid 10001 --create-home --shell /bin/bash trainyard \
    && install --directory --owner 10001 --group 10001 /opt/trainyard/runs /opt/trainyard/data
WORKDIR /opt/trainyard
COPY pyproject.toml README.md LICENSE THIRD_PARTY.md ./
COPY assets assets
COPY conf conf
COPY hydra_plugins hydra_plugins
COPY scripts scripts
COPY shared shared
COPY projects/__init__.py projects/
COPY projects/${PROJECT} projects/${PROJECT}
USER 10001:10001
CMD ["/bin/bash", "-c", "exec python3 projects/${PROJECT}/train.py"]
