"""Weights files: published speaker networks, our checkpoints, bare state dicts."""

import logging
import pickle
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from shared.errors import UserError

log = logging.getLogger(__name__)

WHERE = "model.weights"
PREFIXES = ("module.", "__S__.", "model.embedder.")  # data-parallel, clovaai/voxceleb_trainer, this project
FIXED = ("torchfb.", "num_batches_tracked")  # the front-end has no choice, and old files lack the counters


def embedder_state(state: dict[str, Any]) -> dict[str, Tensor]:
    """The network's tensors, under their published names, from any of the layouts above; loss heads are left out."""
    state = {name: value for name, value in state.items() if isinstance(value, Tensor)}
    for prefix in PREFIXES:
        inside = {name[len(prefix) :]: value for name, value in state.items() if name.startswith(prefix)}
        state = inside or state
    return state


def load_weights(model: nn.Module, path: str) -> None:
    """Copy a file's weights into `model`; raises UserError unless every one of its parameters is there."""
    given, expected = embedder_state(read(Path(path).expanduser())), model.state_dict()
    misfits = [
        name
        for name in given.keys() | {name for name in expected if not any(part in name for part in FIXED)}
        if name not in given or name not in expected or given[name].shape != expected[name].shape
    ]
    if misfits:
        raise UserError(
            f"{path} does not fit this network: {len(misfits)} tensors differ, such as {min(misfits)}",
            WHERE,
            "choose the model=... and model.pooling, n_mels, embedding that it was made with",
        )
    model.load_state_dict(given, strict=False)
    log.info("%s: loaded %d tensors from %s", WHERE, len(given), path)


def read(path: Path) -> dict[str, Any]:
    """The state dict of a file, with a checkpoint's averaged weights, read without running any code in it."""
    if not path.is_file():
        raise UserError(f"no file {path}", WHERE, "give the path of a .ckpt, .pth or .model file, or null")
    try:
        content = torch.load(path, map_location="cpu", weights_only=True)
    except (pickle.UnpicklingError, RuntimeError, EOFError, ValueError, KeyError) as error:
        raise UserError(
            f"{path} holds no weights that are safe to load", WHERE, "give a state dict"
        ) from error
    state = content.get("state_dict", content) if isinstance(content, dict) else {}
    if not any(isinstance(value, Tensor) for value in state.values()):
        raise UserError(f"{path} holds no state dict", WHERE, "give a state dict or a checkpoint of ours")
    return state | {f"model.{name}": tensor for name, tensor in content.get("ema", {}).items()}
