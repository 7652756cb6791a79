"""Exponential moving average of a Paddle network: what is validated, and what `evaluate.py` takes from a checkpoint."""

from typing import Any

import paddle
from paddle import Tensor

from shared.paddle.state import arrays
from shared.paddle.task import Task
from shared.paddle.trainer import Trainer


class EMA:
    """average += (1 - decay) * (weights - average) after each optimizer step, float buffers included.

    The decay starts low, min(decay, (1 + steps) / (10 + steps)), so that the first weights are soon forgotten.
    """

    def __init__(self, decay: float) -> None:
        self.decay = decay
        self.average: dict[str, Tensor] = {}
        self.live: dict[str, Tensor] = {}
        self.steps = 0

    def on_load_checkpoint(self, trainer: Trainer, task: Task, checkpoint: dict[str, Any]) -> None:
        self.average = {name: paddle.to_tensor(value) for name, value in checkpoint.get("ema", {}).items()}

    def on_train_start(self, trainer: Trainer, task: Task) -> None:
        self.steps = trainer.global_step
        if not self.average:
            self.average = copies(weights(task))

    def on_train_batch_end(self, trainer: Trainer, task: Task, out: Any, batch: Any, batch_idx: int) -> None:
        if trainer.global_step == self.steps:
            return  # the step was skipped
        self.steps = trainer.global_step
        decay = min(self.decay, (1 + self.steps) / (10 + self.steps))
        with paddle.no_grad():
            for name, tensor in weights(task).items():
                average = self.average[name]
                average.set_value(average + (tensor.astype(average.dtype) - average) * (1 - decay))

    def on_validation_start(self, trainer: Trainer, task: Task) -> None:
        current = weights(task)
        self.live = copies(current)
        put(self.average, current)

    def on_validation_end(self, trainer: Trainer, task: Task) -> None:
        put(self.live, weights(task))
        self.live = {}

    def on_save_checkpoint(self, trainer: Trainer, task: Task, checkpoint: dict[str, Any]) -> None:
        """A checkpoint written during validation holds the trained weights, too."""
        checkpoint["ema"] = arrays(self.average)
        checkpoint["state_dict"].update(arrays(self.live))

    def roll_back(self, checkpoint: dict[str, Any]) -> None:
        """Forget what came after the checkpoint; the guard asks for it."""
        saved = checkpoint.get("ema") or checkpoint["state_dict"]  # from before the run was averaged
        for name, average in self.average.items():
            average.set_value(saved[name])


def weights(task: Task) -> dict[str, Tensor]:
    """The network's floating-point parameters and buffers, by name."""
    return {name: t for name, t in task.state_dict().items() if t.is_floating_point()}


def copies(tensors: dict[str, Tensor]) -> dict[str, Tensor]:
    return {name: tensor.detach().clone() for name, tensor in tensors.items()}


def put(source: dict[str, Tensor], target: dict[str, Tensor]) -> None:
    for name, tensor in source.items():
        target[name].set_value(tensor.astype(target[name].dtype))
