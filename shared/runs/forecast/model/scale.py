"""Between a metric as it is logged and the error that the law describes: non-negative, lower is better."""

from dataclasses import dataclass

import numpy as np

from shared.runs.reading import names


@dataclass(frozen=True)
class Scale:
    """metric = top - error for a metric to be raised, bottom + error for one to be lowered."""

    mode: str
    anchor: float
    limits: tuple[float, float]

    @classmethod
    def of(cls, name: str, values: np.ndarray, mode: str) -> "Scale":
        """A rate is anchored at 1 or 0; a metric without a natural end twice its range past the best seen."""
        finite = values[np.isfinite(values)]
        reach = 2 * float(np.ptp(finite)) + 1e-9
        if mode == "max":
            rate = names.is_rate(name) and finite.max() <= 1
            return cls(
                mode,
                1.0 if rate else float(finite.max()) + reach,
                (0.0 if rate else -np.inf, 1.0 if rate else np.inf),
            )
        positive = finite.min() >= 0
        return cls(
            mode, 0.0 if positive else float(finite.min()) - reach, (0.0 if positive else -np.inf, np.inf)
        )

    def error(self, metric: np.ndarray) -> np.ndarray:
        return self.anchor - metric if self.mode == "max" else metric - self.anchor

    def metric(self, error: np.ndarray) -> np.ndarray:
        """The metric of an error, kept within what the metric can be."""
        value = self.anchor - error if self.mode == "max" else self.anchor + error
        return np.clip(value, *self.limits)
