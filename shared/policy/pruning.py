"""Which jobs of a sweep are not worth finishing beside the others."""

from collections.abc import Sequence
from statistics import median
from typing import Literal


def behind_median(
    own: float, others: Sequence[float], direction: Literal["min", "max"], least: int
) -> float | None:
    """The others' median if `own` is worse, else None; fewer than `least` others judge nobody.

    All values are the best so far at the same epoch: the median stopping rule of Golovin et al., Vizier (KDD 2017).

    >>> behind_median(0.50, others=[0.60, 0.70, 0.80], direction="max", least=3)
    0.7
    """
    if len(others) < least:
        return None
    middle = median(others)
    return middle if (own > middle if direction == "min" else own < middle) else None
