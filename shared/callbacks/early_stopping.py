"""Ends a run when its metric no longer improves, and not because the learning rate has just restarted."""

from __future__ import annotations

from typing import Any, Literal

from shared.fit.rails import Task, Trainer
from shared.policy.stopping import Epoch, RestartAwarePatience


class EarlyStopping:
    """Settings of `RestartAwarePatience`; the monitored metric and its direction are `monitor` in the config."""

    def __init__(
        self,
        patience: int,
        min_delta: float = 0.0,
        min_epochs: int | None = 0,
        grace: int | Literal["recovered"] = "recovered",
        stop_before_restart: bool = False,
    ) -> None:
        self.settings = {"patience": patience, "min_delta": min_delta, "min_epochs": min_epochs or 0}
        self.settings |= {"grace": grace, "stop_before_restart": stop_before_restart}
        self.policy = RestartAwarePatience(direction="min", **self.settings)
        self.paused = False

    def setup(self, trainer: Trainer, task: Task, stage: str) -> None:
        self.policy = RestartAwarePatience(direction=task.rails.mode, **self.settings)

    def state_dict(self) -> dict[str, Any]:
        return {"counters": self.policy.state_dict(), "paused": self.paused}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        self.policy.load_state_dict(state["counters"])
        self.paused = state["paused"]

    def on_train_start(self, trainer: Trainer, task: Task) -> None:
        if task.rails.start.lr_jump:  # to the metric, an extension to a higher LR is a restart
            self.policy.begin_cycle(task.rails.schedule.cycle(trainer.global_step))

    def on_train_epoch_end(self, trainer: Trainer, task: Task) -> None:
        value = task.results.get(task.rails.monitor)
        if value is None:
            return
        schedule, every = task.rails.schedule, trainer.check_val_every_n_epoch or 1
        epoch = Epoch.of(schedule, trainer.current_epoch + 1, schedule.total_steps, every)
        decision = self.policy.observe(epoch, value)
        began, self.paused = decision.paused and not self.paused, decision.paused
        if decision.stop:
            task.rails.stop(trainer, decision.status, decision.status, decision.reason)
        elif began or "would have stopped" in decision.reason:
            at = {"epoch": epoch.number, "step": trainer.global_step}
            task.rails.folder.events.add("patience_paused", decision.reason, **at)
