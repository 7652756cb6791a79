"""The ResNet of this project, fresh or from a weights file."""

import logging
import pickle
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from shared.errors import UserError
from shared.nets.resnet import STAGES, ResNet

log = logging.getLogger(__name__)

WHERE = "model.weights"
CLASSIFIER = ("fc.weight", "fc.bias")


def resnet(
    depth: int = 50,
    num_classes: int = 1000,
    blurpool: bool = False,
    zero_init_residual: bool = False,
    weights: str | None = None,
) -> ResNet:
    """A ResNet for images (N, 3, H, W); `weights` is an official state dict or a checkpoint of ours."""
    if depth not in STAGES:
        raise UserError(f"no ResNet-{depth}", "model.depth", f"choose one of {', '.join(map(str, STAGES))}")
    model = ResNet(depth, num_classes, blurpool, zero_init_residual)
    if weights is not None:
        load_weights(model, Path(weights).expanduser())
    return model


def load_weights(model: ResNet, path: Path) -> None:
    """Copy a file's weights into `model`; only a classifier of other classes may stay fresh."""
    given, expected = read_state_dict(path), model.state_dict()
    fresh = [key for key in CLASSIFIER if key not in given or given[key].shape != expected[key].shape]
    loaded = {key: value for key, value in given.items() if key not in fresh}
    misfits = [
        key
        for key in loaded.keys() | expected.keys() - set(fresh)
        if not key.endswith("num_batches_tracked")  # absent from files older than torch 0.4.1
        and (key not in loaded or key not in expected or loaded[key].shape != expected[key].shape)
    ]
    if misfits:
        raise UserError(
            f"{path} does not fit this network: {len(misfits)} tensors differ, such as {min(misfits)}",
            WHERE,
            "give weights of the same model.depth",
        )
    model.load_state_dict(loaded, strict=False)
    log.info("%s: loaded %d tensors from %s", WHERE, len(loaded), path)
    for key in fresh:
        log.warning("%s: not loaded, left fresh: %s %s", WHERE, key, tuple(expected[key].shape))


def read_state_dict(path: Path) -> dict[str, Tensor]:
    """Tensors by name: of a bare state dict, or of the network inside a training checkpoint."""
    if not path.is_file():
        raise UserError(f"no file {path}", WHERE, "give the path of a .pth or .ckpt file, or null")
    try:
        content: Any = torch.load(path, map_location="cpu", weights_only=True)
    except (pickle.UnpicklingError, RuntimeError, EOFError, ValueError, KeyError) as error:
        raise UserError(
            f"{path} holds no weights that are safe to load", WHERE, "give a state dict"
        ) from error
    state = content.get("state_dict", content) if isinstance(content, dict) else {}
    state = {key: value for key, value in state.items() if isinstance(value, Tensor)}
    network = {key.removeprefix("model."): value for key, value in state.items() if key.startswith("model.")}
    if not state:
        raise UserError(f"{path} holds no state dict", WHERE, "give a state dict or a checkpoint of ours")
    return network or state
