"""The law: error = floor + progress + learning-rate noise, all driven by the learning rate alone.

With r = lr / peak lr and S the sum of r over the epochs so far,

    error(t) = u + p ((S_t + s) / (S_ref + s))^-a + n_t + c (n_t - n_{t-1})^+,
    n_t      = n_{t-1} + (b r_t^g - n_{t-1}) (1 - exp(-k r_t)).

u: floor; p: what training still removes, at S_ref; b r^g: the noise floor that annealing takes away
(quasi-static SGD noise, compare Functional Scaling Laws, arXiv 2509.19189); k: how fast that noise follows
the learning rate, in inverse epochs at the peak rate; c: the shock of a sudden rise. A restart raises n and
nothing else: the drop is noise, not forgetting, which is what runs with learning-rate resets show.
"""

from dataclasses import dataclass

import numpy as np

NAMES = ("floor", "progress", "exponent", "noise", "power", "rate", "offset", "shock", "sd", "sd_noise")
FLOOR, PROGRESS, EXPONENT, NOISE, POWER, RATE, OFFSET, SHOCK, SD, SD_NOISE = range(len(NAMES))
SIZE = len(NAMES)


@dataclass(frozen=True)
class Clock:
    """The learning rate as the law sees it, one entry a time step of `stride` epochs.

    `rate`: lr / peak; `progress`: cumulative rate in epochs; `reference`: the progress at which p holds;
    `events`: indices of time steps from which the error is shifted by an amount of its own.
    """

    rate: np.ndarray
    progress: np.ndarray
    reference: float
    stride: int = 1
    events: tuple[int, ...] = ()


def make_clock(
    lr: np.ndarray, peak: float, seen: int, stride: int = 1, events: tuple[int, ...] = ()
) -> Clock:
    """The clock of a learning rate by time step, of which the first `seen` are in the past."""
    rate = np.clip(lr / peak, 0.0, None)
    progress = np.cumsum(rate) * stride
    return Clock(rate, progress, max(float(progress[seen - 1]) / 2, 1e-3), stride, events)


def curve(theta: np.ndarray, clock: Clock) -> np.ndarray:
    """Mean error by time step, shape (walkers, steps), for `theta` (walkers, SIZE + events).

    The first SIZE entries are logarithms, the rest the events' shifts.
    """
    value = np.exp(theta[:, :SIZE, None])
    offset = value[:, OFFSET] * clock.reference
    stretch = (clock.progress + offset) / (clock.reference + offset)
    error = value[:, FLOOR] + value[:, PROGRESS] * stretch ** -value[:, EXPONENT] + _noise(value, clock)
    for number, start in enumerate(clock.events):
        error[:, start:] += theta[:, SIZE + number, None]
    return error


def _noise(value: np.ndarray, clock: Clock) -> np.ndarray:
    """The last two terms of the law, shape (walkers, steps); the noise starts in equilibrium.

    The recursion is summed in logarithms: with c_t = log(b r_t^g (1 - exp(-k r_t))) + k S_t,
    log n_t = log(sum of exp(c) up to t) - k S_t.
    """
    with np.errstate(divide="ignore"):
        target = np.log(value[:, NOISE]) + value[:, POWER] * np.log(clock.rate)
        follow = np.log(-np.expm1(-value[:, RATE] * clock.rate * clock.stride))
    follow[:, 0] = 0.0
    time = value[:, RATE] * clock.progress
    noise = np.exp(np.logaddexp.accumulate(target + follow + time, axis=1) - time)
    rise = np.diff(noise, axis=1, prepend=noise[:, :1]).clip(min=0)
    return noise + value[:, SHOCK] * rise


def spread(theta: np.ndarray, clock: Clock) -> np.ndarray:
    """Scatter of one value about the mean, shape (walkers, steps): larger at a high learning rate."""
    return np.sqrt(np.exp(2 * theta[:, SD, None]) + np.exp(2 * theta[:, SD_NOISE, None]) * clock.rate)
