"""Recognising a schedule by the learning rates it has produced so far, when nobody says what it is."""

from dataclasses import dataclass

import numpy as np

from shared.runs.reading.restarts import find_restarts

FITS = 2e-3  # largest residual, as a share of the peak, of a recognised curve


@dataclass(frozen=True)
class Shape:
    """`kind` constant, cosine, linear or held; one cycle lasts `length` epochs from epoch `start` at `peak`.

    `mult`: the next cycle's length over this one's, where restarts were seen; else None.
    """

    kind: str
    start: int = 1
    peak: float = 0.0
    floor: float = 0.0
    length: float = 0.0
    mult: float | None = None

    @property
    def words(self) -> str:
        if self.kind in ("constant", "held"):
            return "constant learning rate" if self.kind == "constant" else "no schedule recognised, held"
        cycle = f"{self.kind} from epoch {self.start} to {round(self.start + self.length - 1)}"
        return cycle + (", restarting" if self.mult else "")

    @property
    def until(self) -> int | None:
        """The last epoch of the cycle that is under way."""
        return round(self.start + self.length - 1) if self.length else None

    def extend(self, past: np.ndarray, until: int) -> np.ndarray:
        """`past` (from epoch 1) and after it what this shape goes on with, until epoch `until`."""
        start, length = float(self.start), self.length
        rates = list(past[:until])
        for epoch in range(len(past) + 1, until + 1):
            while self.mult and epoch >= start + length - 0.5:
                start, length = start + length, length * self.mult
            rates.append(self._rate(min(1.0, (epoch - start) / length)) if length else past[-1])
        return np.array(rates)

    def _rate(self, done: float) -> float:
        part = (1 + np.cos(np.pi * done)) / 2 if self.kind == "cosine" else 1 - done
        return self.floor + (self.peak - self.floor) * part


def recognise(lr: np.ndarray) -> Shape:
    """The shape of a learning rate by epoch; the cycle that is under way decides."""
    if np.ptp(lr) < 1e-3 * lr.max():
        return Shape("constant")
    epochs = np.arange(1, len(lr) + 1)
    restarts = [restart.epoch for restart in find_restarts(epochs, lr)]
    starts = [1, *restarts]
    mult = None
    if restarts:
        lengths = np.diff(starts)
        mult = max(1.0, round(lengths[-1] / lengths[-2])) if len(lengths) > 1 else 1.0
    tail = lr[starts[-1] - 1 :]
    top = int(np.argmax(tail))
    start, curve = starts[-1] + top, tail[top:]
    if len(curve) < 4 and restarts:  # too young to be read: the cycle before tells
        before = recognise(lr[starts[-2] - 1 : starts[-1] - 1])
        if before.length:
            length = float(np.diff(starts)[-1]) * mult
            return Shape(before.kind, start, float(tail.max()), before.floor, length, mult)
    best = min((_cosine(curve), _linear(curve)), key=lambda found: found[0])
    if len(curve) < 4 or best[0] > FITS * curve[0]:
        return Shape("held")
    _, kind, floor, length = best
    return Shape(kind, start, float(curve[0]), floor, length, mult)


def _cosine(curve: np.ndarray) -> tuple[float, str, float, float]:
    """Residual, kind, floor and length of the best cosine through `curve`, which starts at its peak."""
    since = np.arange(len(curve))
    best = (np.inf, "cosine", 0.0, 0.0)
    lengths = np.arange(max(2, len(curve) - 1), 12 * len(curve) + 20)
    for length in lengths.astype(float):
        part = (1 + np.cos(np.pi * since / length)) / 2
        floor = float(np.sum((1 - part) * (curve - curve[0] * part)) / max(np.sum((1 - part) ** 2), 1e-12))
        floor = min(max(floor, 0.0), curve[0] / 2)
        residual = float(np.abs(floor + (curve[0] - floor) * part - curve).max())
        if residual < best[0] * 0.999:
            best = (residual, "cosine", floor, length)
    return best


def _linear(curve: np.ndarray) -> tuple[float, str, float, float]:
    """Likewise for a straight line to zero."""
    since = np.arange(len(curve))
    slope = float(np.sum(since * (curve[0] - curve)) / max(np.sum(since**2), 1))
    if slope <= 0:
        return (np.inf, "linear", 0.0, 0.0)
    residual = float(np.abs(curve[0] - slope * since - curve).max())
    return residual, "linear", 0.0, curve[0] / slope
