"""What the metrics say of the learning itself: overfitting, overconfidence, plateau, the trivial answer."""

import math
import re

import numpy as np

from shared.runs.diagnosis.curves import best_epoch
from shared.runs.diagnosis.finding import Finding
from shared.runs.diagnosis.sides import class_count
from shared.runs.reading import names
from shared.runs.reading.runlog import RunLog

NO_GAIN = 0.002  # relative; less than this is no progress


def _column(run: RunLog, kind: str, held_out: bool) -> tuple[str, np.ndarray, np.ndarray] | None:
    """Name, epochs and finite values of the first column of this kind and split.

    A score or error that does not say it is the training set's is taken as held out; a loss is not.
    """
    for name in run.metric_names():
        split = names.held_out(name) if kind == "loss" else not names.training(name)
        if names.kind(name) == kind and split == held_out and not name.startswith("best"):
            known = np.isfinite(run.columns[name])
            if known.sum() >= 3:
                return name, run.epochs[known], run.columns[name][known]
    return None


def _metric(run: RunLog) -> tuple[str, np.ndarray, np.ndarray] | None:
    return _column(run, "score", True) or _column(run, "error", True)


def overfitting(run: RunLog) -> list[Finding]:
    """The training loss goes on falling long after the held-out metric was at its best."""
    train, held = _column(run, "loss", False), _metric(run) or _column(run, "loss", True)
    if train is None or held is None:
        return []
    name, epochs, values = held
    best, value = best_epoch(run, name)
    after = epochs[-1] - best
    if after < max(10, 0.4 * epochs[-1]):
        return []
    _, train_epochs, losses = train
    at_best, lowest = np.interp(best, train_epochs, losses), losses[train_epochs >= best].min(initial=np.inf)
    if not lowest < 0.8 * at_best:
        return []
    last = values[-1]
    worse = (value - last if run.mode(name) == "max" else last - value) > NO_GAIN * abs(value)
    if not worse:
        return []
    share = after / epochs[-1]
    message = (
        f"overfitting: {name} was best at epoch {best} ({names.show(name, value)}), {after} epochs ({share:.0%} of the "
        f"run) brought no gain"
    )
    evidence = [
        f"{train[0]} fell from {at_best:.4g} at epoch {best} to {lowest:.4g} meanwhile",
        f"{name} is {names.show(name, last)} at epoch {epochs[-1]}",
    ]
    command = (
        "callbacks.early_stopping.patience=15 would have ended it; more data, augmentation or weight decay"
    )
    return [Finding("overfitting", "warning", message, best, str(run.path), evidence, command)]


def confidence(run: RunLog) -> list[Finding]:
    """The metric improves while the held-out loss rises: surer of its errors, not yet wrong more often."""
    loss, held = _column(run, "loss", True), _metric(run)
    if loss is None or held is None:
        return []
    name, epochs, values = held
    window = max(min(len(values), 6), len(values) // 3)
    gains = np.polyfit(epochs[-window:], values[-window:], 1)[0] * (epochs[-1] - epochs[-window])
    if names.mode(name) == "min":
        gains = -gains
    rise = np.polyfit(loss[1][-window:], loss[2][-window:], 1)[0] * (loss[1][-1] - loss[1][-window])
    if gains < 0.02 * abs(values[-window]) or rise < 0.05 * abs(loss[2][-window]):
        return []
    message = (
        f"{loss[0]} rises ({loss[2][-window]:.3g} -> {loss[2][-1]:.3g}) while {name} improves "
        f"({names.show(name, values[-window])} -> {names.show(name, values[-1])}): growing confidence, not alarming yet"
    )
    hint = "judge checkpoints by the metric; label smoothing tempers the confidence"
    return [Finding("confidence_vs_accuracy", "info", message, int(epochs[-window]), str(run.path), [hint])]


def plateau(run: RunLog) -> list[Finding]:
    """Neither the held-out metric nor the training loss has moved for long, at a learning rate still high."""
    train, held = _column(run, "loss", False), _metric(run) or _column(run, "loss", True)
    if train is None or held is None or len(held[2]) < 20:
        return []
    name, epochs, values = held
    window = max(15, len(values) // 3)
    sign = 1 if names.mode(name) == "max" else -1
    early, late = (sign * values)[:-window].max(initial=-np.inf), (sign * values)[-window:].max()
    moved = late > early + NO_GAIN * abs(early)
    losses = train[2][-window:]
    learning = losses[-max(3, window // 5) :].mean() < 0.97 * losses[: max(3, window // 5)].mean()
    rate = run.lr[np.isfinite(run.lr)] if run.lr is not None else np.array([])
    if moved or learning or (len(rate) and rate[-1] < 0.1 * rate.max()):
        return []
    start = int(epochs[-window])
    message = f"plateau: neither {name} nor {train[0]} has improved since epoch {start}"
    evidence = [f"best {name} before {names.show(name, sign * early)}, since {names.show(name, sign * late)}"]
    if len(rate):
        evidence.append(f"the learning rate is still {rate[-1]:.3g}, {rate[-1] / rate.max():.0%} of its peak")
    command = f"python scripts/forecast.py {run.path} --metric {name}"
    return [Finding("plateau", "warning", message, start, str(run.path), evidence, command)]


def trivial(run: RunLog) -> list[Finding]:
    """No better than an empty output, a coin, the most frequent class, or a network that has learned nothing."""
    found = []
    classes = class_count(run)
    for name in run.metric_names():
        known = np.isfinite(run.columns[name])
        values, epochs = run.columns[name][known], run.epochs[known]
        if not len(values) or epochs[-1] < 5 or names.training(name):
            continue
        recent = float(np.median(values[-3:]))
        word = name.lower()
        if re.search(r"(^|[^a-z])[cw]er($|[^a-z])", word) and recent >= 0.95:
            value = names.show(name, recent)
            message = f"{name} is {value} after {epochs[-1]} epochs: an empty output would score 100 %"
        elif "eer" in word and recent >= 0.47:
            message = f"{name} is {names.show(name, recent)}: a coin would score 50 %"
        elif classes and re.search(r"acc|top.?1$", word) and recent <= 1.5 / classes:
            message = f"{name} is {names.show(name, recent)}: guessing among {classes} classes scores {1 / classes:.2%}"
        else:
            continue
        above = [f"epoch {e}: {names.show(name, v)}" for e, v in zip(epochs[-3:], values[-3:], strict=True)]
        found.append(Finding("worse_than_trivial", "warning", message, int(epochs[-1]), str(run.path), above))
    return found + _untrained(run, classes)


def _untrained(run: RunLog, classes: int | None) -> list[Finding]:
    """A loss of ln(classes) well after the start is that of a fresh network."""
    found = []
    for name in run.metric_names():
        if names.kind(name) != "loss":
            continue
        known = np.isfinite(run.columns[name])
        values, epochs = run.columns[name][known], run.epochs[known]
        for place in np.flatnonzero(epochs >= 5):
            count = classes or round(math.exp(min(values[place], 12)))
            fresh = count in ROUND or classes
            lower = place and values[:place].min() < values[place] - 0.2
            if (
                fresh
                and count > 1
                and abs(values[place] - math.log(count)) < 2e-3
                and (lower or place == len(values) - 1)
            ):
                epoch = int(epochs[place])
                message = f"{name} at epoch {epoch} is {values[place]:.6f} = ln({count}): that of an untrained network"
                hint = [
                    f"it had been {values[:place].min():.4g} before" if lower else "and it is the last one"
                ]
                found.append(Finding("worse_than_trivial", "warning", message, epoch, str(run.path), hint))
    return found[:3]


ROUND = {10, 20, 50, 100, 101, 200, 365, 400, 500, 600, 700, 1000, 10000, 21841}  # usual numbers of classes
