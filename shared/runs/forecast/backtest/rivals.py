"""The forecasts people make by hand, to be beaten: last value, logarithm, parametric curves."""

import numpy as np
from scipy.optimize import curve_fit


def rivals(error: np.ndarray, until: int) -> dict[str, float]:
    """Each method's forecast of the error at epoch `until` from `error` by epoch."""
    epoch = np.arange(1.0, len(error) + 1)
    slope, base = np.polyfit(np.log(epoch), error, 1)
    return {
        "last value": float(error[-1]),
        "last 8, straight on": float(np.polyval(np.polyfit(epoch[-8:], error[-8:], 1), until)),
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
