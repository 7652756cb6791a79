"""What a checkpoint holds beyond Lightning's own, and how a run goes on from exactly there, mid-epoch included."""

import random
from typing import Any

import lightning
import numpy as np
import torch

from shared.callbacks.extend import announce, note_jump, same_optimizer, translate
from shared.callbacks.position import check_samples, is_over, run_state, take_back
from shared.checkpoints.file import KEY, fit
from shared.lightning.task import Task, parameter_groups


class RunState(lightning.Callback):
    """Position, random states, running means and the config go into each checkpoint, and come back from it."""

    def __init__(self) -> None:
        self.restored: dict[str, Any] | None = None
        self.pass_over = False
        self.callbacks: list[lightning.Callback] = []

    def on_save_checkpoint(self, trainer: lightning.Trainer, task: Task, checkpoint: dict[str, Any]) -> None:
        checkpoint[KEY] = run_state(task, self._position(trainer)) | {"random": random_state()}

    def _position(self, trainer: lightning.Trainer) -> dict[str, int]:
        """Epochs that are over, batches done in the one under way, steps; at an epoch's end its counter is ahead."""
        progress = trainer.fit_loop.epoch_progress.current
        batches = trainer.fit_loop.epoch_loop.batch_progress.current.processed
        over = progress.processed > progress.completed
        epochs = progress.processed if over else trainer.current_epoch
        return {"epoch": epochs, "batch": 0 if over else batches, "step": trainer.global_step}

    def on_load_checkpoint(self, trainer: lightning.Trainer, task: Task, checkpoint: dict[str, Any]) -> None:
        rails, state = task.rails, checkpoint[KEY]
        fit(task, checkpoint)
        if rails.start.mode == "extend":
            state = translate(state, rails.schedule.steps_per_epoch, rails.batching.effective)
            configure(checkpoint, task, state["step"])
        else:
            check_samples(state, rails.sampler.samples)
        batches = state["batch"]
        if batches == rails.schedule.steps_per_epoch:
            # Only the validation is missing: enter at the last batch, and pass it over.
            self.pass_over, task.skip_batches, batches = True, 1, batches - 1
        loops = checkpoint["loops"]["fit_loop"]
        checkpoint["loops"]["fit_loop"] = loop_state(loops, state["epoch"], batches, state["step"])
        rails.sampler.resume_at(state["epoch"], batches * rails.batching.effective)
        take_back(task, state)
        self.restored = state

    def on_fit_start(self, trainer: lightning.Trainer, task: Task) -> None:
        trainer.should_stop |= is_over(task, trainer.max_epochs)

    def on_train_start(self, trainer: lightning.Trainer, task: Task) -> None:
        if self.restored is not None:
            set_random_state(self.restored["random"])
            announce(task)
            self.restored = None

    def on_train_batch_start(
        self, trainer: lightning.Trainer, task: Task, batch: Any, batch_idx: int
    ) -> None:
        """Nobody else hears of a batch that is passed over: its step was taken before the checkpoint."""
        if self.pass_over:
            self.callbacks, trainer.callbacks = trainer.callbacks, [self]

    def on_train_batch_end(
        self, trainer: lightning.Trainer, task: Task, out: Any, batch: Any, batch_idx: int
    ) -> None:
        if self.pass_over:
            self.pass_over = False
            trainer.callbacks = self.callbacks


def configure(checkpoint: dict[str, Any], task: Task, step: int) -> None:
    """Give the checkpoint's optimizer the config's settings, and the schedule its step; the moments stay."""
    same_optimizer(task.rails.start)
    saved = checkpoint["optimizer_states"][0]["param_groups"]
    groups = task.rails.optimizer(parameter_groups(task.model)).param_groups
    checkpoint["optimizer_states"][0]["param_groups"] = [
        {**new, "initial_lr": new["lr"], "params": old["params"]}
        for old, new in zip(saved, groups, strict=True)
    ]
    checkpoint["lr_schedulers"] = [{"step": step}]
    note_jump(task, step)


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
    taken = {"ready": steps, "completed": steps}
    fresh["epoch_loop.manual_optimization.optim_step_progress"] = {"total": taken, "current": dict(taken)}
    fresh.pop("epoch_loop.val_loop.batch_progress")  # a validation begins at its beginning
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
