"""Checks of the config before anything is built: each failure names the key and how to mend it."""

from collections.abc import Callable, Iterator
from typing import Any

from omegaconf import DictConfig, OmegaConf

from shared.config.passwords import refuse_password
from shared.config.settings import flatten
from shared.errors import UserError

Rule = tuple[str, Callable[[Any], bool], str]

COMPILE_MODES = ("default", "reduce-overhead", "max-autotune", "max-autotune-no-cudagraphs")


def _whole(value: Any, least: int) -> bool:
    return isinstance(value, int) and not isinstance(value, bool) and value >= least


RULES: list[Rule] = [
    ("seed", lambda v: _whole(v, 0) and v < 2**32, "a whole number from 0 to 4294967295"),
    ("trainer.max_epochs", lambda v: _whole(v, 1), "a whole number of epochs from 1"),
    ("trainer.min_epochs", lambda v: v is None or _whole(v, 0), "a whole number of epochs or null"),
    ("trainer.check_val_every_n_epoch", lambda v: _whole(v, 1), "a whole number of epochs from 1"),
    ("trainer.log_every_n_steps", lambda v: _whole(v, 1), "a whole number of steps from 1"),
    ("effective_batch_size", lambda v: _whole(v, 1), "a whole number of samples from 1"),
    (
        "micro_batch_size",
        lambda v: v in (None, "auto") or _whole(v, 1),
        "null, auto or a number of samples from 1",
    ),
    ("samples_per_epoch", lambda v: v is None or _whole(v, 1), "null or a number of samples from 1"),
    ("monitor.mode", lambda v: v in ("min", "max"), "min or max"),
    ("optimizer.lr", lambda v: isinstance(v, int | float) and v > 0, "a number above 0"),
    ("clip_norm", lambda v: v is None or (isinstance(v, int | float) and v > 0), "null or a number above 0"),
    (
        "callbacks.checkpoints",  # it obeys signals, and the summary has the best value from it
        lambda v: v is not None,
        "every_minutes, milestones or keep_cycles of it: a run stops, goes on and has its best by checkpoints",
    ),
    ("resume", lambda v: isinstance(v, str) and v != "", "auto, never or the path of a checkpoint"),
    ("resume_mode", lambda v: v in ("exact", "extend", "weights"), "exact, extend or weights"),
    ("backup.url", lambda v: v is None or (isinstance(v, str) and v != ""), "null, a folder or a URL"),
    ("backup.keep", lambda v: _whole(v, 1), "a number of backups from 1"),
    ("backup.retries", lambda v: _whole(v, 0), "a whole number from 0"),
    ("backup.wait_minutes", lambda v: isinstance(v, int | float) and v >= 0, "a number of minutes from 0"),
    ("hardware.workers", lambda v: v == "auto" or _whole(v, 0), "auto or a number of processes from 0"),
    (
        "hardware.compile",
        lambda v: isinstance(v, bool) or v in COMPILE_MODES,
        f"true, false or one of {', '.join(COMPILE_MODES)}",
    ),
    (
        "hardware.memory_fraction",
        lambda v: isinstance(v, int | float) and 0 < v <= 1,
        "a share above 0, at most 1",
    ),
]


def check(cfg: DictConfig) -> None:
    """Raise UserError for the first setting that cannot work, or that must not be written down."""
    for key, holds, wanted in RULES:
        value = OmegaConf.select(cfg, key)
        if not holds(value):
            raise UserError(f"{value!r} does not work", key, f"set {wanted}")
    for key, value in flatten(OmegaConf.to_container(cfg, resolve=True)):
        for text in strings(value):
            refuse_password(text, key)


def strings(node: Any) -> Iterator[str]:
    """Every string inside nested dicts and lists, names of keys apart."""
    if isinstance(node, str):
        yield node
    elif isinstance(node, dict | list | tuple):
        for each in node.values() if isinstance(node, dict) else node:
            yield from strings(each)
