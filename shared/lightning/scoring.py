"""Reading and scoring a Lightning project's checkpoint."""

import logging
import pickle
from pathlib import Path
from typing import Any

import torch
from omegaconf import DictConfig

from shared.checkpoints.file import KEY
from shared.errors import UserError
from shared.fit.build import build, build_batching, workers
from shared.lightning.assembly import build_trainer
from shared.lightning.loader import make_loader
from shared.record import logs


def load(path: Path) -> dict[str, Any]:
    """A checkpoint of ours, or a bare state dict of the network as one."""
    if not path.is_file():
        raise UserError(
            f"no file {str(path)!r}", "checkpoint", "give checkpoint=PATH of a .ckpt or .pth file"
        )
    try:
        content = torch.load(path, map_location="cpu", weights_only=True, mmap=True)
    except (pickle.UnpicklingError, RuntimeError, EOFError, ValueError, KeyError) as error:
        raise UserError(f"{path} cannot be read", "checkpoint", "give another checkpoint") from error
    if "state_dict" in content:
        return content
    return {"state_dict": {f"model.{name}": tensor for name, tensor in content.items()}, KEY: {}}


def measure(cfg: DictConfig, checkpoint: dict[str, Any], split: str) -> dict[str, Any]:
    """Validate the checkpoint's weights, the averaged ones where it has them."""
    logs.adopt_frameworks()
    logging.getLogger("lightning").setLevel(logging.ERROR)
    data = build(cfg.data, "data")
    data.prepare()
    task = build(cfg.task, "task", model=build(cfg.model, "model")(**data.model_arguments()), data=data)
    averaged = {f"model.{name}": tensor for name, tensor in checkpoint.get("ema", {}).items()}
    try:
        task.load_state_dict(checkpoint["state_dict"] | averaged)
    except RuntimeError as error:
        raise UserError(
            str(error).splitlines()[-1].strip(), "checkpoint", "give the model=... it was made with"
        ) from error
    cfg.trainer.update(strategy="auto", num_nodes=1)  # one process, however many have trained
    if isinstance(cfg.trainer.devices, int):
        cfg.trainer.devices = 1
    trainer = build_trainer(cfg, None)
    dataset, batching = getattr(data, split), build_batching(cfg, trainer.world_size)
    count = workers(cfg.hardware.workers, trainer.strategy.root_device.type == "cpu", trainer.num_devices)
    loader = make_loader(dataset, batching.per_device, train=False, workers=count)
    found = trainer.validate(task, loader, verbose=False)[0]
    names = {name: name.replace("val/", f"{split}/") for name in found}
    return {"samples": len(dataset), **{names[name]: value for name, value in found.items()}}
