"""The config that a checkpoint was made with, ready to be used again."""

from pathlib import Path
from typing import Any

import hydra
from omegaconf import DictConfig, OmegaConf

from shared.checkpoints.file import KEY
from shared.config.trusted import trusted

PRIVATE = ("run_dir", "resume", "backup", "hydra", "logger", "callbacks")


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
