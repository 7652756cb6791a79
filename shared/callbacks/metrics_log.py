"""Rows of metrics.csv, and the same rows to every other logger."""

from __future__ import annotations

import time
from typing import Any

from shared.fit.rails import Task, Trainer


class MetricsLog:
    """One row every `trainer.log_every_n_steps` steps (`step/*`) and one per epoch (`train/*`, `val/*`).

    `step/*` are means since the previous row, `train/*` means over the epoch. `time/*` are the only columns in which
    two runs of one seed differ. Leaves the epoch's metrics in `task.results` for the callbacks
    after it; they add columns of their own through `task.columns`.
    """

    def __init__(self) -> None:
        self.clock = Clock()
        self.validated: dict[str, float] = {}

    def on_train_start(self, trainer: Trainer, task: Task) -> None:
        self.clock.restart()

    def on_train_epoch_start(self, trainer: Trainer, task: Task) -> None:
        self.clock.restart()

    def on_train_batch_end(self, trainer: Trainer, task: Task, out: Any, batch: Any, batch_idx: int) -> None:
        self.clock.samples += task.rails.batching.effective
        counted = task.meter.count["window"]  # nothing, if the step was skipped
        if trainer.global_step % trainer.log_every_n_steps == 0 and counted:
            means = task.over_ranks(task.meter.read_window())
            self._write(trainer, task, {f"step/{name}": mean for name, mean in means.items()})

    def on_validation_start(self, trainer: Trainer, task: Task) -> None:
        self.clock.stop()

    def on_validation_end(self, trainer: Trainer, task: Task) -> None:
        found = trainer.callback_metrics.items()
        self.validated = {name: float(value) for name, value in found if name.startswith("val/")}

    def on_train_epoch_end(self, trainer: Trainer, task: Task) -> None:
        self.clock.stop()
        means = task.over_ranks(task.meter.read_epoch())
        means = {f"train/{name}": mean for name, mean in means.items()}
        task.results, self.validated = means | self.validated, {}
        self._write(trainer, task, task.results)
        task.rails.summary["samples_per_second"] = self.clock.rate()

    def _write(self, trainer: Trainer, task: Task, values: dict[str, float]) -> None:
        if not trainer.is_global_zero:
            return
        row = {
            "step": trainer.global_step,
            "epoch": trainer.current_epoch + 1,
            "lr": task.lr,
            **values,
            **task.columns,
        }
        row["time/samples_per_second"] = self.clock.rate()
        task.rails.folder.metrics.append(row)
        for logger in trainer.loggers:
            logger.log_metrics(
                {name: value for name, value in row.items() if name != "step"}, step=trainer.global_step
            )


class Clock:
    """Samples per second of training time; validation does not count."""

    def __init__(self) -> None:
        self.samples, self.seconds, self.total_samples = 0, 0.0, 0
        self.started: float | None = None
        self.restart()

    def restart(self) -> None:
        self.stop()
        self.total_samples += self.samples
        self.samples, self.seconds, self.started = 0, 0.0, time.perf_counter()

    def stop(self) -> None:
        if self.started is not None:
            self.seconds += time.perf_counter() - self.started
            self.started = None

    def rate(self) -> float:
        running = time.perf_counter() - self.started if self.started is not None else 0.0
        return round(self.samples / max(self.seconds + running, 1e-9), 2)
