"""NaN and Inf in tensors on disk, at the speed of memory."""

from dataclasses import dataclass

import numpy as np

from shared.checkpoints.content import Checkpoint, Tensor


@dataclass(frozen=True)
class Bad:
    """A tensor with non-finite numbers, or a BatchNorm variance below zero."""

    tensor: Tensor
    count: int
    what: str = "non-finite"

    @property
    def words(self) -> str:
        return f"{self.tensor.name} ({self.count:,} of {self.tensor.numel:,} {self.what})"


def is_finite(tensor: Tensor) -> bool:
    """One pass: a finite sum proves it, and only an overflowing one has to be looked at again."""
    data = tensor.data
    if data is None or not data.size or (data.dtype.kind not in "fc" and tensor.dtype != "bfloat16"):
        return True
    if data.dtype.itemsize == 2:  # the exponent's bits are all ones
        mask = 0x7F80 if tensor.dtype == "bfloat16" else 0x7C00
        bits = data.view(np.uint16)
        return not bool(((bits & mask) == mask).any())
    with np.errstate(all="ignore"):
        return bool(np.isfinite(np.add.reduce(data))) or bool(np.isfinite(data).all())


def count_bad(tensor: Tensor) -> int:
    if tensor.dtype == "bfloat16":
        return int(((tensor.data & 0x7F80) == 0x7F80).sum())
    return int((~np.isfinite(tensor.data)).sum())


def bad_tensors(checkpoint: Checkpoint, first_only: bool = False) -> list[Bad]:
    """Weights, buffers and moments that are not finite, in the model's own order."""
    found = []
    for tensor in checkpoint.tensors:
        if not is_finite(tensor):
            found.append(Bad(tensor, count_bad(tensor)))
        elif tensor.name.endswith(("running_var", "_variance")) and tensor.data is not None:
            negative = int((tensor.data < 0).sum())
            if negative:
                found.append(Bad(tensor, negative, "negative"))
        if first_only and found:
            break
    return found
