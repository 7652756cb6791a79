"""What a column's name says: learning rate, loss, error rate or score; which split; percent or fraction."""

import re

import numpy as np

_LR = re.compile(r"^(train[/_])?(lr|learning[_ ]?rate)([-_/].*)?$", re.I)
_LOSS = re.compile(r"loss|nll|perplexity|cross.?entropy|^ppl$", re.I)
_ERROR = re.compile(r"(^|[^a-z])(cer|wer|v?t?eer|err|error|edit)([^a-z]|$)", re.I)
_SCORE = re.compile(r"acc|top.?\d|f1|auc|map|iou|bleu|precision|recall|r2|score|dice|psnr", re.I)
_HELD_OUT = re.compile(
    r"(^|[^a-z])(val|valid|validation|test|eval|dev|veer)([^a-z]|$)|^(val|test|eval)_", re.I
)
_TRAIN = re.compile(r"train|tacc|teer|tloss", re.I)
_PERCENT = re.compile(r"percent|pct|%", re.I)
_COUNTER = re.compile(
    r"^(epoch|step|global_step|iter\w*|\w*time\w*|seconds|samples_per_second|forecast/.*|best_.*|_.*|step/.*|time/.*)$",
    re.I,
)


def kind(name: str) -> str:
    """One of `lr`, `loss`, `error`, `score`, `counter` or `other`.

    >>> kind("val/top1"), kind("val_cer"), kind("train loss"), kind("lr-SGD"), kind("epoch")
    ('score', 'error', 'loss', 'lr', 'counter')
    """
    if _LR.search(name) and not re.search(r"cycle", name, re.I):
        return "lr"
    if _COUNTER.search(name) or name.startswith("lr/"):
        return "counter"
    for label, pattern in (("loss", _LOSS), ("error", _ERROR), ("score", _SCORE)):
        if pattern.search(name):
            return label
    return "other"


def mode(name: str) -> str:
    """`min` for losses and error rates, `max` for everything else."""
    return "min" if kind(name) in ("loss", "error") else "max"


def held_out(name: str) -> bool:
    """True for a validation or test column."""
    return bool(_HELD_OUT.search(name)) and not _TRAIN.search(name)


def training(name: str) -> bool:
    """True for a column that says it is measured on training data."""
    return bool(_TRAIN.search(name))


def is_rate(name: str) -> bool:
    """True for a metric that is a fraction of something: it may have been written in percent."""
    return kind(name) in ("score", "error")


def in_percent(name: str, values: np.ndarray) -> bool:
    """Whether a rate was written in percent: its name says so, or its values can be nothing else.

    An error rate may pass 1 (a CER of 110 %), so it has to pass 3 before it is read as percent.
    """
    if not is_rate(name):
        return False
    finite = values[np.isfinite(values)]
    ceiling = 3.0 if kind(name) == "error" else 1.0001
    return bool(_PERCENT.search(name)) or bool(finite.size and np.max(finite) > ceiling)


def default_metric(names: list[str]) -> str | None:
    """The column a person would ask about first: a held-out score, then error, then loss, then any split."""

    def rank(name: str) -> tuple[int, int, int]:
        order = {"score": 0, "error": 1, "loss": 2, "other": 3}[kind(name)]
        return (not held_out(name), order, names.index(name))

    usable = [n for n in names if kind(n) not in ("lr", "counter")]
    return min(usable, key=rank) if usable else None
