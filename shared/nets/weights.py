"""Weights files of ResNets: official state dicts, and checkpoints of ours."""

import logging
import pickle
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from shared.errors import UserError
from shared.nets.resnet import ResNet

log = logging.getLogger(__name__)

WHERE = "model.weights"
CLASSIFIER = ("fc.weight", "fc.bias")


def load_weights(model: ResNet, path: Path) -> None:
    """Copy a file's weights into `model`; a classifier of other classes, or where there is none, is left out."""
    given, expected = read_state_dict(path), model.state_dict()
    fits = {key for key in given.keys() & expected.keys() if given[key].shape == expected[key].shape}
    fresh = [key for key in CLASSIFIER if key not in fits]
    loaded = {key: value for key, value in given.items() if key not in fresh}
    misfits = [
        key
        for key in loaded.keys() | expected.keys() - set(fresh)
        if not key.endswith("num_batches_tracked")  # absent from files older than torch 0.4.1
        and key not in fits
    ]
    if misfits:
        raise UserError(
            f"{path} does not fit this network: {len(misfits)} tensors differ, such as {min(misfits)}",
            WHERE,
            "give weights of the same model.depth",
        )
    model.load_state_dict(loaded, strict=False)
    log.info("%s: loaded %d tensors from %s", WHERE, len(loaded), path)
    for key in sorted(expected.keys() & set(fresh)):
        log.warning("%s: not loaded, left fresh: %s %s", WHERE, key, tuple(expected[key].shape))


def read_state_dict(path: Path) -> dict[str, Tensor]:
    """Tensors by name: of a bare state dict, or of the network in a training checkpoint, averaged where it has them."""
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
    return network | content.get("ema", {}) if network else state
