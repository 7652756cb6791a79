"""One training step, the same for every Lightning project: micro batches, gradient norm, guard, optimizer, schedule.

A batch from the loader is the whole optimizer batch of this device. The step cuts it into micro batches, so one
Lightning batch is one optimizer step, a step is atomic, and running out of memory can be answered by cutting finer.
"""

import logging
from collections.abc import Callable
from dataclasses import replace
from functools import cached_property
from typing import Any, Protocol

import lightning
import torch
from torch import Tensor, nn
from torch.optim import Optimizer
from torch.optim.lr_scheduler import LRScheduler

from shared.fit.meter import Meter
from shared.fit.rails import Rails
from shared.lightning.fsdp import local
from shared.lightning.step import Batch, Gradients, Snapshot, gradients, trained_gradients
from shared.policy.schedule_base import Schedule


class Guard(Protocol):
    """Says which steps the optimizer may take, and by what factor the LR is to stay below its plan."""

    @property
    def lr_factor(self) -> float: ...

    def passes(self, task: "Task", batch: Batch, batch_idx: int, found: Gradients) -> bool: ...


class PlannedLR(LRScheduler):
    """`schedule.lr(step) * factor()` for torch: its only state is the step, so a resumed run obeys the config."""

    def __init__(self, optimizer: Optimizer, schedule: Schedule, factor: Callable[[], float]) -> None:
        self.schedule, self.factor = schedule, factor
        super().__init__(optimizer)

    def get_lr(self) -> list[float]:
        lr = self.schedule.lr(self.last_epoch) * self.factor()
        return [lr * group.get("lr_scale", 1.0) for group in self.optimizer.param_groups]

    def state_dict(self) -> dict[str, int]:
        return {"step": self.last_epoch}

    def load_state_dict(self, state: dict[str, int]) -> None:
        self.last_epoch = state["step"]
        self.apply()

    def apply(self) -> None:
        """Give the optimizer the LR of this step."""
        for group, lr in zip(self.optimizer.param_groups, self.get_lr(), strict=True):
            group["lr"] = lr


def parameter_groups(model: nn.Module) -> list[dict[str, Any]]:
    """Two groups: weights, and norms and biases without weight decay (arXiv 1812.01187, section 3.1)."""
    trained = [p for p in model.parameters() if p.requires_grad]
    weights, vectors = [p for p in trained if p.ndim > 1], [p for p in trained if p.ndim <= 1]
    groups = [{"params": weights}, {"params": vectors, "weight_decay": 0.0}]
    return [group for group in groups if group["params"]]


class Task(lightning.LightningModule):
    """Base of the Lightning projects' tasks: they define `loss` and the validation, this class the training step."""

    automatic_optimization = False
    compares_samples = False
    """Whether `loss` sets the samples of a (micro) batch against each other, so that a batch must not be cut finer."""
    rails: Rails

    def __init__(self, model: nn.Module) -> None:
        super().__init__()
        self.model = model
        self.meter = Meter()
        self.results: dict[str, float] = {}
        self.lr = self.planned_lr = 0.0
        self.columns: dict[str, float] = {}
        self.skip_batches = 0
        self.guard: Guard | None = None

    def loss(self, batch: Batch) -> tuple[Tensor, dict[str, Tensor]]:
        """Mean loss over the samples of a (micro) batch, and further means to log as `train/<name>`."""
        raise TypeError(f"{type(self).__name__} must define loss(batch)")

    def configure_optimizers(self) -> Any:
        optimizer = self.rails.optimizer(parameter_groups(self.model))
        scheduler = PlannedLR(optimizer, self.rails.schedule, lambda: self.lr_factor)
        return {"optimizer": optimizer, "lr_scheduler": scheduler}

    def training_step(self, batch: Batch, batch_idx: int) -> None:
        if self.skip_batches:
            self.skip_batches -= 1
            return
        optimizer, scheduler = self.optimizers(), self.lr_schedulers()
        self.lr = optimizer.param_groups[0]["lr"]
        self.planned_lr = self.rails.schedule.lr(self.global_step) * self.lr_factor
        found = gradients(self, batch)
        self.last_loss = found.loss
        if self.guard is None or self.guard.passes(self, batch, batch_idx, found):
            if self.rails.clip_norm is not None:
                shrink = (self.rails.clip_norm / (found.norm + 1e-6)).clamp(max=1.0)
                torch._foreach_mul_([local(each) for each in trained_gradients(self)], shrink)
            optimizer.step()
            scheduler.step()
            for samples, means in found.parts:
                self.meter.add(samples, {**means, "grad_norm": found.norm})
        optimizer.zero_grad()

    @cached_property
    def before(self) -> Snapshot:
        """How to undo what a step did to buffers and random states; made once the network is on its device."""
        return Snapshot(self)

    @property
    def lr_factor(self) -> float:
        """What the guard's rollbacks have left of the planned LR."""
        return self.guard.lr_factor if self.guard else 1.0

    def over_ranks(self, means: dict[str, float]) -> dict[str, float]:
        """Means over the samples of all ranks, of which each has as many."""
        if self.trainer.world_size == 1:
            return means
        own = torch.tensor([means[name] for name in sorted(means)], device=self.device)
        found = self.trainer.strategy.reduce(own, reduce_op="mean").tolist()
        return dict(zip(sorted(means), found, strict=True))

    def report(self, kind: str, message: str, level: int = logging.WARNING) -> None:
        """Record an event of this step, once however many ranks there are."""
        epoch, step = self.current_epoch + 1, self.global_step
        if self.trainer.is_global_zero:
            self.rails.folder.events.add(kind, message, epoch=epoch, step=step, level=level)

    def on_save_checkpoint(self, checkpoint: dict[str, Any]) -> None:
        checkpoint["micro_batch_size"] = self.rails.batching.micro

    def on_load_checkpoint(self, checkpoint: dict[str, Any]) -> None:
        """Cut as before, or the sums would differ in their last bits; with `resume_mode=extend` the config wins."""
        if self.rails.start.mode != "extend":
            limit = min(checkpoint["micro_batch_size"], self.rails.batching.per_device)
            self.rails.batching = replace(self.rails.batching, micro_limit=limit)
            self.rails.probe_memory = False
