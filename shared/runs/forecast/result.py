"""What is asked of a forecast, and what it answers."""

from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

from shared.runs.forecast.model.prior import SHIPPED
from shared.runs.reading.runlog import RunLog


@dataclass(frozen=True)
class Request:
    """What is asked: `events` are epochs from which something else changes; `schedule` and `plan` the LR to come."""

    metric: str | None = None
    target: float | None = None
    until: int | None = None
    schedule: str | None = None
    plan: Path | None = None
    events: tuple[int, ...] = ()
    patience: int | None = None
    minutes_per_epoch: float | None = None
    library: Path = SHIPPED
    seed: int = 0


@dataclass
class Forecast:
    """All of a metric's own kind: fractions for rates. Arrays run over `epochs`, the ones to come."""

    metric: str
    mode: str
    last_epoch: int
    best: float
    best_epoch: int
    epochs: np.ndarray
    quantiles: dict[float, np.ndarray]
    lr: np.ndarray
    plan: str
    lag: int
    run: RunLog
    history: np.ndarray
    target: dict | None = None
    restarts: list[dict] = field(default_factory=list)
    what_ifs: list[dict] = field(default_factory=list)
    milestones: list[dict] = field(default_factory=list)
    early_stopping: str | None = None
    warnings: list[str] = field(default_factory=list)

    @property
    def median(self) -> np.ndarray:
        return self.quantiles[0.5]
