"""Writes checkpoints of Paddle runs, as `Saving` says when and under which names."""

import os
from pathlib import Path
from typing import Any

from shared.callbacks.saving import Saving
from shared.checkpoints.arrays import save
from shared.paddle.state import arrays, non_finite, optimizer_state
from shared.paddle.task import Task
from shared.paddle.trainer import Trainer


class Checkpoints(Saving):
    """`Saving` with files that hold arrays and plain values only."""

    def setup(self, trainer: Trainer, task: Task, stage: str) -> None:
        super().setup(trainer, task, stage)
        self.task = task

    def store(self, trainer: Trainer, path: Path) -> OSError | None:
        """Write a file on the first rank, with what all of them have; the error if it could not be."""
        state = content(trainer, self.task)
        if not trainer.is_global_zero:
            return None
        try:
            with path.open("wb") as file:
                save(state, file)
                file.flush()
                os.fsync(file.fileno())
        except OSError as error:
            return error
        return None

    def spoiled(self, task: Task) -> list[str]:
        """Names of weights, buffers and moments that hold NaN or inf."""
        moments = task.optimizer.state_dict()
        return non_finite({**task.state_dict(), **moments.pop("master_weights", {}), **moments})

    def most(self, trainer: Trainer, numbers: list[int]) -> list[int]:
        """The largest of each number over all ranks."""
        return trainer.most(numbers)


def content(trainer: Trainer, task: Task) -> dict[str, Any]:
    """The whole state of a run; callbacks add theirs."""
    states = {
        type(callback).__name__: callback.state_dict()
        for callback in trainer.callbacks
        if hasattr(callback, "state_dict")
    }
    checkpoint = {
        "state_dict": arrays(task.state_dict()),
        "optimizer": optimizer_state(task.optimizer, task.model),
        "scaler": {
            k: v.tolist() if hasattr(v, "tolist") else v for k, v in trainer.scaler.state_dict().items()
        },
        "callbacks": states,
        "micro_batch_size": task.rails.batching.micro,
    }
    trainer.call("on_save_checkpoint", task, checkpoint)
    return checkpoint
