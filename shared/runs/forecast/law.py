"""The law: error = floor + progress + learning-rate noise, all driven by the learning rate alone.

With r = lr / peak lr and S the sum of r over the epochs so far,

    error(t) = u + p ((S_t + s) / (S_ref + s))^-a + n_t,
    n_t      = n_{t-1} + (b r_t^g - n_{t-1}) (1 - exp(-k r_t)).

u: floor; p: what training still removes, at S_ref; b r^g: the noise floor that annealing takes away
(quasi-static SGD noise, compare Functional Scaling Laws, arXiv 2509.19189); k: how fast that noise follows
the learning rate, in inverse epochs at the peak rate. A restart raises n and nothing else: the drop is noise,
not forgetting, which is what runs with learning-rate resets show.
"""

from dataclasses import dataclass

import numpy as np

NAMES = ("floor", "progress", "exponent", "noise", "power", "rate", "offset", "sd", "sd_noise")
FLOOR, PROGRESS, EXPONENT, NOISE, POWER, RATE, OFFSET, SD, SD_NOISE = range(len(NAMES))
SIZE = len(NAMES)


@dataclass(frozen=True)
class Clock:
    """The learning rate as the law sees it, one entry an epoch.

    `rate`: lr / peak; `progress`: cumulative rate; `reference`: the progress at which `p` is measured.
    """

    rate: np.ndarray
    progress: np.ndarray
    reference: float

    @classmethod
    def of(cls, lr: np.ndarray, peak: float, reference: float | None = None) -> "Clock":
        rate = np.clip(lr / peak, 0.0, None)
        progress = np.cumsum(rate)
        return cls(rate, progress, float(progress[-1]) / 2 if reference is None else reference)


def curve(theta: np.ndarray, clock: Clock) -> np.ndarray:
    """Mean error by epoch, shape (walkers, epochs), for `theta` (walkers, SIZE) of log parameters."""
    value = np.exp(theta[:, :, None])
    offset = value[:, OFFSET] * clock.reference
    stretch = (clock.progress + offset) / (clock.reference + offset)
    progress = value[:, PROGRESS] * stretch ** -value[:, EXPONENT]
    return value[:, FLOOR] + progress + _noise(value, clock)


def _noise(value: np.ndarray, clock: Clock) -> np.ndarray:
    """n_t of the law, shape (walkers, epochs); it starts in equilibrium."""
    target = value[:, NOISE] * clock.rate ** value[:, POWER]
    follow = -np.expm1(-value[:, RATE] * clock.rate)
    noise = np.empty_like(target)
    level = target[:, 0]
    for epoch in range(target.shape[1]):
        level = level + (target[:, epoch] - level) * follow[:, epoch]
        noise[:, epoch] = level
    return noise


def spread(theta: np.ndarray, clock: Clock) -> np.ndarray:
    """Scatter of one epoch about the mean, shape (walkers, epochs): larger at a high learning rate."""
    return np.sqrt(np.exp(2 * theta[:, SD, None]) + np.exp(2 * theta[:, SD_NOISE, None]) * clock.rate)
