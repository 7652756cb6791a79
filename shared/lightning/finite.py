"""Finds NaN and inf in many tensors for the price of a sum each and one host synchronisation."""

import math
from collections.abc import Mapping

import torch
from torch import Tensor


def total(tensor: Tensor) -> Tensor:
    """A 0-d fp32 sum on the tensor's device: NaN or inf if any element is, though a large finite sum may overflow."""
    return tensor.detach().sum(dtype=torch.float32)


def non_finite(tensors: Mapping[str, Tensor]) -> list[str]:
    """Names of the tensors that hold NaN or inf; suspicious sums are confirmed element by element."""
    floating = {name: tensor for name, tensor in tensors.items() if tensor.is_floating_point()}
    if not floating:
        return []
    device = next(iter(floating.values())).device
    totals = torch.stack([total(tensor).to(device) for tensor in floating.values()]).tolist()
    suspects = [name for name, value in zip(floating, totals, strict=True) if not math.isfinite(value)]
    return [name for name in suspects if not floating[name].isfinite().all()]
