"""Any checkpoint on any split, as one JSON object: the second command of every project."""

import json
from importlib import import_module
from pathlib import Path
from typing import Any

import hydra
from omegaconf import DictConfig, OmegaConf

from shared.checks import trusted
from shared.errors import UserError
from shared.resume import KEY

PRIVATE = ("run_dir", "resume", "backup", "hydra", "logger", "callbacks")


def evaluate(project: str, conf: Path, arguments: list[str]) -> None:
    """Print the metrics of `checkpoint=PATH` as the last line of stdout.

    The config is the checkpoint's own, except for what `evaluation` and `arguments` override; `split=train` scores the
    training set.
    """
    given = dict(argument.split("=", 1) for argument in arguments if "=" in argument)
    path, split = Path(given.pop("checkpoint", "")), given.pop("split", "val")
    if split not in ("train", "val"):
        raise UserError(f"no split {split!r}", "split", "choose train or val")
    with hydra.initialize_config_dir(str(conf), version_base="1.3"):
        config = hydra.compose(project)
    framework = import_module(f"{config.framework.package}.scoring")
    given = {**dict(each.split("=", 1) for each in config.evaluation), **given}
    checkpoint = framework.load(path.expanduser())
    cfg = configure(project, conf, checkpoint, [f"{key}={value}" for key, value in given.items()])
    metrics = framework.measure(cfg, checkpoint, split)
    print(json.dumps({"checkpoint": str(path), "split": split, **metrics}))


def configure(project: str, conf: Path, checkpoint: dict[str, Any], given: list[str]) -> DictConfig:
    """The checkpoint's config, as `trusted` and without callbacks or loggers.

    Each top-level node that `given` touches is composed anew.
    """
    state = checkpoint.get(KEY, {})
    kept = [each for each in state.get("overrides", []) if not each.lstrip(" \t+~").startswith(PRIVATE)]
    with hydra.initialize_config_dir(str(conf), version_base="1.3"):
        fresh = OmegaConf.to_container(hydra.compose(project, overrides=kept + given))
    touched = {each.lstrip("+~").split("=")[0].split(".")[0].split("/")[0] for each in given}
    touched |= {"trainer"} if "hardware" in touched else set()
    anew = {name: node for name, node in fresh.items() if name in touched.union(PRIVATE, ["framework"])}
    return trusted({**state.get("config", fresh), **anew, "callbacks": {}, "logger": {}}, "checkpoint")
