# syntax=docker/dockerfile:1.7
# thai_ocr on CUDA 12.9 with Paddle's cu129 wheels, the ones with kernels for sm_80 (A100) and sm_120 (RTX 5090), and
# the server, which needs neither Paddle nor a GPU. NVIDIA's own Paddle image is kept as a target for the A100 alone:
# its last tag is 24.12, CUDA 12.6, which cannot compile for sm_120 (see docker/README.md).
ARG BASE_IMAGE=nvcr.io/nvidia/cuda:12.9.1-cudnn-runtime-ubuntu24.04

FROM ${BASE_IMAGE} AS python
SHELL ["/bin/bash", "-o", "pipefail", "-c"]
# hadolint ignore=DL3008
RUN --mount=type=cache,target=/var/cache/apt,sharing=locked \
    --mount=type=cache,target=/var/lib/apt,sharing=locked \
    apt-get update \
    && DEBIAN_FRONTEND=noninteractive apt-get install --yes --no-install-recommends \
       libfribidi0 libgl1 libglib2.0-0 libgomp1 python3 python3-venv
RUN python3 -m venv --system-site-packages /opt/venv \
    && groupadd --gid 10001 trainyard \
    && useradd --uid 10001 --gid 10001 --create-home --shell /bin/bash trainyard \
    && install --directory --owner 10001 --group 10001 /opt/trainyard/runs /opt/trainyard/data
ENV PATH=/opt/venv/bin:${PATH} \
    NO_ALBUMENTATIONS_UPDATE=1 \
    PYTHONUNBUFFERED=1 \
    WANDB_MODE=offline
COPY docker/requirements.py pyproject.toml constraints/cpu-py311.txt /opt/build/
WORKDIR /opt/trainyard

FROM python AS train
SHELL ["/bin/bash", "-o", "pipefail", "-c"]
# PADDLE_SPEC="" keeps the Paddle of the base image
ARG PADDLE_SPEC=paddlepaddle-gpu==3.2.2
ARG PADDLE_INDEX=https://www.paddlepaddle.org.cn/packages/stable/cu129/
ARG EXTRAS=paddle,wandb,sftp,sweeps
ARG MAY_REPLACE=""
# hadolint ignore=DL3013
RUN --mount=type=cache,target=/root/.cache/pip,sharing=locked \
    python /opt/build/requirements.py plan --extras "${EXTRAS}" --may-replace "${MAY_REPLACE}" \
       --without torch,lightning,torchmetrics,paddlepaddle,ray,submitit \
    && if [ -n "${PADDLE_SPEC}" ]; then \
        pip install --extra-index-url "${PADDLE_INDEX}" --constraint /opt/build/constraints.txt "${PADDLE_SPEC}"; \
    fi \
    && pip install --requirement /opt/build/requirements.txt --constraint /opt/build/constraints.txt \
    && python /opt/build/requirements.py verify
ARG PROJECT=thai_ocr
ARG VCS_REF=unknown
ARG VERSION=0.1.0
LABEL org.opencontainers.image.title="trainyard/${PROJECT}" \
      org.opencontainers.image.description="Training of ${PROJECT}" \
      org.opencontainers.image.version="${VERSION}" \
      org.opencontainers.image.revision="${VCS_REF}" \
      org.opencontainers.image.licenses="Apache-2.0"
ENV PROJECT=${PROJECT}
COPY pyproject.toml README.md LICENSE THIRD_PARTY.md ./
COPY assets assets
COPY conf conf
COPY hydra_plugins hydra_plugins
COPY scripts scripts
COPY shared shared
COPY projects/__init__.py projects/
COPY projects/${PROJECT} projects/${PROJECT}
USER 10001:10001
CMD ["/bin/bash", "-c", "exec python projects/${PROJECT}/train.py"]

FROM python AS serve
SHELL ["/bin/bash", "-o", "pipefail", "-c"]
RUN --mount=type=cache,target=/root/.cache/pip,sharing=locked \
    python /opt/build/requirements.py plan --extras serve --without torch,lightning,torchmetrics,tensorboard,scikit-learn \
    && pip install --requirement /opt/build/requirements.txt --constraint /opt/build/constraints.txt \
    && python /opt/build/requirements.py verify
ARG VCS_REF=unknown
ARG VERSION=0.1.0
LABEL org.opencontainers.image.title="trainyard/serve" \
      org.opencontainers.image.description="Text recognition over HTTP" \
      org.opencontainers.image.version="${VERSION}" \
      org.opencontainers.image.revision="${VCS_REF}" \
      org.opencontainers.image.licenses="Apache-2.0"
ENV LANGUAGE=thai
COPY pyproject.toml README.md LICENSE THIRD_PARTY.md ./
COPY assets assets
COPY conf conf
COPY shared shared
COPY projects projects
COPY scripts/serve.py scripts/serve.py
EXPOSE 8000
USER 10001:10001
HEALTHCHECK --interval=15s --timeout=5s --start-period=60s --retries=3 \
    CMD ["python", "-c", "import urllib.request as r; r.urlopen('http://127.0.0.1:8000/healthz', timeout=4)"]
CMD ["/bin/bash", "-c", "exec python scripts/serve.py language=${LANGUAGE} host=0.0.0.0 port=8000"]
