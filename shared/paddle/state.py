"""What a Paddle run's checkpoint holds: arrays and plain values, under names that do not change with the process."""

from typing import Any

import numpy as np
import paddle
from paddle import Tensor, nn

MASTERS = "master_weights"


def array(tensor: Tensor) -> np.ndarray:
    """The tensor's numbers; bfloat16, which NumPy lacks, as float32."""
    return tensor.astype("float32").numpy() if tensor.dtype == paddle.bfloat16 else tensor.numpy()


def arrays(tensors: dict[str, Tensor]) -> dict[str, np.ndarray]:
    return {name: array(tensor) for name, tensor in tensors.items()}


def optimizer_state(optimizer: paddle.optimizer.Optimizer, model: nn.Layer) -> dict[str, np.ndarray]:
    """Moments by `<parameter>::<moment>`; Paddle numbers its own names through the process."""
    own, state = optimizer.state_dict(), {}
    masters = own.pop(MASTERS, {})
    for name, parameter in named(model):
        if parameter.name in masters:
            state[f"{name}::{MASTERS}"] = array(masters[parameter.name])
        for key in [key for key in own if key.startswith(f"{parameter.name}_")]:
            state[f"{name}::{key[len(parameter.name) + 1 :]}"] = array(own.pop(key))
    return state


def set_optimizer_state(
    optimizer: paddle.optimizer.Optimizer, model: nn.Layer, state: dict[str, np.ndarray]
) -> None:
    """Give a fresh or a used optimizer the moments that `optimizer_state` returned."""
    own: dict[str, Any] = {}
    for name, parameter in named(model):
        for key in [key for key in state if key.startswith(f"{name}::")]:
            kind, value = key.removeprefix(f"{name}::"), paddle.to_tensor(state[key])
            if kind == MASTERS:
                own.setdefault(MASTERS, {})[parameter.name] = value
            else:
                value.name = own_name = f"{parameter.name}_{kind}"
                own[own_name] = value
    optimizer.set_state_dict(own)


def named(model: nn.Layer) -> list[tuple[str, Tensor]]:
    """Parameters by name, longest of Paddle's own names first: one may begin with another."""
    return sorted(model.named_parameters(), key=lambda each: -len(each[1].name))


def non_finite(tensors: dict[str, Tensor]) -> list[str]:
    """Names of the floating-point tensors that hold NaN or inf; sums first, for the price of one wait."""
    floating = {name: t for name, t in tensors.items() if t.is_floating_point()}
    if not floating:
        return []
    sums = paddle.stack([t.astype("float32").sum() for t in floating.values()]).numpy()
    suspects = [name for name, total in zip(floating, sums, strict=True) if not np.isfinite(total)]
    return [name for name in suspects if not np.isfinite(array(floating[name])).all()]
