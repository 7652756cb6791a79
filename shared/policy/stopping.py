"""Early stopping that knows about learning-rate restarts: patience counts only epochs that can improve.

After a restart the metric falls and recovers only as the LR comes down again, so the count pauses until the
LR is back at the level at which the best was reached. What was not counted is charged when the cycle ends
without a new best: a cycle is judged by its best. With a single cycle this is plain patience.
"""

import math
from dataclasses import asdict, dataclass
from typing import Any, Literal

from shared.policy.schedule_base import Schedule


@dataclass(frozen=True)
class Epoch:
    """A validated epoch (1-based) as the schedule sees it."""

    number: int
    lr: float
    cycle: int = 1
    ends_cycle: bool = False
    """No later validation belongs to this cycle."""
    next_cycle_fits: bool = True
    """The run is long enough for the next cycle to end, or ends here anyway."""

    @classmethod
    def of(cls, schedule: Schedule, number: int, total_steps: int, every: int = 1) -> "Epoch":
        """Epoch `number` of a run of `total_steps` that validates every `every` epochs."""
        last = number * schedule.steps_per_epoch - 1
        later = last + every * schedule.steps_per_epoch
        cycle = schedule.cycle(last)
        over = number * schedule.steps_per_epoch >= total_steps
        return cls(
            number,
            schedule.lr(last),
            cycle,
            ends_cycle=schedule.cycle(later) != cycle,
            next_cycle_fits=over or schedule.cycle_span(later)[1] <= total_steps,
        )


@dataclass(frozen=True)
class Decision:
    """What one observation led to; `reason` is empty where there is nothing to tell."""

    stop: bool
    status: Literal["early_stopped", "stopped_before_restart"] | None
    reason: str
    waited: int
    paused: bool
    is_best: bool
    is_cycle_best: bool


@dataclass
class Counters:
    """What a checkpoint has to remember; settings stay in the config."""

    best: float | None = None
    best_epoch: int = 0
    best_lr: float = 0.0
    cycle: int | None = None
    cycle_best: float | None = None
    cycle_best_epoch: int = 0
    restarted: bool = False
    since_restart: int = 0
    waited: int = 0
    uncharged: int = 0


class RestartAwarePatience:
    """Stops after `patience` validated epochs without a gain above `min_delta`, never before `min_epochs`.

    `grace` is how long a restart pauses the count: until the LR has "recovered", or a number of epochs.
    `stop_before_restart` ends the run at the end of a cycle if the budget left cannot finish the next one.
    """

    def __init__(
        self,
        patience: int,
        direction: Literal["min", "max"],
        min_delta: float = 0.0,
        min_epochs: int = 0,
        grace: int | Literal["recovered"] = "recovered",
        stop_before_restart: bool = False,
    ) -> None:
        if patience < 1:
            raise ValueError(f"patience must be at least 1, not {patience}")
        if direction not in ("min", "max"):
            raise ValueError(f"direction must be min or max, not {direction}")
        if not min_delta >= 0:
            raise ValueError(f"min_delta must be 0 or more, not {min_delta}")
        if grace != "recovered" and (isinstance(grace, str) or grace < 0):
            raise ValueError(f"grace must be recovered or a number of epochs, not {grace}")
        self.patience, self.direction, self.min_delta = patience, direction, min_delta
        self.min_epochs, self.grace, self.stop_before_restart = min_epochs, grace, stop_before_restart
        self.counters = Counters()

    def observe(self, epoch: Epoch, value: float) -> Decision:
        """Take in the monitored metric of one validated epoch; NaN and inf are never a gain."""
        now = self.counters
        if now.cycle != epoch.cycle:
            self.begin_cycle(epoch.cycle)
        now.since_restart += 1
        is_cycle_best = self._beats(value, now.cycle_best)
        if is_cycle_best:
            now.cycle_best, now.cycle_best_epoch = value, epoch.number
        is_best = self._beats(value, now.best, self.min_delta)
        if is_best:
            now.best, now.best_epoch, now.best_lr = value, epoch.number, epoch.lr
            now.waited = now.uncharged = 0
        paused = self._count(epoch, is_best)
        status, reason = self._judge(epoch, paused)
        return Decision(status is not None, status, reason, now.waited, paused, is_best, is_cycle_best)

    def begin_cycle(self, cycle: int) -> None:
        """A new cycle starts with the next epoch: at a restart, or on a resume with another schedule."""
        now = self.counters
        now.restarted = now.cycle is not None
        now.cycle, now.cycle_best, now.cycle_best_epoch = cycle, None, 0
        now.since_restart = now.uncharged = 0

    def state_dict(self) -> dict[str, Any]:
        return asdict(self.counters)

    def load_state_dict(self, state: dict[str, Any]) -> None:
        self.counters = Counters(**state)

    def _beats(self, value: float, best: float | None, margin: float = 0.0) -> bool:
        if best is None or not math.isfinite(value):
            return math.isfinite(value)
        return value > best + margin if self.direction == "max" else value < best - margin

    def _count(self, epoch: Epoch, is_best: bool) -> bool:
        """Count an epoch without a gain, or hold it back in a pause; True while paused."""
        now = self.counters
        paused = not is_best and self._recovering(epoch)
        now.waited += not is_best and not paused
        now.uncharged += paused
        if epoch.ends_cycle:
            now.waited, now.uncharged = now.waited + now.uncharged, 0
        return paused and not epoch.ends_cycle

    def _recovering(self, epoch: Epoch) -> bool:
        now = self.counters
        if not now.restarted or now.best is None:
            return False
        if self.grace == "recovered":
            return epoch.lr > now.best_lr * (1 + 1e-6)
        return now.since_restart <= self.grace

    def _judge(
        self, epoch: Epoch, paused: bool
    ) -> tuple[Literal["early_stopped", "stopped_before_restart"] | None, str]:
        now = self.counters
        best = "no finite value yet" if now.best is None else f"best {now.best:.4g} at epoch {now.best_epoch}"
        if epoch.number < self.min_epochs:
            return None, ""
        if paused:
            return None, self._pause_words(epoch, best)
        if now.waited >= self.patience:
            judged = f"cycle {epoch.cycle} brought nothing better, " if epoch.ends_cycle else ""
            return "early_stopped", f"{judged}{now.waited} epochs without improvement ({best})"
        if self.stop_before_restart and epoch.ends_cycle and not epoch.next_cycle_fits:
            return (
                "stopped_before_restart",
                f"cycle {epoch.cycle} is over and the epochs left cannot finish the next ({best})",
            )
        return None, ""

    def _pause_words(self, epoch: Epoch, best: str) -> str:
        now = self.counters
        if self.grace == "recovered":
            until = f"until LR {epoch.lr:.4g} is back at {now.best_lr:.4g}, where the best was reached"
        else:
            until = f"for {self.grace} epochs after the restart"
        plain = now.waited + now.uncharged >= self.patience
        verdict = f"; plain patience {self.patience} would have stopped the run" if plain else ""
        return f"cycle {epoch.cycle}: patience pauses {until} ({best}){verdict}"
