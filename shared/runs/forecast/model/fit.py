"""Fitting the law to the epochs seen so far, and drawing the epochs to come."""

from dataclasses import dataclass

import numpy as np

from shared.runs.forecast.model.law import SIZE, Clock, curve, make_clock, spread
from shared.runs.forecast.model.prior import Prior
from shared.runs.forecast.model.sampler import sample

WALKERS, STEPS, DRAWS = 96, 1500, 1000
MAX_STEPS = 160  # longer histories are folded: the law is smooth
EVENT_SD = 0.1  # of an event's shift, relative to the error


@dataclass(frozen=True)
class Curve:
    """The past as errors: `error` (epochs,), NaN where unknown, and `lr` of the same epochs, from epoch 1.

    `events`: the epochs, past or to come, from which something else than the learning rate differs.
    """

    error: np.ndarray
    lr: np.ndarray
    events: tuple[int, ...] = ()

    @property
    def level(self) -> float:
        """The unit of error: its median over the later half of the epochs at a high learning rate."""
        known = np.isfinite(self.error)
        hot = self.error[known & (self.lr >= self.lr[known].max() / 2)]
        return max(float(np.median(hot[len(hot) // 2 :])), 1e-9)


@dataclass(frozen=True)
class Fit:
    """Posterior draws (DRAWS, parameters) of the law for one history."""

    draws: np.ndarray
    level: float
    peak: float
    history: Curve
    log_density: float

    def paths(self, lr: np.ndarray, seed: int = 0) -> tuple[np.ndarray, np.ndarray]:
        """Mean and noisy errors by epoch, each (DRAWS, len(lr)), under the rates `lr` from epoch 1 on."""
        stride = -(-len(lr) // (2 * MAX_STEPS))
        lr = np.asarray(lr, float)
        clock = _clock(self.history, lr, self.peak, stride, len(self.history.lr))
        noise = np.random.default_rng(seed).standard_t(5, (len(self.draws), len(lr)))
        mean, sd = (_unfold(f(self.draws, clock), stride, len(lr)) for f in (curve, spread))
        sd = np.sqrt(sd**2 + (_scatter_within(self.history.error) / self.level) ** 2)
        return self.level * mean, self.level * (mean + sd * noise)


def fit(history: Curve, prior: Prior, peak: float, seed: int = 0, steps: int = STEPS) -> Fit:
    """Posterior of the law given the past; the same seed gives the same draws.

    Likelihood: Student-t with 5 degrees of freedom about the law, which one bad epoch does not impress.
    """
    stride = -(-len(history.error) // MAX_STEPS)
    clock = _clock(history, history.lr, peak, stride, len(history.lr))
    error = _fold(history.error, stride) / history.level
    known = np.isfinite(error)
    events = len(clock.events)

    def log_density(theta: np.ndarray) -> np.ndarray:
        with np.errstate(all="ignore"):
            sd = spread(theta, clock)[:, known]
            z = (error[known] - curve(theta, clock)[:, known]) / sd
            value = (-3 * np.log1p(z * z / 5) - np.log(sd)).sum(1) + prior.log_density(theta)
            value -= ((theta[:, SIZE:] / EVENT_SD) ** 2).sum(1) / 2
        return np.where(np.isfinite(value), value, -1e30)

    rng = np.random.default_rng(seed)
    start = np.hstack([prior.draw(rng, 3000), EVENT_SD * rng.normal(size=(3000, events))])
    density = log_density(start)
    start = start[np.argsort(-density)[:WALKERS]]
    draws = sample(log_density, start, steps, DRAWS, rng)
    return Fit(draws, history.level, peak, history, float(np.median(log_density(draws))))


def _clock(history: Curve, lr: np.ndarray, peak: float, stride: int, seen: int) -> Clock:
    events = tuple(min((epoch - 1) // stride, len(lr)) for epoch in history.events)
    return make_clock(_fold(lr, stride), peak, -(-seen // stride), stride, events)


def _fold(values: np.ndarray, stride: int) -> np.ndarray:
    """Means over `stride` epochs, of the finite ones; NaN where there are none."""
    padded = np.full(-(-len(values) // stride) * stride, np.nan)
    padded[: len(values)] = values
    blocks = padded.reshape(-1, stride)
    count = np.isfinite(blocks).sum(1)
    total = np.where(np.isfinite(blocks), blocks, 0.0).sum(1)
    return np.divide(total, count, out=np.full(len(blocks), np.nan), where=count > 0)


def _scatter_within(error: np.ndarray) -> float:
    """Scale of single epochs about the means that were fitted, of the later half; 0 where nothing was folded.

    The law of total variance: one epoch scatters by this and by the means' own scatter about the law.
    A Student-t with 5 degrees of freedom and scale 1 has the variance 5 / 3.
    """
    stride = -(-len(error) // MAX_STEPS)
    away = error - np.repeat(_fold(error, stride), stride)[: len(error)]
    recent = away[len(away) // 2 :]
    recent = recent[np.isfinite(recent)]
    return float(np.sqrt(np.mean(recent**2) * 3 / 5)) if len(recent) else 0.0


def _unfold(values: np.ndarray, stride: int, length: int) -> np.ndarray:
    return np.repeat(values, stride, axis=1)[:, :length]
