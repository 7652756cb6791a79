"""What the runner gives a task for one run, whichever the framework."""

import logging
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any, Literal, Protocol

from shared.checkpoints.resume import Start
from shared.fit.meter import Meter
from shared.policy.batching import Batching
from shared.policy.schedule_base import Schedule
from shared.processes.interruption import Interruption
from shared.record.folder import RunFolder


class Trainer(Protocol):
    """What callbacks of either socket may ask of the trainer; `should_stop` alone is theirs to set."""

    current_epoch: int
    """Counted from 0."""
    global_step: int
    max_epochs: int | None
    num_training_batches: int
    num_val_batches: Any
    log_every_n_steps: int
    check_val_every_n_epoch: int
    validating: bool
    is_global_zero: bool
    world_size: int
    ckpt_path: Any
    callback_metrics: Any
    loggers: Any
    strategy: Any
    should_stop: bool


class Task(Protocol):
    """What callbacks and the micro batches of either socket may ask of the task."""

    rails: "Rails"
    meter: Meter
    results: dict[str, float]
    """Results of the last validation, by name."""
    columns: dict[str, float]
    """What callbacks add to the next row of metrics.csv."""
    lr: float
    planned_lr: float
    last_loss: Any

    def over_ranks(self, means: dict[str, float]) -> dict[str, float]: ...

    def report(self, kind: str, message: str, level: int = logging.WARNING) -> None: ...


@dataclass
class Rails:
    """Callbacks leave their part of summary.json in `summary`; `optimizer` makes one from parameter groups."""

    folder: RunFolder
    config: dict[str, Any]
    overrides: list[str]
    schedule: Schedule
    optimizer: Callable[..., Any]
    batching: Batching
    sampler: Any
    interruption: Interruption
    monitor: str
    mode: Literal["min", "max"]
    clip_norm: float | None = None
    probe_memory: bool = False
    start: Start = field(default_factory=Start)
    saved: list[Callable[[dict[str, Any]], None]] = field(default_factory=list)
    """Told of each new checkpoint: the records by role."""
    cycle_bests: dict[int, float] = field(default_factory=dict)
    summary: dict[str, Any] = field(default_factory=dict)
    ready: float = field(default_factory=time.monotonic)

    def stop(self, trainer: Any, status: str, kind: str, reason: str) -> None:
        """End the run after this epoch: `status` for summary.json, the reason as an event of this `kind`."""
        self.folder.events.add(kind, reason, epoch=trainer.current_epoch + 1, step=trainer.global_step)
        self.summary["status"] = status
        trainer.should_stop = True

    @property
    def seconds(self) -> float:
        """How long the run has been trained up to here, in all of its sessions."""
        return self.start.seconds + time.monotonic() - self.ready
