"""What to do about NaN and inf: skip the step, roll back, give up; and a watch for the spikes before."""

import math
from bisect import bisect_left, insort
from collections import deque
from dataclasses import dataclass
from typing import Any, Literal


@dataclass(frozen=True)
class Action:
    """What to do with this step, and why; `reason` is empty for proceed."""

    kind: Literal["proceed", "skip", "rollback", "abort"]
    reason: str = ""


class NonFinitePolicy:
    """Skips poisoned steps; `skip_limit` in a row roll back to the last good state, `max_rollbacks` times.

    Each rollback multiplies `lr_scale`, by which the planned LR is to be multiplied, by `lr_factor`. After a
    rollback go on with this very object: its counters must not return to the checkpoint's.
    """

    def __init__(self, skip_limit: int = 3, max_rollbacks: int = 2, lr_factor: float = 0.5) -> None:
        if skip_limit < 1:
            raise ValueError(f"skip_limit must be at least 1, not {skip_limit}")
        if max_rollbacks < 0:
            raise ValueError(f"max_rollbacks must be 0 or more, not {max_rollbacks}")
        if not 0 < lr_factor <= 1:
            raise ValueError(f"lr_factor must lie between 0 and 1, 0 excluded, not {lr_factor}")
        self.skip_limit, self.max_rollbacks, self.lr_factor = skip_limit, max_rollbacks, lr_factor
        self.in_a_row = self.skipped = self.rollbacks = 0

    @property
    def lr_scale(self) -> float:
        return self.lr_factor**self.rollbacks

    def observe(self, step: int, finite: bool, what: str = "loss", can_roll_back: bool = True) -> Action:
        """Decide on a step before the optimizer takes it; `what` was found finite or not.

        `can_roll_back` says whether there is a good state to return to.
        """
        if finite:
            self.in_a_row = 0
            return Action("proceed")
        self.in_a_row += 1
        self.skipped += 1
        found = f"step {step}: non-finite {what}"
        if self.in_a_row < self.skip_limit:
            return Action("skip", f"{found}, step skipped ({self.in_a_row} in a row, {self.skipped} in all)")
        found = f"{found}, {self.in_a_row} in a row"
        if not can_roll_back:
            return Action("abort", f"{found}, and no good checkpoint to go back to")
        if self.rollbacks == self.max_rollbacks:
            return Action("abort", f"{found}, after {self.rollbacks} of {self.max_rollbacks} rollbacks")
        self.rollbacks += 1
        self.in_a_row = 0
        which = f"rollback {self.rollbacks} of {self.max_rollbacks}"
        return Action("rollback", f"{found}: back to the last good state, LR x{self.lr_scale:g} ({which})")

    def state_dict(self) -> dict[str, int]:
        return {"in_a_row": self.in_a_row, "skipped": self.skipped, "rollbacks": self.rollbacks}

    def load_state_dict(self, state: dict[str, int]) -> None:
        self.in_a_row, self.skipped = state["in_a_row"], state["skipped"]
        self.rollbacks = state["rollbacks"]


@dataclass(frozen=True)
class Spike:
    """A value far above the recent ones: `score` robust standard deviations above their `median`."""

    step: int
    value: float
    median: float
    score: float

    def describe(self, name: str) -> str:
        """In words, `name` being the series."""
        above = f"{self.score:.0f} robust deviations above the median {self.median:.4g}"
        return f"step {self.step}: {name} {self.value:.4g}, {above}"


class SpikeWatch:
    """Reports the first value of each spike of a series (loss, gradient norm) above its rolling window.

    Robust z-score (x - median) / (1.4826 MAD) (Iglewicz and Hoaglin, 1993) over the last `window` finite
    values; a scale below 1 % of the median counts as 1 %. O(log window) comparisons, one memmove per value.
    """

    def __init__(self, window: int = 200, threshold: float = 8.0) -> None:
        if window < 4:
            raise ValueError(f"window must be at least 4, not {window}")
        if not threshold > 0:
            raise ValueError(f"threshold must be above 0, not {threshold}")
        self.window, self.threshold = window, threshold
        self._recent: deque[float] = deque()
        self._ordered: list[float] = []
        self._spiking = False

    def observe(self, step: int, value: float) -> Spike | None:
        """Take in one value; silent until half the window is known, and about NaN and inf."""
        if not math.isfinite(value):
            return None
        median, score = self._score(value)
        known = 2 * len(self._recent) >= self.window
        self._remember(value)
        began = known and score > self.threshold and not self._spiking
        self._spiking = known and score > self.threshold
        return Spike(step, value, median, score) if began else None

    def state_dict(self) -> dict[str, Any]:
        return {"recent": list(self._recent), "spiking": self._spiking}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        self._recent, self._ordered, self._spiking = deque(), [], state["spiking"]
        for value in state["recent"]:
            self._remember(value)

    def _remember(self, value: float) -> None:
        self._recent.append(value)
        insort(self._ordered, value)
        while len(self._recent) > self.window:
            del self._ordered[bisect_left(self._ordered, self._recent.popleft())]

    def _score(self, value: float) -> tuple[float, float]:
        """Median of the window and robust z-score of `value`."""
        ordered = self._ordered
        if not ordered:
            return value, 0.0
        median = (ordered[len(ordered) // 2] + ordered[(len(ordered) - 1) // 2]) / 2
        scale = max(1.4826 * _mad(ordered, median), 0.01 * abs(median))
        if scale == 0.0:
            return median, math.inf if value > median else 0.0
        return median, (value - median) / scale


def _mad(ordered: list[float], median: float) -> float:
    """(Upper) median of the absolute deviations.

    The half of the values nearest to the median is a run of `half` neighbours; bisect finds where it starts.
    """
    half = len(ordered) // 2 + 1

    def leans_right(start: int) -> bool:
        return ordered[start + half - 1] - median >= median - ordered[start]

    last = len(ordered) - half
    start = bisect_left(range(last + 1), True, key=leans_right)
    candidates = {max(0, start - 1), min(start, last)}
    return min(max(median - ordered[i], ordered[i + half - 1] - median) for i in candidates)
