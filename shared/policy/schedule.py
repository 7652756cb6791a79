"""Learning-rate schedules as pure functions of the 0-based optimizer step: no state, no drift on resume.

Durations are given in epochs (fractions allowed) and become whole steps. A linear warm-up comes first; the
curve follows it, as in torch's SequentialLR. With `interval="epoch"` the LR is held within each epoch.
"""

import math
from dataclasses import dataclass

from shared.policy.schedule_base import Schedule


@dataclass(frozen=True, kw_only=True)
class Constant(Schedule):
    """The peak LR throughout."""

    def _curve(self, now: int) -> float:
        return self.peak

    def _words(self, total_steps: int) -> str:
        return f"constant LR {self.peak:.4g}"


@dataclass(frozen=True, kw_only=True)
class Annealing(Schedule):
    """A schedule that ends at the absolute LR `eta_min`."""

    eta_min: float = 0.0

    def __post_init__(self) -> None:
        super().__post_init__()
        fits = 0 <= self.eta_min <= self.peak
        self._require("eta_min", fits, f"must lie between 0 and the LR {self.peak:g}")


@dataclass(frozen=True, kw_only=True)
class Linear(Annealing):
    """Straight from the peak to `eta_min` at the end of the run (warm-up + linear: the FFCV recipe)."""

    def _curve(self, now: int) -> float:
        return self.peak + (self.eta_min - self.peak) * self._progress(now, self.total_steps)

    def _words(self, total_steps: int) -> str:
        return f"linear: LR {self.peak:.4g} -> {self.eta_min:.4g} at the end of epoch {self.epochs}"


@dataclass(frozen=True, kw_only=True)
class Cosine(Annealing):
    """Half a cosine from the peak to `eta_min` at the end of epoch `t_max` (None: of the run), then held."""

    t_max: float | None = None

    def __post_init__(self) -> None:
        super().__post_init__()
        fits = self.t_max is None or self.warmup_epochs < self.t_max < math.inf
        self._require("t_max", fits, "must be above warmup_epochs")

    def cycle_span(self, step: int) -> tuple[int, int]:
        return 0, max(self._end, super().cycle_span(step)[1])

    def _curve(self, now: int) -> float:
        return _cosine(self.peak, self.eta_min, self._progress(now, self._end))

    @property
    def _end(self) -> int:
        return self.total_steps if self.t_max is None else self._steps(self.t_max)

    def _words(self, total_steps: int) -> str:
        end = self._end / self.steps_per_epoch
        return f"cosine: LR {self.peak:.4g} -> {self.eta_min:.4g} at the end of epoch {end:.4g}"

    def _full_cycle_settings(self, total_steps: int) -> list[str]:
        settings = super()._full_cycle_settings(total_steps)
        if self.t_max is not None and total_steps > self._warmup:
            settings.append(f"schedule.t_max={total_steps / self.steps_per_epoch:.8g}")
        return settings


@dataclass(frozen=True, kw_only=True)
class CosineRestarts(Annealing):
    """Cosines of t_0, t_0 * t_mult, ... epochs, each from the peak to `eta_min` (SGDR, arXiv 1608.03983).

    >>> schedule = CosineRestarts(peak=0.1, epochs=6, steps_per_epoch=100, t_0=2, t_mult=2)
    >>> [round(schedule.lr(step), 3) for step in (0, 100, 199, 200, 400)]
    [0.1, 0.05, 0.0, 0.1, 0.05]
    >>> schedule.restarts(600)
    [200]
    """

    t_0: float
    t_mult: int = 1

    def __post_init__(self) -> None:
        super().__post_init__()
        fits = 0 < self.t_0 < math.inf and self._steps(self.t_0) >= 1
        self._require("t_0", fits, "must be at least one step long")
        self._require_whole("t_0")
        whole = self.t_mult >= 1 and self.t_mult == int(self.t_mult)
        self._require("t_mult", whole, "must be a whole number from 1")

    def cycle(self, step: int) -> int:
        return self._locate(step)[0]

    def cycle_span(self, step: int) -> tuple[int, int]:
        number, start, end = self._locate(step)
        return (0 if number == 1 else start), end

    def restarts(self, until_step: int) -> list[int]:
        found: list[int] = []
        end = self._locate(0)[2]
        while end < until_step:
            found.append(end)
            end = self._locate(end)[2]
        return found

    def _locate(self, step: int) -> tuple[int, int, int]:
        """Number, first step (after the warm-up) and end of the cosine around `step`."""
        number, start, length = 1, self._warmup, self._steps(self.t_0)
        if self.t_mult == 1:
            number += max(0, step - start) // length
            start += (number - 1) * length
        while self.t_mult > 1 and step >= start + length:
            number, start, length = number + 1, start + length, length * self.t_mult
        return number, start, start + length

    def _curve(self, now: int) -> float:
        _, start, end = self._locate(now)
        return _cosine(self.peak, self.eta_min, (now - start) / (end - start))

    def _words(self, total_steps: int) -> str:
        rhythm = f"every {self._epochs(self._steps(self.t_0))}"
        if self.t_mult > 1:
            rhythm = f"in cycles of {self._epochs(self._steps(self.t_0))}, each {self.t_mult} times longer"
        plan = f"cosine with warm restarts: LR {self.peak:.4g} -> {self.eta_min:.4g} {rhythm}"
        return f"{plan}; {self._restart_words(total_steps)}"

    def _restart_words(self, total_steps: int, shown: int = 5) -> str:
        steps = self.restarts(total_steps)
        if not steps:
            return "no restart in this run"
        epochs = ", ".join(f"{step / self.steps_per_epoch + 1:.8g}" for step in steps[:shown])
        factors = [f"x{self.lr(step) / self.lr(step - 1):,.0f}" for step in steps[:shown]]
        if len(steps) == 1:
            return f"LR restarts at epoch {epochs} ({factors[0]})"
        jumps = f"{factors[0]} each" if len(set(factors)) == 1 else ", ".join(factors)
        more = f" and {len(steps) - shown} more times" if len(steps) > shown else ""
        return f"LR restarts at epochs {epochs}{more} ({jumps})"

    def _full_cycle_settings(self, total_steps: int) -> list[str]:
        number = self.cycle(total_steps - 1)
        steps = total_steps - self._warmup
        fitting = []
        for cycles in sorted({number, number - 1, 1} - {0}, reverse=True):
            parts = sum(self.t_mult**i for i in range(cycles))
            if steps >= parts * self._unit and steps % (parts * self._unit) == 0:
                fitting.append(f"schedule.t_0={steps / parts / self.steps_per_epoch:.8g}")
        return super()._full_cycle_settings(total_steps) + fitting


@dataclass(frozen=True, kw_only=True)
class OneCycle(Schedule):
    """Up from peak / `div_factor` over `pct_start` of the run, then down to that / `final_div_factor`.

    Both ways along a cosine, as torch's OneCycleLR (arXiv 1708.07120). The rise is its warm-up.
    """

    pct_start: float = 0.3
    div_factor: float = 25.0
    final_div_factor: float = 1e4

    def __post_init__(self) -> None:
        super().__post_init__()
        no_warmup = self.warmup_epochs == 0
        self._require("warmup_epochs", no_warmup, "must be 0 (one_cycle rises over pct_start of the run)")
        self._require("pct_start", 0 <= self.pct_start < 1, "must lie between 0 and 1, 1 excluded")
        self._require("div_factor", self.div_factor >= 1, "must be at least 1")
        self._require("final_div_factor", self.final_div_factor >= 1, "must be at least 1")

    def _curve(self, now: int) -> float:
        first = self.peak / self.div_factor
        top, last = self.pct_start * self.total_steps - self._unit, self.total_steps - self._unit
        if now < top:
            return _cosine(first, self.peak, now / top)
        return _cosine(self.peak, first / self.final_div_factor, min(1.0, (now - top) / (last - top)))

    def _words(self, total_steps: int) -> str:
        first = self.peak / self.div_factor
        return (
            f"one cycle: LR {first:.4g} -> {self.peak:.4g} over {self.pct_start * self.epochs:.4g} epochs, "
            f"then -> {first / self.final_div_factor:.4g} at the end of epoch {self.epochs}"
        )


def _cosine(start: float, end: float, progress: float) -> float:
    return end + (start - end) * (1 + math.cos(math.pi * progress)) / 2
