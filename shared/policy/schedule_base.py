"""What every learning-rate schedule answers: LR, cycle and restarts at a step, and the plan in words."""

import math
from abc import ABC, abstractmethod
from dataclasses import dataclass
from typing import Literal


@dataclass(frozen=True, kw_only=True)
class Schedule(ABC):
    """One warm-up and one curve over the run; `peak` is the optimizer's LR, `epochs` the planned length.

    Raises ValueError whose message starts with the name of the offending field.
    """

    peak: float
    epochs: int
    steps_per_epoch: int
    warmup_epochs: float = 0.0
    interval: Literal["step", "epoch"] = "step"

    def __post_init__(self) -> None:
        self._require("peak", self.peak > 0 and math.isfinite(self.peak), "must be above 0")
        self._require("epochs", self.epochs >= 1, "must be at least 1")
        self._require("steps_per_epoch", self.steps_per_epoch >= 1, "must be at least 1")
        self._require("interval", self.interval in ("step", "epoch"), "must be step or epoch")
        self._require("warmup_epochs", 0 <= self.warmup_epochs < math.inf, "must be 0 or more")
        self._require_whole("warmup_epochs")

    def lr(self, step: int) -> float:
        """Learning rate that the optimizer uses in `step`."""
        now = step - step % self._unit
        if now < self._warmup:
            return self.peak * (now + self._unit) / (self._warmup + self._unit)
        return self._curve(now)

    def cycle(self, step: int) -> int:
        """1-based number of the annealing cycle that `step` belongs to; the warm-up is part of cycle 1."""
        return 1

    def cycle_span(self, step: int) -> tuple[int, int]:
        """First step of the cycle around `step`, and the first step after it."""
        after_warmup = (self._warmup // self.steps_per_epoch + 1) * self.steps_per_epoch
        return 0, max(self.total_steps, after_warmup)

    def cycle_progress(self, step: int) -> float:
        """Share of the cycle that is over before `step`, in [0, 1)."""
        start, end = self.cycle_span(step)
        return (min(step, end - 1) - start) / (end - start)

    def restarts(self, until_step: int) -> list[int]:
        """Steps before `until_step` at which the LR jumps back to its peak."""
        return []

    def describe(self, total_steps: int) -> str:
        """The schedule of a run of `total_steps` in words, epochs counted from 1."""
        warmup = f"linear warm-up over {self._epochs(self._warmup)}, then " if self._warmup else ""
        return warmup + self._words(total_steps)

    def mid_cycle_warning(self, total_steps: int) -> str | None:
        """Where a run of `total_steps` breaks off a cycle, and what to set instead; None if it does not."""
        last = total_steps - 1
        start, end = self.cycle_span(last)
        if total_steps >= end:
            return None
        done = f"{(total_steps - start) / self.steps_per_epoch:.4g} of its {self._epochs(end - start)}"
        settings = " or ".join(self._full_cycle_settings(total_steps))
        return (
            f"the run ends in the middle of cycle {self.cycle(last)}, after {done}, at LR {self.lr(last):.4g}"
            + (f"; set {settings}" if settings else "")
        )

    @property
    def total_steps(self) -> int:
        """Length of the planned run in steps."""
        return self.epochs * self.steps_per_epoch

    @property
    def _unit(self) -> int:
        """Steps for which the LR is held."""
        return 1 if self.interval == "step" else self.steps_per_epoch

    @property
    def _warmup(self) -> int:
        return self._steps(self.warmup_epochs)

    @abstractmethod
    def _curve(self, now: int) -> float:
        """LR at step `now`, after the warm-up."""

    @abstractmethod
    def _words(self, total_steps: int) -> str:
        """The curve after the warm-up, for `describe`."""

    def _full_cycle_settings(self, total_steps: int) -> list[str]:
        """Overrides with which a run of `total_steps` would end on a cycle's end."""
        ends = [end for end in self.cycle_span(total_steps - 1) if end > 0]
        if total_steps < self.total_steps:
            return [f"trainer.max_steps={end}" for end in ends]
        whole = [end // self.steps_per_epoch for end in ends if end % self.steps_per_epoch == 0]
        return [f"trainer.max_epochs={epochs}" for epochs in whole]

    def _steps(self, epochs: float) -> int:
        return round(epochs * self.steps_per_epoch)

    def _epochs(self, steps: int) -> str:
        epochs = steps / self.steps_per_epoch
        return f"{epochs:.4g} epoch{'' if epochs == 1 else 's'}"

    def _progress(self, now: int, end: int) -> float:
        """Share of the way from the end of the warm-up to `end`, in [0, 1]."""
        length = end - self._warmup
        return min(1.0, (now - self._warmup) / length) if length > 0 else 1.0

    def _require(self, field: str, holds: bool, rule: str) -> None:
        if not holds:
            raise ValueError(f"{field} {rule}, not {getattr(self, field)}")

    def _require_whole(self, field: str) -> None:
        whole = self.interval == "step" or float(getattr(self, field)).is_integer()
        self._require(field, whole, "must be a whole number of epochs with interval=epoch")
