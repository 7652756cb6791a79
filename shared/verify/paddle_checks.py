"""Paddle on the GPU: python -m shared.verify.paddle_checks gpu|cpu; one JSON line for each check."""

import sys

import paddle
from paddle.nn import functional as F

from shared.verify import checks
from shared.verify.checks import Check, Skipped

TOLERANCE = 1e-4  # of float32; convolutions by Winograd's algorithm lose a digit
OTHER_BUILD = (
    "use the image of docker/paddle.Dockerfile: paddlepaddle-gpu 3.2.1 or newer from the cu129 index; "
    "cu126 and NVIDIA's 24.12 image have no kernels for sm_120"
)


def build() -> str:
    version = paddle.__version__
    if not paddle.is_compiled_with_cuda() or not paddle.device.cuda.device_count():
        raise RuntimeError(f"Paddle {version} sees no GPU (built for CUDA: {paddle.version.cuda()})")
    capability = paddle.device.cuda.get_device_capability()
    archs = [f"sm_{number}" for number in getattr(paddle.version, "cuda_archs", list)()]
    if archs and not checks.supports(capability, archs):
        raise RuntimeError(
            f"Paddle {version} has no kernels for sm_{capability[0]}{capability[1]}, only {' '.join(archs)}"
        )
    return f"Paddle {version}, CUDA {paddle.version.cuda()}, {' '.join(archs) or 'architectures not told'}"


def matmul() -> str:
    a, b, expected = checks.matmul_case()
    return checks.close((paddle.to_tensor(a) @ paddle.to_tensor(b)).numpy(), expected, TOLERANCE)


def convolution() -> str:
    image, kernel, expected = checks.convolution_case()
    return checks.close(
        F.conv2d(paddle.to_tensor(image), paddle.to_tensor(kernel)).numpy(), expected, TOLERANCE
    )


def ctc() -> str:
    logits, labels, value, gradient = checks.ctc_case()
    given = paddle.to_tensor(logits, stop_gradient=False)
    frames, length = (paddle.full([checks.SAMPLES], n, "int64") for n in (checks.FRAMES, checks.LENGTH))
    loss = F.ctc_loss(given, paddle.to_tensor(labels, "int32"), frames, length, blank=0, reduction="sum")
    loss.backward()
    checks.close(loss.numpy().reshape(1), value, TOLERANCE)
    return "gradient " + checks.close(given.grad.numpy(), gradient, 1e-3)


def bf16() -> str:
    a, b, expected = checks.matmul_case()
    with paddle.amp.auto_cast(dtype="bfloat16", level="O1"):
        found = paddle.to_tensor(a) @ paddle.to_tensor(b)
    if found.dtype != paddle.bfloat16:
        raise Skipped("this device computes in float32 whatever is asked")
    return checks.close(found.astype("float32").numpy(), expected, 2e-2)


def all_checks(device: str) -> list[Check]:
    works: list[Check] = [
        ("Paddle matmul", matmul, OTHER_BUILD),
        ("Paddle convolution", convolution, OTHER_BUILD),
        ("Paddle CTC", ctc, OTHER_BUILD),
        ("Paddle bf16", bf16, "train in float32"),
    ]
    return ([("Paddle build", build, OTHER_BUILD)] if device == "gpu" else []) + works


if __name__ == "__main__":
    paddle.set_device(sys.argv[1])
    checks.report(all_checks(sys.argv[1]))
