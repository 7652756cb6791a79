"""The optimizer's batch, and how it is cut to fit into memory: effective = micro x accumulation x devices."""

from bisect import bisect_left
from collections.abc import Callable
from dataclasses import dataclass, replace
from itertools import pairwise
from typing import NamedTuple

WASTE = 0.1  # share of the samples that may be left out, as the incomplete last batch


class MicroBatch(NamedTuple):
    """Samples from `start` up to `stop` of a batch, and the share of the batch that they are."""

    start: int
    stop: int
    weight: float


def batch_for(samples: int, wanted: int, devices: int = 1) -> int:
    """`wanted`, or a smaller batch where that would leave out more than a tenth of a small data set each epoch.

    >>> batch_for(120, 64), batch_for(48, 64), batch_for(1437, 64)
    (60, 48, 64)
    """
    if samples < devices or (samples >= wanted and samples % wanted <= WASTE * samples):
        return wanted
    even = samples // _ceil(samples, wanted)
    return max(devices, even - even % devices)


@dataclass(frozen=True)
class Batching:
    """`effective` samples per optimizer step on `devices` together, at most `micro_limit` at a time on each.

    `micro_limit` None lets a device take its whole share at once. Raises ValueError naming the config key.

    >>> batching = Batching(effective=256, devices=2, micro_limit=48)
    >>> batching.per_device, batching.accumulation, batching.micro
    (128, 3, 43)
    """

    effective: int
    devices: int = 1
    micro_limit: int | None = None

    def __post_init__(self) -> None:
        if self.devices < 1:
            raise ValueError(f"devices must be at least 1, not {self.devices}")
        if self.effective < 1:
            raise ValueError(f"effective_batch_size must be at least 1, not {self.effective}")
        remainder = self.effective % self.devices
        if remainder:
            below, above = self.effective - remainder, self.effective - remainder + self.devices
            use = f"{below} or {above}" if below else above
            raise ValueError(
                f"effective_batch_size must be divisible by the {self.devices} devices, "
                f"not {self.effective}; use {use}"
            )
        if self.micro_limit is not None and not 1 <= self.micro_limit <= self.per_device:
            raise ValueError(
                f"micro_batch_size must lie between 1 and the {self.per_device} samples of a device, "
                f"not {self.micro_limit}"
            )

    @property
    def per_device(self) -> int:
        """Samples per optimizer step on each device."""
        return self.effective // self.devices

    @property
    def accumulation(self) -> int:
        """Micro batches per optimizer step on each device."""
        return _ceil(self.per_device, self.micro_limit or self.per_device)

    @property
    def micro(self) -> int:
        """Size of the micro batches, all as even as can be: for 96 samples at most 50 at a time it is 48."""
        return _ceil(self.per_device, self.accumulation)

    def split(self, samples: int) -> list[MicroBatch]:
        """Even micro batches over one optimizer batch of this device, a ragged last one of an epoch included.

        The weights add up to 1: sum(weight * mean loss) is the mean loss of the batch, likewise its gradient, unless
        the loss compares samples with each other.
        """
        if samples < 1:
            raise ValueError(f"samples must be at least 1, not {samples}")
        count = _ceil(samples, self.micro)
        cuts = [i * samples // count for i in range(count + 1)]
        return [MicroBatch(start, stop, (stop - start) / samples) for start, stop in pairwise(cuts)]

    def halve(self) -> "Batching":
        """Twice the accumulation, after an out-of-memory; raises ValueError at single samples."""
        if self.micro == 1:
            raise ValueError("micro_batch_size is 1 already: not even a single sample fits into memory")
        return replace(self, micro_limit=_ceil(self.per_device, 2 * self.accumulation))

    def probe(self, fits: Callable[[int], bool]) -> "Batching":
        """The largest micro batch for which `fits` holds, up to `micro_limit`: doubling, then bisection.

        Tries only sizes that come out even, about 2 log2(per_device) of them, and prefers a divisor of the
        device's share within a quarter of the best. Raises ValueError if a single sample is too much.
        """
        sizes = sorted({_ceil(self.per_device, n) for n in range(self.accumulation, self.per_device + 1)})
        if not fits(1):
            raise ValueError("micro_batch_size cannot be found: not even a single sample fits into memory")
        low, high = 0, len(sizes)  # the largest known to fit, the smallest known not to
        while high - low > 1:
            doubled = min(bisect_left(sizes, 2 * sizes[low]), len(sizes) - 1)
            middle = doubled if high == len(sizes) else (low + high) // 2
            low, high = (middle, high) if fits(sizes[middle]) else (low, middle)
        best = sizes[low]
        divisor = max(size for size in sizes[: low + 1] if self.per_device % size == 0)
        return replace(self, micro_limit=divisor if 4 * divisor >= 3 * best else best)


def _ceil(a: int, b: int) -> int:
    return -(-a // b)
