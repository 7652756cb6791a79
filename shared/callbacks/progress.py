"""A progress bar on a terminal, plain lines elsewhere: loss, the monitored metric, LR, samples/s and time left."""

from __future__ import annotations

import logging
import time
from typing import Any

from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn

from shared.fit.rails import Task, Trainer
from shared.record.duration import duration

log = logging.getLogger(__name__)


class ProgressBar:
    """`refresh`: seconds between updates of the bar; `lines_every`: seconds between plain lines."""

    def __init__(self, refresh: float = 0.5, lines_every: float = 30.0) -> None:
        self.refresh, self.lines_every = refresh, lines_every
        self.bar: Progress | None = None
        self.shown = self.began = time.monotonic()
        self.first_step = 0
        self.monitored = ""

    def on_train_start(self, trainer: Trainer, task: Task) -> None:
        self.shown = self.began = time.monotonic()
        self.first_step = trainer.global_step
        bar = Progress(
            TextColumn("[bold]{task.description}"),
            BarColumn(),
            MofNCompleteColumn(),
            TextColumn("{task.fields[facts]}"),
        )
        if trainer.is_global_zero and bar.console.is_terminal:
            self.bar = bar
            self.train = bar.add_task("", total=trainer.num_training_batches, facts="")
            self.validation = bar.add_task("validation", visible=False, facts="")
            bar.start()

    def on_train_batch_end(self, trainer: Trainer, task: Task, out: Any, batch: Any, batch_idx: int) -> None:
        now = time.monotonic()
        if now - self.shown < (self.refresh if self.bar else self.lines_every):
            return
        self.shown = now
        title, facts = f"epoch {trainer.current_epoch + 1}/{trainer.max_epochs}", self._facts(trainer, task)
        if self.bar:
            total = trainer.num_training_batches
            self.bar.update(self.train, description=title, completed=batch_idx + 1, total=total, facts=facts)
        elif trainer.is_global_zero:
            log.info("%s batch %d/%d  %s", title, batch_idx + 1, trainer.num_training_batches, facts)

    def on_validation_batch_end(
        self,
        trainer: Trainer,
        task: Task,
        out: Any,
        batch: Any,
        batch_idx: int,
        dataloader_idx: int = 0,
    ) -> None:
        if self.bar and time.monotonic() - self.shown > self.refresh:
            self.shown = time.monotonic()
            total = trainer.num_val_batches[0]
            self.bar.update(self.validation, visible=True, completed=batch_idx + 1, total=total)

    def on_train_epoch_end(self, trainer: Trainer, task: Task) -> None:
        name = task.rails.monitor
        if name in task.results:
            self.monitored = f"{name} {task.results[name]:.4f}"
        results = "  ".join(f"{key} {value:.4g}" for key, value in sorted(task.results.items()))
        if self.bar:
            self.bar.update(self.validation, visible=False)
        if trainer.is_global_zero:
            left = duration(self._seconds_left(trainer))
            title = f"epoch {trainer.current_epoch + 1}/{trainer.max_epochs}"
            log.info("%s  %s  lr %.3g  %s left", title, results, task.lr, left)

    def teardown(self, trainer: Trainer, task: Task, stage: str) -> None:
        if self.bar:
            self.bar.stop()
            self.bar = None

    def _facts(self, trainer: Trainer, task: Task) -> str:
        steps = max(trainer.global_step - self.first_step, 1)
        rate = steps * task.rails.batching.effective / (time.monotonic() - self.began)
        parts = [
            f"loss {float(task.last_loss):.4f}",
            self.monitored,
            f"lr {task.lr:.3g}",
            f"{rate:.1f} samples/s",
        ]
        return "  ".join(part for part in [*parts, f"{duration(self._seconds_left(trainer))} left"] if part)

    def _seconds_left(self, trainer: Trainer) -> float:
        done = max(trainer.global_step - self.first_step, 1)
        planned = trainer.max_epochs * trainer.num_training_batches
        return (time.monotonic() - self.began) / done * max(planned - trainer.global_step, 0)
