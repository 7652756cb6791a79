"""Quantiles of a forecast, widened until they held on finished runs: one-sided, weighted conformal bands.

Source: normalised split conformal prediction (Lei et al. 2018), a run of the library left out at a time.
"""

import numpy as np

from shared.runs.forecast.model.prior import LibraryRun

LEVELS = (0.025, 0.1, 0.25, 0.5, 0.75, 0.9, 0.975)
NOMINAL = {0.025: 1.53, 0.1: 1.0, 0.25: 0.526, 0.5: 0.0, 0.75: 0.526, 0.9: 1.0, 0.975: 1.53}  # of a normal


def score(truth: float, median: float, low: float, high: float) -> float:
    """How far the truth lay from the median, in half-widths of the 80 % band on its side."""
    half = high - median if truth > median else median - low
    return float((truth - median) / max(half, 1e-9))


def widening(library: list[LibraryRun]) -> dict[float, float]:
    """By quantile level, the factor (at least 1) on its distance from the median. {} without scores."""
    scores = np.array([s for run in library for s in run.scores])
    if not len(scores):
        return dict.fromkeys(LEVELS, 1.0)
    weights = np.array([run.weight / len(run.scores) for run in library for _ in run.scores])
    order = np.argsort(scores)
    place = np.cumsum(weights[order]) - weights[order] / 2
    found = np.interp(LEVELS, place / weights.sum(), scores[order])
    factors = {}
    for level, value in zip(LEVELS, found, strict=True):
        outward = value if level > 0.5 else -value
        factors[level] = max(1.0, outward / NOMINAL[level]) if level != 0.5 else 1.0
    return factors


def quantiles(paths: np.ndarray, factors: dict[float, float]) -> dict[float, np.ndarray]:
    """Widened quantiles by epoch of `paths` (draws, epochs)."""
    raw = dict(zip(LEVELS, np.quantile(paths, LEVELS, axis=0), strict=True))
    return {level: raw[0.5] + factors[level] * (raw[level] - raw[0.5]) for level in LEVELS}


def stretch(paths: np.ndarray, factors: dict[float, float]) -> np.ndarray:
    """The paths themselves, moved away from their median as far as the 80 % band was."""
    median = np.median(paths, axis=0)
    away = paths - median
    return median + np.where(away > 0, factors[0.9], factors[0.1]) * away
