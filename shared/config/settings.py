"""Which settings of a run differ from those its checkpoint was made with, and matter to the training."""

from collections.abc import Iterator
from typing import Any, NamedTuple

from omegaconf import DictConfig, OmegaConf
from omegaconf.errors import OmegaConfBaseException

from shared.config.moved import ADDED, with_current_names
from shared.errors import UserError

# Where a run lies, what it asks and logs, on which machine it runs and how it is scored afterwards. All else counts:
# what is unknown here may matter.
ELSEWHERE = (
    *("note", "report", "task.report", "eval.scores", "task.eval.scores"),
    *("run_dir", "resume", "resume_mode", "backup", "logger", "hardware", "framework", "evaluation"),
    *("data.root", "data.embedded", "data.cache", "data.cache_gb", "model.weights"),
    *(
        f"trainer.{key}"
        for key in ("accelerator", "devices", "num_nodes", "strategy", "benchmark", "log_every_n_steps")
    ),
    *(f"trainer.enable_{key}" for key in ("checkpointing", "progress_bar", "model_summary")),
    *(f"callbacks.{key}" for key in ("lr_monitor", "metrics_log", "run_state", "progress")),
    *(f"callbacks.{key}" for key in ("checkpoints", "backup")),
)
PREFIXES = tuple(f"{key}." for key in ELSEWHERE)
ABSENT = "(not set)"


class Difference(NamedTuple):
    """One setting, as the checkpoint has it and as it is now."""

    key: str
    before: Any
    now: Any

    def __str__(self) -> str:
        return f"{self.key} {self.before} -> {self.now}"


def differences(before: dict[str, Any], now: DictConfig) -> list[Difference]:
    """Settings that matter and differ between a checkpoint's config and this run's, by key."""
    try:
        old = OmegaConf.to_container(OmegaConf.create(before), resolve=True)
    except OmegaConfBaseException as error:
        raise UserError(
            f"the checkpoint's config cannot be read: {error}", "resume", "use another"
        ) from error
    old = dict(flatten(with_current_names(old)))
    new = dict(flatten(OmegaConf.to_container(now, resolve=True)))
    old = {**{key: value for key, value in ADDED.items() if key in new}, **old}
    keys = sorted(key for key in old.keys() | new.keys() if not f"{key}.".startswith(PREFIXES))
    pairs = [Difference(key, old.get(key, ABSENT), new.get(key, ABSENT)) for key in keys]
    return [each for each in pairs if each.before != each.now]


def flatten(node: Any, prefix: str = "") -> Iterator[tuple[str, Any]]:
    """Leaves of nested dictionaries under their dotted names; a list is one leaf."""
    for key, value in node.items():
        if isinstance(value, dict) and value:
            yield from flatten(value, f"{prefix}{key}.")
        else:
            yield f"{prefix}{key}", value
