"""What a checkpoint holds beyond Lightning's own, and how a run goes on from exactly there, mid-epoch included."""

import random
from typing import Any

import lightning
import numpy as np
import torch

from shared.training import Task

KEY = "trainyard"


class RunState(lightning.Callback):
    """Position, random states, running means and the config go into each checkpoint, and come back from it."""

    def __init__(self) -> None:
        self.validating = False
        self.restored: dict[str, Any] | None = None

    def on_validation_start(self, trainer: lightning.Trainer, task: Task) -> None:
        self.validating = True

    def on_validation_end(self, trainer: lightning.Trainer, task: Task) -> None:
        self.validating = False

    def on_save_checkpoint(self, trainer: lightning.Trainer, task: Task, checkpoint: dict[str, Any]) -> None:
        checkpoint[KEY] = {
            **self._position(trainer),
            "random": random_state(),
            "meter": task.meter.state_dict(),
            "metrics_rows": len(task.rails.folder.metrics),
            "run_id": task.rails.folder.id,
            "config": task.rails.config,
            "overrides": task.rails.overrides,
        }

    def _position(self, trainer: lightning.Trainer) -> dict[str, int]:
        """Epochs that are over, batches done in the one under way, steps; at an epoch's end its counter is ahead."""
        progress = trainer.fit_loop.epoch_progress.current
        batches = trainer.fit_loop.epoch_loop.batch_progress.current.processed
        over = progress.processed > progress.completed
        epochs = progress.processed if over else trainer.current_epoch
        return {"epoch": epochs, "batch": 0 if over else batches, "step": trainer.global_step}

    def on_load_checkpoint(self, trainer: lightning.Trainer, task: Task, checkpoint: dict[str, Any]) -> None:
        state = checkpoint[KEY]
        self.restored = state
        batches = state["batch"]
        if batches == task.rails.schedule.steps_per_epoch:
            # Only the validation is missing: enter at the last batch, which the task passes over.
            task.skip_batches, batches = 1, batches - 1
        checkpoint["loops"]["fit_loop"] = loop_state(
            checkpoint["loops"]["fit_loop"], state["epoch"], batches, state["step"]
        )
        task.rails.sampler.resume_at(state["epoch"], batches * task.rails.batching.effective)
        task.meter.load_state_dict(state["meter"], task.device)
        task.rails.folder.metrics.cut(state["metrics_rows"])

    def on_train_start(self, trainer: lightning.Trainer, task: Task) -> None:
        if self.restored is not None:
            set_random_state(self.restored["random"])
            self.restored = None


def loop_state(state: dict[str, Any], epochs: int, batches: int, steps: int) -> dict[str, Any]:
    """Lightning's fit-loop state for "`epochs` epochs are over and `batches` batches of the next one are done".

    Written afresh, since what Lightning saves depends on the hook it was saved from.
    """
    begun = epochs + (batches > 0)
    epoch = {"ready": begun, "started": begun, "processed": epochs, "completed": epochs}
    batch = dict.fromkeys(("ready", "started", "processed", "completed"), batches)
    total = dict.fromkeys(("ready", "started", "processed", "completed"), steps)
    fresh = dict(state)
    fresh["epoch_progress"] = {**state["epoch_progress"], "total": epoch, "current": dict(epoch)}
    key = "epoch_loop.batch_progress"
    fresh[key] = {**state[key], "total": total, "current": batch, "is_last_batch": False}
    return fresh


def random_state() -> dict[str, Any]:
    """States of Python's, NumPy's and torch's generators, as plain values and tensors."""
    name, keys, *rest = np.random.get_state()
    return {
        "python": random.getstate(),
        "numpy": [name, keys.tolist(), *rest],
        "torch": torch.get_rng_state(),
        "cuda": torch.cuda.get_rng_state_all() if torch.cuda.is_available() else [],
    }


def set_random_state(state: dict[str, Any]) -> None:
    """Put the generators back into a state that `random_state` returned."""
    version, keys, gauss = state["python"]
    random.setstate((version, tuple(keys), gauss))
    name, keys, *rest = state["numpy"]
    np.random.set_state((name, np.array(keys, dtype=np.uint32), *rest))
    torch.set_rng_state(state["torch"].cpu())
    if state["cuda"] and len(state["cuda"]) == torch.cuda.device_count():
        torch.cuda.set_rng_state_all([each.cpu() for each in state["cuda"]])
