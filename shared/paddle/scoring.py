"""Reading and scoring a Paddle project's checkpoint."""

from pathlib import Path
from typing import Any

from omegaconf import DictConfig

from shared.checkpoints.file import KEY, UNREADABLE, fit, read
from shared.errors import UserError
from shared.fit.build import build, build_batching, workers
from shared.paddle.assembly import build_model, build_trainer, prepare_device
from shared.paddle.loader import make_loader

BARE = (".safetensors", ".npz", ".pdparams")  # weights without a run, read as `model.weights` are


def load(path: Path) -> dict[str, Any]:
    """A checkpoint of ours, or where bare weights of the network lie; UserError for any other file."""
    if not path.is_file():
        raise UserError(f"no file {str(path)!r}", "checkpoint", "give checkpoint=PATH of a .ckpt file")
    if path.suffix in BARE:
        return {"weights": str(path), KEY: {}}
    try:
        content = read(path)
    except UNREADABLE as error:
        raise UserError(f"{path} cannot be read", "checkpoint", "give another checkpoint") from error
    if "optimizer" not in content:
        what, mend = f"{path} is no checkpoint of a Paddle run", "for other weights train with model.weights="
        raise UserError(what, "checkpoint", mend)
    return content


def prepared(cfg: DictConfig) -> tuple[Any, Any]:
    """Data and task as the config has them."""
    data = build(cfg.data, "data")
    data.prepare()
    return data, build(cfg.task, "task", model=build_model(cfg, data), data=data)


def restored(cfg: DictConfig, checkpoint: dict[str, Any]) -> tuple[Any, Any]:
    """Data and task with the checkpoint's weights, the averaged ones where it has them."""
    cfg.model.weights = checkpoint.get("weights")
    data, task = prepared(cfg)
    if "state_dict" not in checkpoint:
        return data, task
    fit(task, checkpoint)
    task.load_state_dict({**checkpoint["state_dict"], **checkpoint.get("ema", {})})
    return data, task


def measure(cfg: DictConfig, checkpoint: dict[str, Any], split: str) -> dict[str, Any]:
    """Validate the checkpoint's weights."""
    prepare_device(cfg)
    trainer = build_trainer(cfg, None)
    data, task = restored(cfg, checkpoint)
    dataset, batching = getattr(data, split), build_batching(cfg, trainer.world_size)
    count = workers(cfg.hardware.workers, not trainer.on_gpu, trainer.world_size)
    task.trainer = trainer
    found = trainer.validate(task, make_loader(dataset, batching.per_device, train=False, workers=count))
    return {"samples": len(dataset), **{k.replace("val/", f"{split}/"): v for k, v in found.items()}}
