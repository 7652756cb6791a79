"""Ends a job of a sweep that is behind the median of the others."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from shared.errors import UserError
from shared.fit.rails import Task, Trainer
from shared.policy.pruning import behind_median
from shared.runs.reading.table import read_csv


class MedianPruner:
    """Asks `behind_median` after each epoch from `warmup_epochs` on, once `min_jobs` other jobs have come as far.

    The other jobs' curves are the metrics.csv beside this job's folder, so it works wherever the jobs run.
    """

    def __init__(self, warmup_epochs: int, min_jobs: int) -> None:
        self.warmup_epochs, self.min_jobs = warmup_epochs, min_jobs

    def on_train_epoch_end(self, trainer: Trainer, task: Task) -> None:
        epoch = trainer.current_epoch + 1
        if self.warmup_epochs <= epoch < trainer.max_epochs and trainer.is_global_zero:
            self._judge(trainer, task, epoch)
        trainer.should_stop = trainer.strategy.broadcast(trainer.should_stop)

    def _judge(self, trainer: Trainer, task: Task, epoch: int) -> None:
        rails = task.rails
        own = best_by(rails.folder.path, rails.monitor, rails.mode, epoch)
        beside = [path.parent for path in rails.folder.path.parent.glob("*/metrics.csv")]
        bests = [best_by(p, rails.monitor, rails.mode, epoch) for p in beside if p != rails.folder.path]
        others = [value for value in bests if value is not None]
        if own is None or (middle := behind_median(own, others, rails.mode, self.min_jobs)) is None:
            return
        message = f"epoch {epoch}: {rails.monitor} {own:.4g} is behind {middle:.4g}, the median of {len(others)} jobs"
        rails.stop(trainer, "early_stopped", "pruned", message)


def best_by(run_dir: Path, metric: str, mode: str, epoch: int) -> float | None:
    """A run's best value of the metric up to `epoch`; None if it has not come so far."""
    try:
        columns = read_csv(run_dir / "metrics.csv").columns
    except UserError:  # nothing written yet
        return None
    if metric not in columns:
        return None
    seen = np.isfinite(columns[metric])
    epochs, values = columns["epoch"][seen], columns[metric][seen]
    if not len(epochs) or epochs[-1] < epoch:
        return None
    values = values[epochs <= epoch]
    return float(values.max() if mode == "max" else values.min())
