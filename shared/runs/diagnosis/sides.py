"""The last values of a run on both sides, and how many classes there are to guess among."""

import math
from typing import NamedTuple

import numpy as np

from shared.runs.reading import names
from shared.runs.reading.runlog import RunLog

USUAL = (
    2,
    3,
    5,
    10,
    20,
    50,
    100,
    101,
    200,
    365,
    400,
    500,
    600,
    700,
    1000,
    10000,
    21841,
)  # numbers of classes
NEAR = 0.03  # a first loss this close to ln C, relatively, is that of C classes


class Sides(NamedTuple):
    """The last values of a run (medians of three epochs) and its course; `classes` is None where nothing tells."""

    epoch: int
    classes: int | None
    train_accuracy: float
    held_accuracy: float
    train_loss: float
    held_loss: float
    train_losses: np.ndarray
    held_losses: np.ndarray
    accuracy_name: str
    loss_name: str

    @property
    def chance(self) -> float:
        return 1 / self.classes if self.classes else math.nan

    @property
    def untrained(self) -> float:
        """The loss of a network that knows nothing."""
        return math.log(self.classes) if self.classes else math.nan


def both_sides(run: RunLog) -> Sides | None:
    """The accuracy and loss of both sides; None where one side has neither."""
    held = _first_of(run, lambda n: names.held_out(n) and names.is_accuracy(n))
    own = _first_of(run, lambda n: names.training(n) and names.is_accuracy(n))
    held_loss = _first_of(run, lambda n: names.held_out(n) and names.kind(n) == "loss")
    own_loss = _first_of(run, lambda n: names.training(n) and names.kind(n) == "loss")
    if own_loss is None or held is None:
        return None
    losses = run.columns[own_loss]
    held_losses = run.columns[held_loss] if held_loss else np.full(len(losses), np.nan)
    known = np.isfinite(run.columns[held])
    if not known.any() or not np.isfinite(losses).any():
        return None
    return Sides(
        int(run.epochs[known][-1]),
        class_count(run, losses, held_losses),
        _last(run.columns[own]) if own else math.nan,
        _last(run.columns[held]),
        _last(losses),
        _last(held_losses),
        losses[np.isfinite(losses)],
        held_losses[np.isfinite(held_losses)],
        held,
        held_loss or own_loss,
    )


def class_count(run: RunLog, *losses: np.ndarray) -> int | None:
    """The number of classes, as the run says it, or as its first losses do: an untrained network has ln C."""
    for part in (run.summary, run.config, run.config.get("model"), run.config.get("data")):
        for key in ("num_classes", "classes", "n_classes"):
            value = part.get(key) if isinstance(part, dict) else None
            value = len(value) if isinstance(value, list) else value
            if isinstance(value, int) and not isinstance(value, bool) and value > 1:
                return value
    for values in losses:
        start = first(values)
        for count in USUAL:
            if abs(start - math.log(count)) < NEAR * math.log(count):
                return count
    return _by_top_k(run)


def _by_top_k(run: RunLog) -> int | None:
    """From a top-k accuracy that began at chance, k of C."""
    for name, column in run.columns.items():
        if name.lower().endswith(("top5", "top_5", "acc5", "acc@5")) and np.isfinite(start := first(column)):
            return next((c for c in USUAL if c > 5 and abs(start - 5 / c) < 0.1 * 5 / c), None)
    return None


def _first_of(run: RunLog, wanted) -> str | None:
    return next((n for n in run.metric_names() if wanted(n) and not n.startswith("best")), None)


def first(values: np.ndarray) -> float:
    finite = values[np.isfinite(values)]
    return float(finite[0]) if len(finite) else math.nan


def _last(values: np.ndarray) -> float:
    finite = values[np.isfinite(values)]
    return float(np.median(finite[-3:])) if len(finite) else math.nan
