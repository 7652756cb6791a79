"""What a checkpoint holds: named tensors, still on disk, and plain values."""

from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np


@dataclass(frozen=True)
class Tensor:
    """A tensor by name; `data` is its numbers as they lie in the file (flat, not copied), None where absent.

    `strides` count elements; without them the numbers lie in the order of the shape.
    """

    name: str
    dtype: str
    shape: tuple[int, ...]
    data: np.ndarray | None
    strides: tuple[int, ...] = ()

    @property
    def array(self) -> np.ndarray | None:
        """The numbers in their shape, not copied; bfloat16 widened to float32. None where the file is cut short."""
        if self.data is None or self.numel == 0:
            return None
        steps = tuple(step * self.data.itemsize for step in self.strides or _contiguous(self.shape))
        span = (
            1 + sum((n - 1) * step for n, step in zip(self.shape, steps, strict=True)) // self.data.itemsize
        )
        if self.data.size < span or min(steps, default=0) < 0:
            return None
        array = np.lib.stride_tricks.as_strided(self.data, self.shape, steps, writeable=False)
        return (array.astype(np.uint32) << 16).view(np.float32) if self.dtype == "bfloat16" else array

    @property
    def numel(self) -> int:
        return int(np.prod(self.shape, dtype=np.int64))

    @property
    def role(self) -> str:
        """`moment` of an optimizer, `buffer` of a normalisation layer, else `weight`."""
        head = self.name.lower()
        if head.startswith(("optim", "callbacks", "lr_sched", "loops", "scaler", "amp", "rng")):
            return "moment" if head.startswith("optim") else "other"
        if head.rpartition(".")[2] in (
            "running_mean",
            "running_var",
            "num_batches_tracked",
            "_mean",
            "_variance",
        ):
            return "buffer"
        return "weight"


def _contiguous(shape: tuple[int, ...]) -> tuple[int, ...]:
    """Strides, in elements, of numbers that lie in the order of their shape."""
    return tuple(int(np.prod(shape[at + 1 :], dtype=np.int64)) for at in range(len(shape)))


@dataclass
class Checkpoint:
    """The tensors in file order, and every other leaf of the file by its dotted path."""

    path: Path
    tensors: list[Tensor] = field(default_factory=list)
    values: dict[str, Any] = field(default_factory=dict)

    @property
    def model(self) -> list[Tensor]:
        """Weights and buffers, of the model itself where an averaged copy lies beside it."""
        own = [t for t in self.tensors if t.role in ("weight", "buffer")]
        tops = {t.name.split(".")[0] for t in own}
        for main in ("state_dict", "model_state_dict", "model", "net", "network", "module"):
            if main in tops:
                return [t for t in own if t.name.startswith(main + ".")]
        return own

    @property
    def parameters(self) -> int:
        return sum(t.numel for t in self.model if t.role == "weight")
