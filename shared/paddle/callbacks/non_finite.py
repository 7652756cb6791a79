"""Keeps NaN and inf out of a Paddle run: skips poisoned steps, goes back to a good state, gives up in the end."""

import math
from pathlib import Path
from typing import Any

import numpy as np

from shared.checkpoints.file import broken, candidates, read
from shared.errors import StoppedNonFinite
from shared.files import replaced
from shared.paddle.state import non_finite, set_optimizer_state
from shared.paddle.step import Batch, Gradients
from shared.paddle.task import Task
from shared.paddle.trainer import Trainer
from shared.policy.nonfinite import NonFinitePolicy, SpikeWatch
from shared.record.outlets import errors_logged

SPIKES = {"loss": "loss_spike", "gradient": "grad_spike"}  # what is watched, and the events it makes
NAMED = 3


class NonFinite:
    """Settings of `NonFinitePolicy` and of the `SpikeWatch`es over loss and gradient norm; the step asks `passes`.

    The poisoned samples and the parameter nearest to the loss are named. Batches are kept as
    `<run_dir>/nonfinite/step_<N>.npz`, `culprits` at most, those above `culprit_bytes` not at all.
    """

    def __init__(
        self,
        skip_limit: int,
        max_rollbacks: int,
        lr_factor: float,
        spike_window: int,
        spike_threshold: float,
        culprits: int,
        culprit_bytes: float,
    ) -> None:
        self.policy = NonFinitePolicy(skip_limit, max_rollbacks, lr_factor)
        self.watches = {name: SpikeWatch(spike_window, spike_threshold) for name in SPIKES}
        self.culprits, self.culprit_bytes = culprits, culprit_bytes

    @property
    def lr_factor(self) -> float:
        return self.policy.lr_scale

    def setup(self, trainer: Trainer, task: Task, stage: str) -> None:
        task.guard = self

    def state_dict(self) -> dict[str, Any]:
        return {name: part.state_dict() for name, part in {"policy": self.policy, **self.watches}.items()}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        for name, part in {"policy": self.policy, **self.watches}.items():
            part.load_state_dict(state[name])

    def passes(self, task: Task, batch: Batch, batch_idx: int, found: Gradients) -> bool:
        """Whether the optimizer may use these gradients, on all ranks alike.

        What a poisoned step did to buffers is undone here, before a rollback loads others.
        """
        readings = {"loss": float(found.loss), "gradient": float(found.norm)}
        bad = [name for name, value in readings.items() if not math.isfinite(value)]
        bad += [name for name, value in batch.items() if spoiled(value).any()]
        step = task.current_epoch * task.rails.schedule.steps_per_epoch + batch_idx + 1
        if task.trainer.all_agree(not bad):
            self.policy.observe(step, finite=True)
            for name, watch in self.watches.items():
                if spike := watch.observe(step, readings[name]):
                    task.report(SPIKES[name], spike.describe(name))
            return True
        task.before.restore()
        if not lower_loss_scale(task, bad):
            self.poisoned(task, batch, step, bad or ["values on another rank"])
        return False

    def poisoned(self, task: Task, batch: Batch, step: int, bad: list[str]) -> None:
        due = self.policy.in_a_row + 1 >= self.policy.skip_limit
        good = newest_good(task) if due else None
        action = self.policy.observe(step, False, ", ".join(bad), can_roll_back=good is not None)
        parts = [action.reason, *where(task), *offending(batch), *self.keep(task, batch, step)]
        task.report(f"non_finite_{action.kind}", "; ".join(parts))
        if action.kind == "rollback":
            roll_back(task, read(good))
        if action.kind == "abort":
            raise StoppedNonFinite(action.reason)

    def keep(self, task: Task, batch: Batch, step: int) -> list[str]:
        """Write the batch, for whoever wants to look at it."""
        folder = task.rails.folder.path / "nonfinite"
        arrays = {name: value for name, value in batch.items() if isinstance(value, np.ndarray)}
        full = len(list(folder.glob("step_*.npz"))) >= self.culprits
        if full or sum(array.nbytes for array in arrays.values()) > self.culprit_bytes:
            return []
        path = folder / f"step_{step}.npz"
        with errors_logged(str(path)):
            folder.mkdir(exist_ok=True)
            with replaced(path) as temporary, temporary.open("wb") as file:
                np.savez(file, **arrays)
            return [f"kept as nonfinite/{path.name}"]
        return []


def spoiled(value: Any) -> np.ndarray:
    """Which samples of a batch's array hold NaN or inf."""
    if not isinstance(value, np.ndarray) or value.dtype.kind != "f":
        return np.zeros(0, bool)
    return ~np.isfinite(value).reshape(len(value), -1).all(1)


def offending(batch: Batch) -> list[str]:
    """The samples with NaN or inf in them, or all of the batch if there are none, in words."""
    if "index" not in batch:
        return []
    masks = [mask for value in batch.values() if (mask := spoiled(value)).any()]
    chosen = batch["index"][np.logical_or.reduce(masks)] if masks else batch["index"]
    more = f" and {len(chosen) - NAMED} more" if len(chosen) > NAMED else ""
    return [f"samples {', '.join(str(index) for index in chosen[:NAMED])}{more}"]


def where(task: Task) -> list[str]:
    """Backward begins at the loss, so the last parameter with a bad gradient comes first."""
    grads = {name: p.grad for name, p in task.model.named_parameters() if p.grad is not None}
    names = non_finite(grads)
    return [f"first in the gradient of {names[-1]}"] if names else []


def lower_loss_scale(task: Task, bad: list[str]) -> bool:
    """In fp16 the loss scale is raised until gradients overflow: lower it, as GradScaler does, and go on.

    Unless it is 1 already, or more than the gradient is wrong.
    """
    scaler = task.trainer.scaler
    if not scaler.is_enable():
        return False
    if not task.trainer.all_agree(bad == ["gradient"]):
        scaler.update()  # else the next step finds its gradients unscaled already; no step(), they may look well
        return False
    scale = float(scaler.state_dict()["scale"])
    scaler.step(task.optimizer)  # takes no step, since gradients overflowed
    scaler.update()
    return scale > 1


def roll_back(task: Task, checkpoint: dict[str, Any]) -> None:
    """Weights, buffers and moments of the checkpoint; the stream of batches and the schedule go on."""
    task.load_state_dict(checkpoint["state_dict"])
    set_optimizer_state(task.optimizer, task.model, checkpoint["optimizer"])
    for callback in task.trainer.callbacks:
        if hasattr(callback, "roll_back"):
            callback.roll_back(checkpoint)


def newest_good(task: Task) -> Path | None:
    files = candidates(task.rails.folder.checkpoints)
    return next((path for path in files if broken(path) is None), None)
