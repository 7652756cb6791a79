"""Running means of what a training step reports."""

from typing import Any

import lightning
import torch
from torch import Tensor


def over_ranks(means: dict[str, float], trainer: lightning.Trainer) -> dict[str, float]:
    """Means over the samples of all ranks, of which each has as many."""
    if trainer.world_size == 1:
        return means
    own = torch.tensor([means[name] for name in sorted(means)], device=trainer.strategy.root_device)
    found = trainer.strategy.reduce(own, reduce_op="mean").tolist()
    return dict(zip(sorted(means), found, strict=True))


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
