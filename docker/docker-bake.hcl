# docker buildx bake --file docker/docker-bake.hcl [TARGET...]; scripts/build_images.sh does it and fills VCS_REF.
variable "REGISTRY" {
  default = "trainyard" # the images' names begin with it
}
variable "TAG" {
  default = "dev"
}
variable "VCS_REF" {
  default = "unknown"
}
# sm_75 to sm_120; by digest, which two independent sources gave for this tag
variable "PYTORCH_BASE" {
  default = "nvcr.io/nvidia/pytorch:26.09-py3@sha256:6e8ccc607fc2a51e3741667b86316a0889418ba8b78ed0ba96e8d282b648a7a6"
}
variable "PADDLE_BASE" {
  default = "nvcr.io/nvidia/cuda:12.9.1-cudnn-runtime-ubuntu24.04"
}
variable "PADDLE_LEGACY_BASE" {
  default = "nvcr.io/nvidia/paddlepaddle:24.12-py3"
}

# The same images serve both cards; the legacy Paddle image has no kernels for sm_120.
group "default" {
  targets = ["lightning", "thai_ocr", "serve"]
}
group "a100" {
  targets = ["lightning", "thai_ocr", "thai_ocr-legacy"]
}
group "rtx5090" {
  targets = ["lightning", "thai_ocr"]
}

target "_common" {
  context   = "."
  platforms = ["linux/amd64"]
  args      = { VCS_REF = VCS_REF }
}

target "lightning" {
  name       = project
  matrix     = { project = ["imagenet_resnet", "khmer_ocr", "video_lstm", "voxceleb"] }
  inherits   = ["_common"]
  dockerfile = "docker/pytorch.Dockerfile"
  target     = "train"
  args       = { BASE_IMAGE = PYTORCH_BASE, PROJECT = project }
  tags       = ["${REGISTRY}/${project}:${TAG}"]
}

target "thai_ocr" {
  inherits   = ["_common"]
  dockerfile = "docker/paddle.Dockerfile"
  target     = "train"
  args       = { BASE_IMAGE = PADDLE_BASE, PROJECT = "thai_ocr" }
  tags       = ["${REGISTRY}/thai_ocr:${TAG}"]
}

target "thai_ocr-legacy" {
  inherits = ["thai_ocr"]
  args     = { BASE_IMAGE = PADDLE_LEGACY_BASE, PADDLE_SPEC = "" }
  tags     = ["${REGISTRY}/thai_ocr:${TAG}-legacy"]
}

target "serve" {
  inherits   = ["_common"]
  dockerfile = "docker/paddle.Dockerfile"
  target     = "serve"
  args       = { BASE_IMAGE = PADDLE_BASE }
  tags       = ["${REGISTRY}/serve:${TAG}"]
}
