"""Running means of what a training step reports."""

from typing import Any


class Meter:
    """Sums of per-sample means, tensors of either framework: reading them, once per logged row, is the only wait."""

    def __init__(self) -> None:
        self.epoch: dict[str, float] = {}
        self.window: dict[str, Any] = {}
        self.count = {"epoch": 0, "window": 0}

    def add(self, samples: int, means: dict[str, Any]) -> None:
        """Count `samples` whose mean values are `means` (0-d tensors)."""
        for name, mean in means.items():
            total = self.window.get(name)
            self.window[name] = mean * samples if total is None else total + mean * samples
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

    def load_state_dict(self, state: dict[str, Any]) -> None:
        self.epoch, self.window, self.count = (dict(state[key]) for key in ("epoch", "window", "count"))
