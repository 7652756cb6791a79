"""Says what the learning rate does: announces restarts before they come, raises the alarm on jumps nobody planned."""

from __future__ import annotations

import logging
import math
from typing import Any

from shared.fit.rails import Task, Trainer
from shared.runs.reading.names import is_rate


class LRMonitor:
    """Logs `lr/cycle` and `lr/cycle_progress`, and compares the LR that each step used with the plan.

    A deviation is one event when it begins, not one a step. `tolerance` is relative.
    """

    def __init__(self, tolerance: float = 1e-6) -> None:
        self.tolerance = tolerance
        self.deviating = False

    def on_train_epoch_start(self, trainer: Trainer, task: Task) -> None:
        schedule, step = task.rails.schedule, trainer.global_step
        now, epochs = trainer.current_epoch + 1, schedule.steps_per_epoch
        for restart in schedule.restarts(min(step + 2 * epochs, schedule.total_steps)):
            ratio = schedule.lr(restart) / max(schedule.lr(restart - 1), 1e-30)
            epoch = restart // epochs + 1
            if epoch == now and restart >= step:
                self._at_restart(task, epoch, step, restart, ratio)
            elif epoch == now + 1:
                message = f"epoch {now}: LR restart x{ratio:,.0f} in the next epoch; the metric will fall, then recover"
                task.rails.folder.events.add("restart_ahead", message, epoch=now, step=step)

    def _at_restart(self, task: Task, epoch: int, step: int, restart: int, ratio: float) -> None:
        cycle = task.rails.schedule.cycle(restart - 1)
        best, name = task.rails.cycle_bests.get(cycle), task.rails.monitor
        kept = (
            f"cycle best so far {words(name, best)} is kept as cycle-{cycle}-best.ckpt"
            if best is not None
            else ""
        )
        message = f"epoch {epoch}: LR restart x{ratio:,.0f}, expect the metric to fall; {kept}".rstrip("; ")
        task.rails.folder.events.add("restart", message, epoch=epoch, step=step, ratio=ratio)

    def on_train_batch_end(self, trainer: Trainer, task: Task, out: Any, batch: Any, batch_idx: int) -> None:
        schedule, step = task.rails.schedule, max(trainer.global_step - 1, 0)
        task.columns["lr/cycle"] = schedule.cycle(step)
        task.columns["lr/cycle_progress"] = schedule.cycle_progress(step)
        planned = task.planned_lr
        deviating = not math.isclose(task.lr, planned, rel_tol=self.tolerance, abs_tol=1e-15)
        if deviating and not self.deviating:
            ratio = task.lr / planned if planned else math.inf
            message = f"step {step}: LR {task.lr:.6g} was used where {planned:.6g} is planned (x{ratio:,.3g})"
            epoch = trainer.current_epoch + 1
            task.rails.folder.events.add(
                "lr_deviation", message, epoch=epoch, step=step, level=logging.WARNING
            )
        self.deviating = deviating


def words(name: str, value: float) -> str:
    """A metric as a person reads it: rates in percent."""
    return f"{100 * value:.2f} %" if is_rate(name) else f"{value:.4g}"
