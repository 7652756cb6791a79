"""What to ask of a fitted forecast: the target, milestones, early stopping, and other schedules."""

import numpy as np

from shared.runs.forecast.model import bands
from shared.runs.forecast.model.fit import Fit
from shared.runs.forecast.model.scale import Scale
from shared.runs.forecast.result import Forecast, Request


def _metric_paths(
    result: Fit, lr: np.ndarray, last: int, factors: dict, scale: Scale, seed: int
) -> np.ndarray:
    """Draws of the metric over the epochs to come, as wide as the bands."""
    _, paths = result.paths(lr, seed)
    return scale.metric(bands.stretch(paths[:, last:], factors))


def _reached(made: Forecast, paths: np.ndarray, target: float) -> np.ndarray:
    """By draw and epoch, whether the best so far meets the target."""
    sign = 1 if made.mode == "max" else -1
    return np.maximum.accumulate(np.maximum(sign * paths, sign * made.best), axis=1) >= sign * target


def add_target(made: Forecast, request: Request, result: Fit, factors: dict, scale: Scale) -> None:
    """The probability that the best value reaches the target by the last epoch, and the median epoch of it."""
    if request.target is None:
        return
    paths = _metric_paths(result, made.lr, made.last_epoch, factors, scale, request.seed)
    reached = _reached(made, paths, request.target)
    share = reached.mean(axis=0)
    first = np.flatnonzero(share >= 0.5)
    made.target = {
        "value": request.target,
        "probability": round(float(share[-1]), 3),
        "epoch_median": int(made.epochs[first[0]]) if len(first) else None,
    }


def add_milestones(made: Forecast, result: Fit, factors: dict, scale: Scale, request: Request) -> None:
    """Up to four epochs to look at again, the band to expect, and what a value outside would mean."""
    ahead = len(made.epochs)
    places = sorted({max(0, round(share * ahead) - 1) for share in (0.1, 0.25, 0.5, 0.75)})
    paths = _metric_paths(result, made.lr, made.last_epoch, factors, scale, request.seed)
    final = paths[:, -1]
    for place in places if ahead > 4 else []:
        low, high = made.quantiles[0.1][place], made.quantiles[0.9][place]
        lower, upper = (
            paths[:, place] < np.median(paths[:, place]),
            paths[:, place] > np.median(paths[:, place]),
        )
        made.milestones.append(
            {
                "epoch": int(made.epochs[place]),
                "p10": float(low),
                "p90": float(high),
                "final_if_below": float(np.median(final[lower])) if lower.any() else None,
                "final_if_above": float(np.median(final[upper])) if upper.any() else None,
            }
        )


def add_early_stopping(made: Forecast, patience: int | None) -> None:
    """Whether plain patience would end the run before a restart's drop is made good."""
    if patience is None:
        return
    whole = np.concatenate([made.history, made.median])
    sign = 1 if made.mode == "max" else -1
    best, best_epoch = -np.inf, 0
    for epoch, value in enumerate(whole, 1):
        if np.isfinite(value) and sign * value > best:
            best, best_epoch = sign * value, epoch
        if epoch - best_epoch >= patience and epoch > made.last_epoch:
            later = np.flatnonzero(sign * whole[epoch:] > best)
            fate = (
                f"before the best is passed at {epoch + 1 + later[0]}" if len(later) else "and misses nothing"
            )
            made.early_stopping = (
                f"patience {patience} without regard to restarts fires at epoch {epoch}, {fate}"
            )
            return
    made.early_stopping = f"patience {patience} does not fire by epoch {len(whole)}"


def add_what_ifs(made: Forecast, result: Fit, factors: dict, scale: Scale, request: Request) -> None:
    """The table of other learning rates from here on: their end, best metric, epochs, hours, chance of the target."""
    minutes = request.minutes_per_epoch
    hours = hours_per_epoch(made) if minutes is None else minutes / 60
    for name, lr in alternatives(made.lr, made.last_epoch):
        paths = _metric_paths(result, lr, made.last_epoch, factors, scale, request.seed)
        ends = np.quantile(paths[:, -1], [0.1, 0.5, 0.9])
        epochs = len(lr) - made.last_epoch
        reached = (
            None if request.target is None else float(_reached(made, paths, request.target)[:, -1].mean())
        )
        made.what_ifs.append(
            {
                "name": name,
                "until": len(lr),
                "epochs": epochs,
                "hours": None if hours is None else round(hours * epochs, 2),
                "p10": float(ends[0]),
                "median": float(ends[1]),
                "p90": float(ends[2]),
                "p_target": reached,
            }
        )


def alternatives(lr: np.ndarray, last: int) -> list[tuple[str, np.ndarray]]:
    """Named learning rates by epoch, each the past followed by another future."""
    past, now, peak = lr[:last], max(lr[last - 1], 1e-12), lr.max()
    ahead = max(len(lr) - last, 1)
    short = max(3, min(10, ahead // 2))

    def down(start: float, epochs: int) -> np.ndarray:
        return start * (1 + np.cos(np.pi * np.arange(1, epochs + 1) / epochs)) / 2

    futures = [("go on as planned", lr[last:]), (f"anneal to zero in {short} epochs", down(now, short))]
    one_cycle = peak * (1 + np.cos(np.pi * np.arange(last, last + ahead) / (last + ahead))) / 2
    futures += [
        (f"anneal to zero by epoch {last + ahead}", down(now, ahead)),
        (f"one cosine of {last + ahead} epochs (T_0={last + ahead})", one_cycle),
        (f"back to the peak, then to zero by {last + ahead}", down(peak, ahead)),
        ("twice the planned rate", 2 * lr[last:]),
        ("hold this rate", np.full(ahead, now)),
    ]
    return [(name, np.concatenate([past, future])) for name, future in futures]


def hours_per_epoch(made: Forecast) -> float | None:
    """From the run's summary; None where nobody measured."""
    seconds, epochs = made.run.summary.get("seconds"), made.run.summary.get("epochs")
    if isinstance(seconds, (int, float)) and isinstance(epochs, int) and epochs > 0:
        return seconds / 3600 / epochs
    return None
