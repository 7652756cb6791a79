"""Weights of torch networks, from files of any layout."""

from collections.abc import Callable, Collection
from pathlib import Path

import numpy as np
import torch
from torch import nn

from shared.checkpoints.network import check_fit, find_network, report

RESNET_CLASSIFIER = ("fc.weight", "fc.bias")


def load_weights(
    model: nn.Module,
    path: str | Path,
    classifier: Collection[str] = (),
    fixed: tuple[str, ...] = (),
    adapt: Callable[[str, np.ndarray], np.ndarray] | None = None,
) -> None:
    """Copy a file's weights into `model`, in the model's own precision, and log what was taken and what was not.

    The tensors of the `classifier` stay fresh where the file has none, or one of other classes. Those whose names
    begin with one of `fixed` are the same in every such network, and need not be in the file. `adapt(name, array)` may
    change the shape of a file's array. Raises UserError with the reason if the file holds no such network.
    """
    shapes = {name: tuple(tensor.shape) for name, tensor in model.state_dict().items()}
    network = find_network(Path(path).expanduser(), shapes.keys())
    if adapt is not None:
        network = network.adapted(adapt)
    needed = {name: shape for name, shape in shapes.items() if not name.startswith(fixed)}
    check_fit(network, needed, classifier)

    taken = {}
    for name, tensor in network.tensors.items():
        array = tensor.array if tensor.shape == shapes.get(name) else None
        if array is not None:
            taken[name] = torch.from_numpy(np.array(array))
    model.load_state_dict(taken, strict=False)
    report(network, taken.keys(), needed)
