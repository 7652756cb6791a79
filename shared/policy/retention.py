"""Which checkpoint is best, last, best of its cycle or a milestone, and which may be deleted.

A checkpoint that was not verified yet never displaces a verified one: until it is, each role keeps both.
"""

import math
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import Literal


@dataclass(frozen=True)
class Checkpoint:
    """One checkpoint file; `metric` is the monitored value (None if there is none), epochs count from 1."""

    name: str
    epoch: int
    step: int
    metric: float | None = None
    cycle: int = 1
    verified: bool = False


@dataclass(frozen=True)
class Retention:
    """Keeps best, last, bests of the newest `keep_cycles` cycles (None: all) and the epochs `milestones`."""

    direction: Literal["min", "max"]
    milestones: Sequence[int] = ()
    keep_cycles: int | None = None

    def __post_init__(self) -> None:
        if self.direction not in ("min", "max"):
            raise ValueError(f"direction must be min or max, not {self.direction}")
        if any(epoch < 1 for epoch in self.milestones):
            raise ValueError(f"milestones must be epochs from 1, not {list(self.milestones)}")
        if self.keep_cycles is not None and self.keep_cycles < 0:
            raise ValueError(f"keep_cycles must be 0 or more, not {self.keep_cycles}")

    def roles(self, checkpoints: Iterable[Checkpoint]) -> dict[str, Checkpoint]:
        """Holder of each role: best, last, cycle-N-best, milestone-E (the newest of epoch E)."""
        found = list(checkpoints)
        measured = [c for c in found if c.metric is not None and math.isfinite(c.metric)]
        roles = self._holder("last", found, _step) | self._holder("best", measured, self._merit)
        cycles = sorted({c.cycle for c in measured}, reverse=True)[: self.keep_cycles]
        for cycle in reversed(cycles):
            in_cycle = [c for c in measured if c.cycle == cycle]
            roles |= self._holder(f"cycle-{cycle}-best", in_cycle, self._merit)
        for epoch in self.milestones:
            roles |= self._holder(f"milestone-{epoch}", [c for c in found if c.epoch == epoch], _step)
        return roles

    def deletable(self, checkpoints: Iterable[Checkpoint]) -> list[Checkpoint]:
        """Checkpoints without a role, also if only verified files counted; oldest first."""
        found = list(checkpoints)
        trusted = [c for c in found if c.verified]
        kept = {c.name for roles in (self.roles(found), self.roles(trusted)) for c in roles.values()}
        return sorted((c for c in found if c.name not in kept), key=_step)

    def files_at_most(self, cycles: int) -> int:
        """Files that stay after a run of `cycles` cycles, for the estimate of disk space."""
        kept_cycles = cycles if self.keep_cycles is None else min(cycles, self.keep_cycles)
        return 2 + kept_cycles + len(set(self.milestones))

    def _merit(self, checkpoint: Checkpoint) -> tuple[float, int]:
        """Larger is better; of equals the earlier."""
        metric = checkpoint.metric or 0.0
        return (metric if self.direction == "max" else -metric), -checkpoint.step

    @staticmethod
    def _holder(
        role: str, candidates: list[Checkpoint], key: Callable[[Checkpoint], tuple[float, int]]
    ) -> dict[str, Checkpoint]:
        return {role: max(candidates, key=key)} if candidates else {}


def _step(checkpoint: Checkpoint) -> tuple[float, int]:
    return checkpoint.step, checkpoint.epoch
