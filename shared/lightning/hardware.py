"""What `hardware` asks of torch: fp32 precision, share of the memory, layout, compilation, fused optimizers."""

from typing import Any

import torch
from omegaconf import DictConfig
from torch import nn


def prepare_model(model: nn.Module, hardware: DictConfig) -> nn.Module:
    """Precision, memory format and compilation; state-dict names stay as they are."""
    set_tf32(hardware.tf32)
    if hardware.channels_last:
        model = model.to(memory_format=torch.channels_last)
    if hardware.compile:
        model.compile(mode="default" if hardware.compile is True else hardware.compile)
    return model


def set_tf32(allowed: bool) -> None:
    """TF32 for matrix products and convolutions alike; without a word from us torch uses it for the latter alone.

    These two settings and no others: Lightning and the compiler ask for them, and after the newer `fp32_precision`
    was set, asking raises (torch 2.9 to 2.13).
    """
    torch.set_float32_matmul_precision("high" if allowed else "highest")
    torch.backends.cudnn.allow_tf32 = bool(allowed)


def limit_memory(device: torch.device, fraction: float) -> None:
    """Out of memory beyond this share of the GPU, so that a desktop or another process keeps the rest."""
    if device.type == "cuda" and fraction < 1:
        torch.cuda.set_per_process_memory_fraction(fraction, device)


def optimizer_arguments(hardware: DictConfig) -> dict[str, Any]:
    """`fused`: the update of all parameters in one kernel."""
    return {"fused": True} if hardware.fused else {}


def describe(hardware: DictConfig, device: torch.device, precision: str) -> str:
    """The settings in words, for the log."""
    name = torch.cuda.get_device_name(device) if device.type == "cuda" else device.type
    wanted = {
        "channels_last": hardware.channels_last,
        "TF32": hardware.tf32,
        "fused optimizer": hardware.fused,
    }
    compiled = [f"compiled ({hardware.compile})"] if hardware.compile else []
    return ", ".join([name, precision, *(word for word, on in wanted.items() if on), *compiled])
