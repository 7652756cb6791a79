"""torch on the GPU: python -m shared.verify.torch_checks cuda|cpu [fast]; one JSON line for each check."""

import sys
import tempfile
from pathlib import Path

import numpy as np
import torch
from torch import nn

from shared.config.gpus import first_gpu
from shared.verify import checks
from shared.verify.checks import Check, Skipped

TOLERANCE = 1e-4  # of float32; convolutions by Winograd's algorithm lose a digit
OTHER_BUILD = "use the container image of docker/pytorch.Dockerfile, or a torch built with CUDA 12.8 or newer"


def build() -> str:
    if not torch.cuda.is_available():
        raise RuntimeError(f"torch {torch.__version__} sees no GPU (built for CUDA {torch.version.cuda})")
    capability, architectures = torch.cuda.get_device_capability(), torch.cuda.get_arch_list()
    if not checks.supports(capability, architectures):
        wanted = f"sm_{capability[0]}{capability[1]}"
        raise RuntimeError(
            f"torch {torch.__version__} has no kernels for {wanted}, only {' '.join(architectures)}"
        )
    return f"torch {torch.__version__}, CUDA {torch.version.cuda}, {' '.join(architectures)}"


def driver() -> str:
    if (gpu := first_gpu()) is None:
        raise Skipped("nvidia-smi does not answer")
    needed = checks.driver_enough(gpu.driver, torch.version.cuda or "", torch.cuda.get_device_capability())
    return f"{gpu.driver}, {needed} or newer is needed"


def matmul(device: str) -> str:
    a, b, expected = checks.matmul_case()
    found = torch.from_numpy(a).to(device) @ torch.from_numpy(b).to(device)
    return checks.close(found.cpu().numpy(), expected, TOLERANCE)


def convolution(device: str) -> str:
    image, kernel, expected = checks.convolution_case()
    layers = (
        torch.from_numpy(each).to(device, memory_format=torch.channels_last) for each in (image, kernel)
    )
    return checks.close(nn.functional.conv2d(*layers).cpu().numpy(), expected, TOLERANCE)


def ctc(device: str) -> str:
    logits, labels, value, gradient = checks.ctc_case()
    given = torch.from_numpy(logits).to(device).requires_grad_()
    frames, length = (torch.full((checks.SAMPLES,), n) for n in (checks.FRAMES, checks.LENGTH))
    log_probs, targets = given.log_softmax(2), torch.from_numpy(labels).to(device)
    loss = nn.functional.ctc_loss(log_probs, targets, frames, length, reduction="sum")
    loss.backward()
    checks.close(loss.detach().cpu().numpy()[None], value, TOLERANCE)
    return "gradient " + checks.close(given.grad.cpu().numpy(), gradient, 1e-3)


def bf16(device: str) -> str:
    a, b, expected = checks.matmul_case()
    with torch.autocast(device, torch.bfloat16):
        found = torch.from_numpy(a).to(device) @ torch.from_numpy(b).to(device)
    if found.dtype != torch.bfloat16:
        raise RuntimeError(f"autocast computed in {found.dtype}")
    return checks.close(found.float().cpu().numpy(), expected, 2e-2)


def compiled_step(device: str) -> str:
    """One step of a small network, compiled and not, must leave the same weights."""
    weights = []
    for compile_it in (False, True):
        torch.manual_seed(0)
        model = nn.Sequential(
            nn.Conv2d(3, 8, 3), nn.BatchNorm2d(8), nn.ReLU(), nn.Flatten(), nn.LazyLinear(5)
        )
        model.to(device)(torch.zeros(2, 3, 10, 10, device=device))
        optimizer = torch.optim.SGD(model.parameters(), 0.1, momentum=0.9, fused=True)
        if compile_it:
            model.compile()
        image = torch.from_numpy(checks.draw(4, 3, 10, 10)).to(device)
        nn.functional.cross_entropy(model(image), torch.arange(4, device=device)).backward()
        optimizer.step()
        weights.append(torch.cat([p.detach().flatten() for p in model.parameters()]).cpu().numpy())
    return "weights " + checks.close(weights[1], weights[0].astype(np.float64), 1e-4)


def one_rank(backend: str, device: str) -> str:
    with tempfile.TemporaryDirectory() as folder:
        store = torch.distributed.FileStore(str(Path(folder) / "store"), 1)
        torch.distributed.init_process_group(backend, store=store, rank=0, world_size=1)
        value = torch.ones(3, device=device)
        torch.distributed.all_reduce(value)
        torch.distributed.destroy_process_group()
    return f"{backend}, all-reduce of {value.sum().item():.0f} ones"


def all_checks(device: str, fast: bool) -> list[Check]:
    gpu = device == "cuda"
    broken = (
        "update the driver, then try the image of docker/pytorch.Dockerfile; if it stays, suspect the card"
    )
    start: list[Check] = [
        ("build", build, OTHER_BUILD),
        (
            "driver",
            driver,
            "update the driver: 580 or newer for CUDA 13, or use an image with CUDA 12 (docker/README.md)",
        ),
    ]
    works: list[Check] = [
        ("matmul", lambda: matmul(device), broken),
        ("convolution", lambda: convolution(device), broken),
        ("CTC", lambda: ctc(device), broken),
        ("bf16", lambda: bf16(device), "train with trainer.precision=32-true"),
        (
            "NCCL" if gpu else "gloo",
            lambda: one_rank("nccl" if gpu else "gloo", device),
            "train on one device",
        ),
    ]
    slow: Check = (
        "compiled step",
        lambda: compiled_step(device),
        "leave hardware.compile=false; it needs Triton and gcc",
    )
    return (start if gpu else []) + works + ([] if fast else [slow])


if __name__ == "__main__":
    torch.set_float32_matmul_precision("highest")
    torch.backends.cudnn.allow_tf32 = False
    checks.report(all_checks(sys.argv[1], "fast" in sys.argv))
