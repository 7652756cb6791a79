"""What the run itself has to say to a forecast: its events, its patience, its units, and reasons for doubt."""

import numpy as np

from shared.runs.forecast.result import Forecast
from shared.runs.reading import names
from shared.runs.reading.runlog import RunLog

CHANGES = ("image_size", "resolution", "resize", "mixup", "augment", "unfreeze", "change_point")


def as_fraction(metric: str, target: float | None) -> float | None:
    """A target of a rate as the fraction it is: 75 for an accuracy, 1.5 for an error rate, can only be percent.

    A logged error rate may pass 1, but nobody aims at one.
    """
    if target is None or not names.is_rate(metric):
        return target
    percent = target >= 1 if names.kind(metric) == "error" else target > 1
    return target / 100 if percent else target


def declared_events(run: RunLog) -> list[int]:
    """Epochs of the run's own events that change what is measured, not just how fast it is learned."""
    events = run.summary.get("events")
    found = [e for e in events if isinstance(e, dict)] if isinstance(events, list) else []
    marked = [e for e in found if any(change in str(e.get("kind", e.get("name"))) for change in CHANGES)]
    return [e["epoch"] for e in marked if isinstance(e.get("epoch"), int) and e["epoch"] > 1]


def configured_patience(run: RunLog) -> int | None:
    callbacks = run.config.get("callbacks")
    stopping = callbacks.get("early_stopping") if isinstance(callbacks, dict) else None
    patience = stopping.get("patience") if isinstance(stopping, dict) else run.config.get("patience")
    return patience if isinstance(patience, int) and patience > 0 else None


def doubts(
    run: RunLog, metric: str, known: np.ndarray, lr: np.ndarray, events: tuple, made: Forecast
) -> list[str]:
    """What the numbers cannot tell, said plainly."""
    said = list(run.warnings)
    last = made.last_epoch
    if metric in run.first_bad:
        said.append(
            f"{metric} is not finite from epoch {run.first_bad[metric]}: run scripts/diagnose.py first"
        )
    if run.epochs[-1] > last + 1:
        said.append(
            f"{metric} ends at epoch {last}, the log at {run.epochs[-1]}: the rest is taken as the plan"
        )
    if known.sum() < 8:
        said.append(f"only {known.sum()} epochs to go on: this is mostly what other runs did")
    past = lr[:last]
    if run.lr is None:
        said.append("no learning rate in the log: gains from annealing cannot be foreseen")
    elif past.min() > 0.5 * past.max() and len(lr) > last and lr[last:].min() < 0.3 * past.max():
        said.append("the learning rate has not fallen yet: the gain from annealing is taken from other runs")
    if "no schedule recognised" in made.plan:
        said.append(
            "no schedule recognised in the learning rates: the last one is held to the end, and a gain from "
            "annealing to come is not foreseen (tell the plan: --schedule or --plan)"
        )
    if len(lr) > 2 * last:
        said.append(f"beyond epoch {2 * last} forecasts tend to be too good: by 2.5 points of ImageNet top-1")
    said += [f"something else changes at epoch {e}: its effect is unknown" for e in events if e > last]
    if made.lag:
        said.append("the learning rate is logged one epoch early (after the scheduler's step): shifted back")
    return said
