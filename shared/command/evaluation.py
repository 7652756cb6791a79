"""Any checkpoint on any split, as one JSON object: the second command of every project."""

import json
from importlib import import_module
from pathlib import Path

import hydra

from shared.checkpoints.config import configure
from shared.errors import UserError


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
