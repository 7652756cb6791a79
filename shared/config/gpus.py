"""Which NVIDIA GPU this process would use, asked of the driver in milliseconds, without torch or Paddle."""

import os
import subprocess
from functools import lru_cache
from typing import NamedTuple

QUERY = ("name", "memory.total", "compute_cap", "driver_version")


class Gpu(NamedTuple):
    """`memory` in MiB; `capability` such as 8.0, `driver` such as 580.82.07."""

    name: str
    memory: int
    capability: str
    driver: str


def first_gpu() -> Gpu | None:
    """The first of CUDA_VISIBLE_DEVICES, else of all; None without a working driver or a GPU."""
    chosen = os.environ.get("CUDA_VISIBLE_DEVICES", "0").split(",")[0].strip()
    command = ["nvidia-smi", f"--query-gpu={','.join(QUERY)}", "--format=csv,noheader,nounits", "-i", chosen]
    try:
        lines = subprocess.run(
            command, capture_output=True, text=True, check=True, timeout=20
        ).stdout.splitlines()
        name, memory, capability, driver = (field.strip() for field in lines[0].split(","))
        return Gpu(name, int(memory), capability, driver)
    except (OSError, subprocess.SubprocessError, ValueError, IndexError):
        return None


def profile_of(gpu: Gpu | None) -> str:
    """The option of conf/hardware for this GPU: by its name, and by its memory where one name has several sizes."""
    if gpu is None:
        return "default"
    if "H100" in gpu.name or "H200" in gpu.name:
        return "h200"
    if "A100" in gpu.name:
        return "a100" if gpu.memory > 60_000 else "a100_40"
    if "RTX 5090" in gpu.name:
        return "rtx5090_laptop" if "Laptop" in gpu.name or gpu.memory < 28_000 else "rtx5090"
    return "default"


@lru_cache
def detected_profile() -> str:
    """What `hardware=auto` stands for here."""
    return profile_of(first_gpu())
