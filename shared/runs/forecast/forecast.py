"""The forecast of one run: bands by epoch, restarts, the target, what-ifs, and what cannot be known."""

from dataclasses import replace

import numpy as np

from shared.errors import UserError
from shared.runs.forecast import options
from shared.runs.forecast.context import as_fraction, configured_patience, declared_events, doubts
from shared.runs.forecast.model import bands
from shared.runs.forecast.model.fit import Curve, Fit, fit
from shared.runs.forecast.model.prior import LibraryRun, Prior, load_library
from shared.runs.forecast.model.scale import Scale
from shared.runs.forecast.plan import Plan, make_plan, past_lr
from shared.runs.forecast.result import Forecast, Request
from shared.runs.reading.restarts import find_restarts
from shared.runs.reading.runlog import RunLog, best_index

LAG_EVIDENCE = 3.0  # log density by which "logged one epoch early" has to win


def forecast(run: RunLog, request: Request, what_ifs: bool = True) -> Forecast:
    """Forecast a run's metric. UserError where there is too little to go on."""
    metric, values = run.metric(request.metric)
    mode = run.mode(metric)
    known = np.isfinite(values)
    if known.sum() < 3:
        raise UserError(
            f"{metric} has {known.sum()} epochs", str(run.path), "a forecast needs 3, a useful one 8"
        )
    whole, run = run, run.until(int(run.epochs[known][-1]))
    values, known = run.columns[metric], np.isfinite(run.columns[metric])
    plan = make_plan(run, request.until, request.plan, request.schedule, whole)
    request = replace(request, target=as_fraction(metric, request.target))
    scale = Scale.of(metric, values, mode)
    history = np.full(run.epochs[-1], np.nan)
    history[run.epochs - 1] = scale.error(values)
    library = [r for r in load_library(request.library) if not r.is_run(history[np.isfinite(history)])]
    events = tuple(sorted({*request.events, *declared_events(run)}))
    result, lr, lag = _fit_with_lag(run, history, plan, events, library, request.seed)
    factors = bands.widening(library)
    made = _assemble(run, metric, mode, scale, result, lr, plan, lag, factors, request.seed)
    made.warnings = doubts(whole, metric, known, lr, events, made)
    options.add_target(made, request, result, factors, scale)
    options.add_milestones(made, result, factors, scale, request)
    options.add_early_stopping(made, request.patience or configured_patience(run))
    if what_ifs:
        options.add_what_ifs(made, result, factors, scale, request)
    return made


def _fit_with_lag(
    run: RunLog,
    history: np.ndarray,
    plan: Plan,
    events: tuple[int, ...],
    library: list[LibraryRun],
    seed: int,
) -> tuple[Fit, np.ndarray, int]:
    """The fit, the learning rate that each epoch used, and how many epochs early it was logged (0 or 1).

    Many trainers log the rate after the scheduler's step, next to the epoch before. Both readings are fitted
    when the log can tell them apart; the later one needs clear evidence.
    """
    past = past_lr(run)
    candidates = [(0, plan.lr)]
    moves = past is not None and len(past) > 4 and np.max(np.abs(np.diff(np.log(past + 1e-12)))) > 0.4
    if moves and np.isfinite(history).sum() > 6:
        used = np.concatenate([past[:1], past[:-1]])
        shifted = np.concatenate([plan.lr[:1], plan.lr[:-1]]) if plan.as_logged else plan.lr
        candidates.append((1, np.concatenate([used, shifted[len(used) :]])))
    fits = []
    for lag, lr in candidates:
        peak = float(lr.max())
        prior = Prior(library, peak)
        curve = Curve(history, lr[: len(history)], events)
        quick = fit(curve, prior, peak, seed, steps=200) if len(candidates) > 1 else None
        fits.append((quick.log_density - LAG_EVIDENCE * lag if quick else 0.0, lag, lr, curve, prior, peak))
    _, lag, lr, curve, prior, peak = max(fits, key=lambda f: f[0])
    return fit(curve, prior, peak, seed), lr, lag


def _assemble(run, metric, mode, scale, result, lr, plan, lag, factors, seed) -> Forecast:
    last = int(run.epochs[-1])
    _, paths = result.paths(lr, seed)
    metric_paths = scale.metric(paths[:, last:])
    error = bands.quantiles(paths[:, last:], factors)
    flip = mode == "max"
    quantiles = {level: scale.metric(error[round(1 - level, 3) if flip else level]) for level in bands.LEVELS}
    values = run.columns[metric]
    best = best_index(values, mode)
    past = np.full(last, np.nan)
    past[run.epochs - 1] = values
    made = Forecast(
        metric, mode, last, float(values[best]), int(run.epochs[best]), np.arange(last + 1, len(lr) + 1),
        quantiles, lr, plan.source, lag, run, past,
    )  # fmt: skip
    made.restarts = _restarts(made, metric_paths)
    return made


def _restarts(made: Forecast, paths: np.ndarray) -> list[dict]:
    """Each restart to come, and one that has just been: the metric on both sides, and when its peak is regained."""
    whole = np.concatenate([made.history, made.median])
    sign = 1 if made.mode == "max" else -1
    found = []
    for restart in find_restarts(np.arange(1, len(made.lr) + 1), made.lr):
        if restart.epoch <= made.last_epoch - 1 or restart.epoch > len(whole):
            continue
        before = whole[: restart.epoch - 1]
        peak = np.nanmax(sign * before) * sign
        later = sign * (whole[restart.epoch - 1 :] - peak)
        regained = np.flatnonzero(later >= 0)
        drops = paths[:, restart.epoch - made.last_epoch - 1] if restart.epoch > made.last_epoch else None
        found.append(
            {
                "epoch": restart.epoch,
                "lr_ratio": round(restart.ratio, 1),
                "before": float(before[np.isfinite(before)][-1]),
                "peak": float(peak),
                "after_median": float(whole[restart.epoch - 1]),
                "drop": float(np.median(np.abs(peak - drops))) if drops is not None else None,
                "regained_epoch": int(restart.epoch + regained[0]) if len(regained) else None,
            }
        )
    return found
