"""Forecasts the run while it runs, logs where it is heading, and may end it when it cannot get there."""

from __future__ import annotations

import json
import logging
from pathlib import Path
from typing import Literal

import numpy as np

from shared.errors import UserError
from shared.fit.rails import Task, Trainer
from shared.runs.forecast.forecast import forecast
from shared.runs.forecast.result import Forecast as Forecasted
from shared.runs.forecast.result import Request
from shared.runs.reading.folder import read_folder
from shared.runs.reading.names import kind

log = logging.getLogger(__name__)


class Forecast:
    """`forecast/final` and `forecast/p_target` in the next row of metrics.csv, from `min_epochs` on.

    `target`: a value of the monitored metric; `sweep`: the best that this sweep's finished jobs have reached, which
    makes it a pruner; None: no target. `stop_below`: the run ends when the probability of the target has been below
    it `patience` times in a row; None: never. `every`: epochs between forecasts, each of which takes a second or two.
    """

    def __init__(
        self,
        target: float | Literal["sweep"] | None,
        stop_below: float | None,
        min_epochs: int,
        every: int,
        patience: int,
    ) -> None:
        self.target, self.stop_below = target, stop_below
        self.min_epochs, self.every, self.patience = min_epochs, every, patience
        self.hopeless = 0

    def state_dict(self) -> dict[str, int]:
        return {"hopeless": self.hopeless}

    def load_state_dict(self, state: dict[str, int]) -> None:
        self.hopeless = state["hopeless"]

    def on_train_epoch_end(self, trainer: Trainer, task: Task) -> None:
        epoch = trainer.current_epoch + 1
        last = epoch >= trainer.max_epochs
        if (
            epoch < self.min_epochs
            or epoch % self.every
            or last
            or task.results.get(task.rails.monitor) is None
        ):
            return
        if trainer.is_global_zero:
            self._forecast(trainer, task, epoch)
        trainer.should_stop = trainer.strategy.broadcast(trainer.should_stop)

    def _forecast(self, trainer: Trainer, task: Task, epoch: int) -> None:
        target = best_of_sweep(task.rails.folder.path, task.rails) if self.target == "sweep" else self.target
        try:
            made = self._made(trainer, task, target)
        except UserError as error:
            log.info("no forecast: %s", error.what)
            return
        task.columns["forecast/final"] = float(made.median[-1])
        if made.target is not None:
            task.columns["forecast/p_target"] = made.target["probability"]
            self._judge(trainer, task, made)

    def _made(self, trainer: Trainer, task: Task, target: float | None) -> Forecasted:
        """The forecast from the run folder's own files, under the schedule that the optimizer follows."""
        run = read_folder(task.rails.folder.path)
        request = Request(metric=task.rails.monitor, target=target, until=trainer.max_epochs)
        return forecast(run, request, what_ifs=False)

    def _judge(self, trainer: Trainer, task: Task, made: Forecasted) -> None:
        probability, target = made.target["probability"], made.target["value"]
        hopeless = self.stop_below is not None and probability < self.stop_below
        self.hopeless = self.hopeless + 1 if hopeless else 0
        if self.hopeless >= self.patience:
            chance = f"{target:.4g} has a chance of {probability:.1%}"
            reason = f"{made.metric} is heading for {made.median[-1]:.4g}: {chance}"
            task.rails.stop(trainer, "early_stopped", "forecast_stop", reason)


def best_of_sweep(run_dir: Path, rails) -> float | None:
    """The best value of the monitored metric among the finished jobs beside this one; None without any.

    None too for an error rate of 1 or more: it is nothing to aim at, and would be read as percent.
    """
    values = []
    for path in run_dir.parent.glob("*/summary.json"):
        monitor = json.loads(path.read_text(encoding="utf-8")).get("monitor") or {}
        if (
            path.parent != run_dir
            and monitor.get("name") == rails.monitor
            and monitor.get("best") is not None
        ):
            values.append(monitor["best"])
    if not values:
        return None
    best = float(np.max(values) if rails.mode == "max" else np.min(values))
    return None if kind(rails.monitor) == "error" and best >= 1 else best
