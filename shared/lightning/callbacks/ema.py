"""Exponential moving average of the weights: what is validated, and what `evaluate.py` takes from a checkpoint."""

from typing import Any

import lightning
import torch
from torch import Tensor

from shared.lightning.task import Task


class EMA(lightning.Callback):
    """average += (1 - decay) * (weights - average) after each optimizer step, float buffers included.

    The decay starts low, min(decay, (1 + steps) / (10 + steps)), so that the first weights are soon forgotten.
    """

    def __init__(self, decay: float) -> None:
        self.decay = decay
        self.average: dict[str, Tensor] = {}
        self.live: dict[str, Tensor] = {}
        self.steps = 0

    def on_fit_start(self, trainer: lightning.Trainer, task: Task) -> None:
        if not self.average:
            self.average = {name: tensor.clone() for name, tensor in weights(task).items()}
        self.average = {name: tensor.to(task.device) for name, tensor in self.average.items()}

    def on_train_start(self, trainer: lightning.Trainer, task: Task) -> None:
        self.steps = trainer.global_step

    def on_train_batch_end(
        self, trainer: lightning.Trainer, task: Task, out: Any, batch: Any, batch_idx: int
    ) -> None:
        if trainer.global_step == self.steps:
            return  # the step was skipped
        self.steps = trainer.global_step
        decay = min(self.decay, (1 + self.steps) / (10 + self.steps))
        torch._foreach_lerp_(list(self.average.values()), list(weights(task).values()), 1 - decay)

    def on_validation_start(self, trainer: lightning.Trainer, task: Task) -> None:
        current = weights(task)
        self.live = {name: tensor.clone() for name, tensor in current.items()}
        put(self.average, current)

    def on_validation_end(self, trainer: lightning.Trainer, task: Task) -> None:
        put(self.live, weights(task))
        self.live = {}

    def on_save_checkpoint(self, trainer: lightning.Trainer, task: Task, checkpoint: dict[str, Any]) -> None:
        """A checkpoint written during validation holds the trained weights, too."""
        checkpoint["ema"] = self.average
        checkpoint["state_dict"].update({f"model.{name}": tensor for name, tensor in self.live.items()})

    def on_load_checkpoint(self, trainer: lightning.Trainer, task: Task, checkpoint: dict[str, Any]) -> None:
        self.average = checkpoint.get("ema", {})

    def roll_back(self, checkpoint: dict[str, Any]) -> None:
        """Forget what came after the checkpoint; the guard asks for it."""
        state = checkpoint["state_dict"]  # of a checkpoint from before the run was averaged
        put(checkpoint.get("ema") or {name: state[f"model.{name}"] for name in self.average}, self.average)


def weights(task: Task) -> dict[str, Tensor]:
    """The network's floating-point parameters and buffers, by name, sharing their memory."""
    return {name: t.detach() for name, t in task.model.state_dict().items() if t.is_floating_point()}


def put(source: dict[str, Tensor], target: dict[str, Tensor]) -> None:
    torch._foreach_copy_([target[name] for name in source], list(source.values()))
