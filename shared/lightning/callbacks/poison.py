"""Spoils chosen batches with NaN, to watch the guard at work: only experiments and tests configure it."""

import lightning
import torch

from shared.lightning.task import Batch, Task


class Poison(lightning.Callback):
    """Puts NaN into the first sample's `key` in the batches of `steps` (counted from 1 over the run)."""

    def __init__(self, steps: list[int], key: str) -> None:
        self.steps, self.key = set(steps), key

    def on_train_batch_start(
        self, trainer: lightning.Trainer, task: Task, batch: Batch, batch_idx: int
    ) -> None:
        step = trainer.current_epoch * task.rails.schedule.steps_per_epoch + batch_idx + 1
        if step in self.steps:
            batch[self.key] = batch[self.key].float()
            batch[self.key][0] = torch.nan
