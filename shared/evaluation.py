"""Any checkpoint on any split, as one JSON object: the second command of every project."""

import json
import logging
import pickle
from pathlib import Path
from typing import Any

import hydra
import torch
from omegaconf import DictConfig, OmegaConf

from shared import logs
from shared.assembly import build, build_batching, build_trainer, workers
from shared.checks import check_targets
from shared.data.loader import make_loader
from shared.errors import UserError
from shared.resume import KEY

PRIVATE = ("run_dir", "resume", "backup", "hydra", "logger", "callbacks")


def evaluate(project: str, conf: Path, arguments: list[str]) -> None:
    """Print the metrics of `checkpoint=PATH` as the last line of stdout.

    The config is the checkpoint's own, except for what `arguments` override; `split=train` scores the training set.
    """
    given = dict(argument.split("=", 1) for argument in arguments if "=" in argument)
    path, split = Path(given.pop("checkpoint", "")), given.pop("split", "val")
    if split not in ("train", "val"):
        raise UserError(f"no split {split!r}", "split", "choose train or val")
    checkpoint = load(path.expanduser())
    cfg = configure(project, conf, checkpoint, [f"{key}={value}" for key, value in given.items()])
    metrics = measure(cfg, checkpoint, split)
    print(json.dumps({"checkpoint": str(path), "split": split, **metrics}))


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


def configure(project: str, conf: Path, checkpoint: dict[str, Any], given: list[str]) -> DictConfig:
    """The checkpoint's config; each top-level node that `given` touches is composed anew."""
    state = checkpoint.get(KEY, {})
    kept = [each for each in state.get("overrides", []) if not each.lstrip("+~").startswith(PRIVATE)]
    with hydra.initialize_config_dir(str(conf), version_base="1.3"):
        fresh = hydra.compose(project, overrides=kept + given)
    if "config" not in state:
        return fresh
    cfg = OmegaConf.create(state["config"])
    touched = {each.lstrip("+~").split("=")[0].split(".")[0].split("/")[0] for each in given}
    touched |= {"trainer"} if "hardware" in touched else set()
    for name in touched & set(fresh):
        cfg[name] = fresh[name]
    return cfg


def measure(cfg: DictConfig, checkpoint: dict[str, Any], split: str) -> dict[str, Any]:
    """Validate the checkpoint's weights, the averaged ones where it has them."""
    check_targets(cfg.data, cfg.model, cfg.task, cfg.trainer, where="checkpoint")
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
    cfg.callbacks = {}
    cfg.trainer.update(strategy="auto", num_nodes=1)  # one process, however many have trained
    if isinstance(cfg.trainer.devices, int):
        cfg.trainer.devices = 1
    trainer = build_trainer(cfg, None)
    dataset, batching = getattr(data, split), build_batching(cfg, trainer.world_size)
    count = workers(cfg.hardware.workers, trainer)
    loader = make_loader(dataset, batching.per_device, train=False, workers=count)
    found = trainer.validate(task, loader, verbose=False)[0]
    names = {name: name.replace("val/", f"{split}/") for name in found}
    return {"samples": len(dataset), **{names[name]: value for name, value in found.items()}}
