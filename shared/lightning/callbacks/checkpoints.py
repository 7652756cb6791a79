"""Writes checkpoints: one file per save, verified, then linked to its roles (last, best, cycle-1-best, ...)."""

import os
from pathlib import Path
from typing import Any

import lightning
import torch
from lightning.pytorch.callbacks import Checkpoint
from lightning.pytorch.plugins.io import TorchCheckpointIO
from torch import Tensor

from shared.callbacks.saving import Saving
from shared.lightning.finite import non_finite
from shared.lightning.fsdp import local
from shared.lightning.task import Task


class Checkpoints(Saving, Checkpoint):
    """`Saving` with Lightning's checkpoints."""

    def setup(self, trainer: lightning.Trainer, task: Task, stage: str) -> None:
        super().setup(trainer, task, stage)
        trainer.strategy.checkpoint_io = self.io = DurableIO()

    def store(self, trainer: lightning.Trainer, path: Path) -> OSError | None:
        """Write a file, on all ranks together; the error if it could not be."""
        trainer.save_checkpoint(path)
        return self.io.error

    def spoiled(self, task: Task) -> list[str]:
        """Names of weights, buffers and moments that hold NaN or inf."""
        return non_finite(state_tensors(task))

    def most(self, trainer: lightning.Trainer, numbers: list[int]) -> list[int]:
        """The largest of each number over all ranks."""
        own = torch.tensor(numbers, device=trainer.strategy.root_device)
        return trainer.strategy.reduce(own, reduce_op="max").tolist()


class DurableIO(TorchCheckpointIO):
    """Writes straight into the file and to the disk; Lightning's own takes a copy in memory and one under /tmp.

    A failure is kept in `error` rather than raised, since other ranks wait for this one.
    """

    error: OSError | None = None

    def save_checkpoint(self, checkpoint: dict[str, Any], path: Any, storage_options: Any = None) -> None:
        self.error = None
        try:
            with Path(path).open("wb") as file:
                torch.save(checkpoint, file)
                file.flush()
                os.fsync(file.fileno())
        except OSError as error:
            self.error = error
        except RuntimeError as error:  # torch hides the cause, such as a full disk
            if not isinstance(error.__context__, OSError):
                raise
            self.error = error.__context__


def state_tensors(task: Task) -> dict[str, Tensor]:
    """Weights, buffers and the optimizer's moments by name, of sharded ones this rank's share."""
    tensors = task.state_dict()
    for number, state in enumerate(task.optimizers().state.values()):
        tensors |= {f"{name} of parameter {number}": value for name, value in state.items()}
    return {name: local(value) for name, value in tensors.items() if isinstance(value, Tensor)}
