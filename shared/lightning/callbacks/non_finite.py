"""Keeps NaN and inf out of the weights: skips poisoned steps, goes back to a good state, gives up in the end."""

import math
from pathlib import Path
from typing import Any

import lightning
import torch
from torch import Tensor

from shared.checkpoints.file import broken, candidates
from shared.errors import StoppedNonFinite
from shared.lightning.culprit import describe, in_words, save
from shared.lightning.finite import non_finite, total
from shared.lightning.fsdp import FSDP
from shared.lightning.step import Batch, Gradients, loss_scaler
from shared.lightning.task import Task
from shared.policy.nonfinite import NonFinitePolicy, SpikeWatch
from shared.record.outlets import errors_logged

SPIKES = {"loss": "loss_spike", "gradient": "grad_spike"}  # what is watched, and the events it makes


class NonFinite(lightning.Callback):
    """Settings of `NonFinitePolicy` and of the `SpikeWatch`es over loss and gradient norm; the step asks `passes`.

    `culprits` is the number of poisoned batches kept as `<run_dir>/nonfinite/step_<N>.pt`, each with the weights it
    met if they take at most `culprit_bytes`. A step's N counts the batches of the run from 1, skipped ones included.
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

    def setup(self, trainer: lightning.Trainer, task: Task, stage: str) -> None:
        task.guard = self

    def state_dict(self) -> dict[str, Any]:
        return {name: part.state_dict() for name, part in self._parts().items()}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        for name, part in self._parts().items():
            part.load_state_dict(state[name])

    def _parts(self) -> dict[str, NonFinitePolicy | SpikeWatch]:
        return {"policy": self.policy, **self.watches}

    def passes(self, task: Task, batch: Batch, batch_idx: int, found: Gradients) -> bool:
        """Whether the optimizer may use these gradients, on all ranks alike; reads the device once.

        What a poisoned step did to buffers and random states is undone here, before a rollback loads others.
        """
        readings = read(batch, found)
        bad = [name for name, value in readings.items() if not math.isfinite(value)]
        bad = [name for name in bad if name not in batch or non_finite({name: batch[name]})]
        step = task.current_epoch * task.rails.schedule.steps_per_epoch + batch_idx + 1
        if task.trainer.strategy.reduce_boolean_decision(not bad):
            self.policy.observe(step, finite=True)
            self._watch(task, step, readings)
            return True
        task.before.restore()
        if lower_loss_scale(task, bad):
            return False
        self._poisoned(task, batch, step, bad or ["values on another rank"], found)
        return False

    def _watch(self, task: Task, step: int, readings: dict[str, float]) -> None:
        for name, watch in self.watches.items():
            if spike := watch.observe(step, readings[name]):
                task.report(SPIKES[name], spike.describe(name))

    def _poisoned(self, task: Task, batch: Batch, step: int, bad: list[str], found: Gradients) -> None:
        culprit = describe(task, batch, step, bad, found)
        due = self.policy.in_a_row + 1 >= self.policy.skip_limit
        sharded = isinstance(task.trainer.strategy, FSDP)
        good = newest_good(task) if due and not sharded else None
        action = self.policy.observe(step, False, ", ".join(bad), can_roll_back=good is not None)
        message = "; ".join([action.reason, *in_words(culprit), *self._keep(task, culprit)])
        task.report(f"non_finite_{action.kind}", message)
        if action.kind == "rollback":
            roll_back(task, torch.load(good, map_location="cpu", weights_only=True))
        if action.kind == "abort":
            raise StoppedNonFinite(action.reason)

    def _keep(self, task: Task, culprit: dict[str, Any]) -> list[str]:
        folder = task.rails.folder.path / "nonfinite"
        if len(list(folder.glob("step_*.pt"))) >= self.culprits:
            return []
        rank = f"_rank_{task.global_rank}" if task.trainer.world_size > 1 else ""
        path = folder / f"step_{culprit['step']}{rank}.pt"
        state = {} if isinstance(task.trainer.strategy, FSDP) else task.state_dict()
        with errors_logged(str(path)):
            save(culprit, state, path, self.culprit_bytes)
            return [f"kept as nonfinite/{path.name}"]
        return []


def read(batch: Batch, found: Gradients) -> dict[str, float]:
    """Sums of the batch's float tensors, the loss and the gradient norm, in one message from the device."""
    floats = {k: v for k, v in batch.items() if isinstance(v, Tensor) and v.is_floating_point()}
    values = {
        **{name: total(value) for name, value in floats.items()},
        "loss": found.loss,
        "gradient": found.norm,
    }
    numbers = torch.stack([value.float() for value in values.values()]).tolist()
    return dict(zip(values, numbers, strict=True))


def lower_loss_scale(task: Task, bad: list[str]) -> bool:
    """In fp16 the loss scale is raised until gradients overflow: lower it, as GradScaler does, and go on.

    Unless it is 1 already, or more than the gradient is wrong.
    """
    scaler = loss_scaler(task)
    if scaler is None or not task.trainer.strategy.reduce_boolean_decision(bad == ["gradient"]):
        return False
    scale = scaler.get_scale()
    scaler.update(scale * scaler.get_backoff_factor())
    return scale > 1


def roll_back(task: Task, checkpoint: dict[str, Any]) -> None:
    """Weights, buffers and moments of the checkpoint; the stream of batches and the schedule go on.

    So the offending batches stay behind, and every sample is still seen once an epoch. The newest checkpoint, not a
    copy in memory: it costs nothing, is verified, and lies far enough back to be from before the trouble began.
    """
    task.load_state_dict(checkpoint["state_dict"])
    task.optimizers().optimizer.load_state_dict(checkpoint["optimizer_states"][0])
    task.lr_schedulers().apply()
    for callback in task.trainer.callbacks:
        if hasattr(callback, "roll_back"):
            callback.roll_back(checkpoint)


def newest_good(task: Task) -> Path | None:
    files = candidates(task.rails.folder.checkpoints)
    return next((path for path in files if broken(path) is None), None)
