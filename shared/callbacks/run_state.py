"""What a checkpoint holds beyond Lightning's own, and how a run goes on from exactly there, mid-epoch included."""

import random
from typing import Any

import lightning
import numpy as np
import torch

from shared.errors import UserError
from shared.extend import announce, configure, translate
from shared.meter import over_ranks
from shared.resume import KEY, fit
from shared.training import Task


class RunState(lightning.Callback):
    """Position, random states, running means and the config go into each checkpoint, and come back from it."""

    def __init__(self) -> None:
        self.restored: dict[str, Any] | None = None
        self.pass_over = False
        self.callbacks: list[lightning.Callback] = []

    def on_save_checkpoint(self, trainer: lightning.Trainer, task: Task, checkpoint: dict[str, Any]) -> None:
        rails, meter = task.rails, task.meter.state_dict()
        meter |= {name: over_ranks(meter[name], trainer) for name in ("epoch", "window")}
        checkpoint[KEY] = {
            **self._position(trainer),
            "steps_per_epoch": rails.schedule.steps_per_epoch,
            "samples": rails.sampler.samples,
            "random": random_state(),
            "meter": meter,
            "devices": rails.batching.devices,
            "lr": task.lr,
            "columns": dict(task.columns),
            "metrics_rows": len(rails.folder.metrics),
            "status": rails.summary.get("status"),
            "samples_per_second": rails.summary.get("samples_per_second"),
            "run_id": rails.folder.id,
            "config": rails.config,
            "overrides": rails.overrides,
        }

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
        elif state["samples"] != rails.sampler.samples:
            what = f"the data have {rails.sampler.samples} samples, not {state['samples']} as before"
            raise UserError(what, "data", "restore them, or go on with resume_mode=extend")
        batches = state["batch"]
        if batches == rails.schedule.steps_per_epoch:
            # Only the validation is missing: enter at the last batch, and pass it over.
            self.pass_over, task.skip_batches, batches = True, 1, batches - 1
        loops = checkpoint["loops"]["fit_loop"]
        checkpoint["loops"]["fit_loop"] = loop_state(loops, state["epoch"], batches, state["step"])
        rails.sampler.resume_at(state["epoch"], batches * rails.batching.effective)
        task.meter.load_state_dict(state["meter"], task.device)
        task.lr, task.columns = state["lr"], dict(state["columns"])
        rails.folder.metrics.cut(state["metrics_rows"])
        rails.start.state = self.restored = state

    def on_fit_start(self, trainer: lightning.Trainer, task: Task) -> None:
        start, summary = task.rails.start, task.rails.summary
        if start.is_over(trainer.max_epochs):
            trainer.should_stop = True
            summary |= {key: start.state[key] for key in ("status", "samples_per_second") if start.state[key]}

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
