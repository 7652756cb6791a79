"""Where a learning rate jumps upwards: restarts and resumed warm-ups, from the numbers alone."""

from dataclasses import dataclass

import numpy as np

JUMP = 2.0  # a rise by this factor in one epoch is a restart: warm-ups past the first epochs are gentler


@dataclass(frozen=True)
class Restart:
    """The first epoch at the raised learning rate, and the rates on both sides of it."""

    epoch: int
    before: float
    after: float

    @property
    def ratio(self) -> float:
        return self.after / max(self.before, 1e-12)


def find_restarts(epochs: np.ndarray, lr: np.ndarray) -> list[Restart]:
    """Every climb of the learning rate by JUMP or more, past the warm-up a run begins with.

    A second warm-up, as after a resume from nothing, is one restart, dated at its first epoch.
    """
    known = np.isfinite(lr)
    epochs, lr = epochs[known], lr[known]
    found: list[Restart] = []
    descended = False
    start = 0
    while start < len(lr) - 1:
        end = start
        while end < len(lr) - 1 and lr[end + 1] > lr[end]:
            end += 1
        if end > start:
            sudden = start > 0 and lr[start + 1] >= JUMP * lr[start]
            if (descended or sudden) and lr[end] >= JUMP * max(lr[start], 1e-12):
                found.append(Restart(int(epochs[start + 1]), float(lr[start]), float(lr[end])))
            start = end
        else:
            descended = descended or lr[start + 1] < lr[start]
            start += 1
    return found
