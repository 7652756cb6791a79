"""One training step, the same for every Lightning project: micro batches, gradient norm, guard, optimizer, schedule.

A batch from the loader is the whole optimizer batch of this device. The step cuts it into micro batches, so one
Lightning batch is one optimizer step, a step is atomic, and running out of memory can be answered by cutting finer.
"""

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any, Literal

import lightning
import torch
from torch import Tensor, nn
from torch.optim import Optimizer
from torch.optim.lr_scheduler import LRScheduler

from shared.interruption import Interruption
from shared.policy.batching import Batching
from shared.policy.schedule_base import Schedule
from shared.run_folder import RunFolder

Batch = dict[str, Any]


@dataclass
class Rails:
    """What the runner gives a task for one run; callbacks leave their part of summary.json in `summary`."""

    folder: RunFolder
    config: dict[str, Any]
    overrides: list[str]
    schedule: Schedule
    optimizer: Callable[..., Optimizer]
    batching: Batching
    sampler: Any
    interruption: Interruption
    monitor: str
    mode: Literal["min", "max"]
    clip_norm: float | None = None
    cycle_bests: dict[int, float] = field(default_factory=dict)
    summary: dict[str, Any] = field(default_factory=dict)


class PlannedLR(LRScheduler):
    """`schedule.lr(step)` for torch: the step is its whole state, so a resumed run obeys the configured schedule."""

    def __init__(self, optimizer: Optimizer, schedule: Schedule) -> None:
        self.schedule = schedule
        super().__init__(optimizer)

    def get_lr(self) -> list[float]:
        lr = self.schedule.lr(self.last_epoch)
        return [lr * group.get("lr_scale", 1.0) for group in self.optimizer.param_groups]

    def state_dict(self) -> dict[str, int]:
        return {"step": self.last_epoch}

    def load_state_dict(self, state: dict[str, int]) -> None:
        self.last_epoch = state["step"]
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
    rails: Rails

    def __init__(self, model: nn.Module) -> None:
        super().__init__()
        self.model = model
        self.meter = Meter()
        self.results: dict[str, float] = {}
        self.lr = self.planned_lr = 0.0
        self.lr_factor = 1.0
        self.columns: dict[str, float] = {}
        self.skip_batches = 0

    def loss(self, batch: Batch) -> tuple[Tensor, dict[str, Tensor]]:
        """Mean loss over the samples of a (micro) batch, and further means to log as `train/<name>`."""
        raise TypeError(f"{type(self).__name__} must define loss(batch)")

    def configure_optimizers(self) -> Any:
        optimizer = self.rails.optimizer(parameter_groups(self.model))
        return {"optimizer": optimizer, "lr_scheduler": PlannedLR(optimizer, self.rails.schedule)}

    def training_step(self, batch: Batch, batch_idx: int) -> None:
        if self.skip_batches:
            self.skip_batches -= 1
            return
        optimizer = self.optimizers()
        self.lr = optimizer.param_groups[0]["lr"]
        self.planned_lr = self.rails.schedule.lr(self.global_step) * self.lr_factor
        self._accumulate(batch)
        if self.rails.clip_norm is not None:
            nn.utils.clip_grad_norm_(self.model.parameters(), self.rails.clip_norm)
        optimizer.step()
        optimizer.zero_grad()
        self.lr_schedulers().step()

    def _accumulate(self, batch: Batch) -> None:
        """Gradients of the mean loss over the batch, however finely it is cut."""
        samples = batch_size(batch)
        parts = self.rails.batching.split(samples)
        for start, stop, weight in parts:
            part = batch if len(parts) == 1 else cut(batch, start, stop)
            loss, means = self.loss(part)
            self.manual_backward(loss if weight == 1 else loss * weight)
            self.last_loss = loss.detach()
            self.meter.add(stop - start, {"loss": self.last_loss, **means})


class Meter:
    """Sums of per-sample means on the device: reading them, once per logged row, is the only synchronisation."""

    def __init__(self) -> None:
        self.epoch: dict[str, float] = {}
        self.window: dict[str, Tensor] = {}
        self.count = {"epoch": 0, "window": 0}

    def add(self, samples: int, means: dict[str, Tensor]) -> None:
        """Count `samples` whose mean values are `means` (0-d tensors)."""
        for name, mean in means.items():
            total = self.window.get(name)
            self.window[name] = mean * samples if total is None else total.add_(mean, alpha=samples)
        self.count["window"] += samples

    def read_window(self) -> dict[str, float]:
        """Means since the last reading; they go into the epoch's sums."""
        count = self.count["window"]
        sums = {name: float(total) for name, total in self.window.items()}
        for name, total in sums.items():
            self.epoch[name] = self.epoch.get(name, 0.0) + total
        self.count = {"epoch": self.count["epoch"] + count, "window": 0}
        self.window = {}
        return {name: total / count for name, total in sums.items()} if count else {}

    def read_epoch(self) -> dict[str, float]:
        """Means over the epoch so far, and a fresh start."""
        self.read_window()
        count = self.count["epoch"]
        means = {name: total / count for name, total in self.epoch.items()} if count else {}
        self.__init__()
        return means

    def state_dict(self) -> dict[str, Any]:
        window = {name: float(total) for name, total in self.window.items()}
        return {"epoch": dict(self.epoch), "window": window, "count": dict(self.count)}

    def load_state_dict(self, state: dict[str, Any], device: torch.device) -> None:
        self.epoch, self.count = dict(state["epoch"]), dict(state["count"])
        self.window = {name: torch.tensor(total, device=device) for name, total in state["window"].items()}


def batch_size(batch: Batch) -> int:
    """Number of samples: the length of the batch's first tensor."""
    return next(len(value) for value in batch.values() if isinstance(value, Tensor))


def cut(batch: Batch, start: int, stop: int) -> Batch:
    """Samples `start` to `stop` of every tensor and list in the batch."""
    return {
        key: value[start:stop] if isinstance(value, Tensor | list) else value for key, value in batch.items()
    }
