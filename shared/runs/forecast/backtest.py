"""Scoring forecasts on finished runs: each one cut, forecast, and compared with what came, itself left out."""

from dataclasses import dataclass

import numpy as np
from scipy.optimize import curve_fit

from shared.runs.forecast.bands import quantiles, score, widening
from shared.runs.forecast.fit import Curve, fit
from shared.runs.forecast.prior import LibraryRun, Prior

CUTS = (1 / 3, 0.5, 0.67, 0.77, 0.83)


@dataclass(frozen=True)
class Trial:
    """One forecast of a run's last epoch from its first `seen` epochs, everything an error (lower is better).

    `bands`: quantiles of the last epoch; `covered`: share of the epochs to come within the 80 % band;
    `mean_error`: mean absolute error over the epochs to come; `rivals`: other methods' forecasts.
    """

    run: str
    seen: int
    truth: float
    bands: dict[float, float]
    covered: float
    mean_error: float
    rivals: dict[str, float]
    score: float

    @property
    def miss(self) -> float:
        return self.bands[0.5] - self.truth


def trial(
    name: str, error: np.ndarray, lr: np.ndarray, seen: int, library: list[LibraryRun], seed: int = 0
) -> Trial:
    """Forecast the end of (error, lr) from the first `seen` epochs; the run itself is left out of the library."""
    others = [run for run in library if not run.is_run(error)]
    peak = float(np.nanmax(lr))
    history = Curve(error[:seen], lr[:seen])
    result = fit(history, Prior(others, peak), peak, seed)
    _, paths = result.paths(lr, seed)
    raw = quantiles(paths, widening([]))
    bands = quantiles(paths, widening(others))
    ahead = slice(seen, None)
    inside = (error[ahead] >= bands[0.1][ahead]) & (error[ahead] <= bands[0.9][ahead])
    return Trial(
        name, seen, float(error[-1]), {level: float(q[-1]) for level, q in bands.items()},
        float(inside.mean()), float(np.abs(bands[0.5] - error)[ahead].mean()),
        rivals(error[:seen], len(error)), score(error[-1], raw[0.5][-1], raw[0.1][-1], raw[0.9][-1]),
    )  # fmt: skip


def cuts(epochs: int) -> list[int]:
    """After how many epochs a run of this length is cut."""
    return sorted({max(4, round(share * epochs)) for share in CUTS if round(share * epochs) < epochs})


def rivals(error: np.ndarray, until: int) -> dict[str, float]:
    """The forecasts people make by hand: the last value, a logarithm, a mean of parametric curves."""
    epoch = np.arange(1.0, len(error) + 1)
    slope, base = np.polyfit(np.log(epoch), error, 1)
    return {
        "last value": float(error[-1]),
        "log fit": float(slope * np.log(until) + base),
        "parametric": _parametric(epoch, error, float(until)),
    }


_SHAPES = (
    (lambda x, a, b, c: a + b * x ** -np.abs(c), (0.5, 0.5, 0.5)),
    (lambda x, a, b, c: a + b * np.exp(-np.abs(c) * x), (0.5, 0.5, 0.1)),
    (lambda x, a, b, c: a + b / (1 + np.abs(c) * x), (0.3, 0.7, 0.3)),
    (lambda x, a, b, c: a + b * np.exp(-np.abs(c) * np.sqrt(x)), (0.3, 0.7, 0.5)),
)


def _parametric(x: np.ndarray, y: np.ndarray, until: float) -> float:
    """Four saturating curves weighted by BIC, the usual parametric ensemble."""
    values, criteria = [], []
    for shape, start in _SHAPES:
        try:
            best, _ = curve_fit(shape, x, y, start, maxfev=2000)
        except (RuntimeError, TypeError, ValueError):
            continue
        residual = np.mean((shape(x, *best) - y) ** 2) + 1e-12
        values.append(shape(until, *best))
        criteria.append(len(x) * np.log(residual))
    if not values:
        return float(y[-1])
    weights = np.exp(-(np.array(criteria) - min(criteria)) / 2)
    return float(np.average(values, weights=weights))


def library_run(
    name: str, error: np.ndarray, lr: np.ndarray, weight: float, library: list[LibraryRun]
) -> LibraryRun:
    """A finished run as the library keeps it; its scores come from the other runs of `library`."""
    peak = float(np.nanmax(lr))
    draws = fit(Curve(error, lr), Prior([], peak), peak, steps=1500).draws
    draws = draws[:, : len(np.median(draws, 0))]
    scores = [trial(name, error, lr, seen, library).score for seen in cuts(len(error))] if library else []
    first = tuple(round(float(e), 6) for e in error[:5])
    return LibraryRun(name, peak, first, weight, np.median(draws, 0), draws.std(0), tuple(scores))
