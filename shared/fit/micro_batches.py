"""One optimizer batch in micro batches: tried, agreed upon with the other ranks, tried again when memory runs out.

Nothing here knows a framework: how gradients are computed and thrown away is the socket's.
"""

import logging
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from shared.errors import UserError
from shared.fit.rails import Task
from shared.policy.batching import MicroBatch
from shared.record.preflight import batch_in_words

Parts = list[tuple[int, dict[str, Any]]]
"""Of each micro batch, its samples and the means over them."""


@dataclass(frozen=True)
class Attempt:
    """What a socket does with a batch.

    `backward` leaves the gradients of micro batches in the parameters, or returns None if memory ran out; `agree`
    tells whether something holds on every rank; `discard` throws the gradients away and sets memory free; `restore`
    brings buffers and random states back to before the step.
    """

    backward: Callable[[list[MicroBatch]], Parts | None]
    agree: Callable[[bool], bool]
    discard: Callable[[], None]
    restore: Callable[[], None]

    def fits(self, cuts: list[MicroBatch]) -> Parts | None:
        """The parts, if memory sufficed on every rank; else the gradients are gone."""
        parts = self.backward(cuts)
        if self.agree(parts is not None):
            return parts
        self.discard()
        return None


def in_micro_batches(attempt: Attempt, task: Task, samples: int, compares_samples: bool = False) -> Parts:
    """The parts of a batch of `samples`, cut as finely as memory needs; the batching keeps what was learned.

    Raises UserError if not even single samples fit, or if the loss compares samples and may not be cut finer.
    """
    while True:
        parts = attempt.fits(task.rails.batching.split(samples))
        if parts is not None:
            return parts
        attempt.restore()
        halve(task, compares_samples)


def halve(task: Task, compares_samples: bool) -> None:
    """Halve the micro batch for the rest of the run."""
    before = task.rails.batching
    if before.micro == 1:
        raise too_large()
    if compares_samples:
        what = f"out of memory with {before.micro} samples at once, which this loss compares with each other: halving "
        mend = "use a smaller effective_batch_size, shorter samples or another loss (voxceleb: loss=aam)"
        raise UserError(f"{what}the micro batch would change it", "micro_batch_size", mend)
    after = task.rails.batching = before.halve()
    message = f"out of memory with {before.micro} samples at once; the same batch again"
    task.report("out_of_memory", f"{message}, now {batch_in_words(after)}")


def probe(attempt: Attempt, task: Task) -> None:
    """`micro_batch_size=auto`: choose the largest micro batch that fits, tried on samples of one batch."""

    def fits(samples: int) -> bool:
        enough = attempt.fits([MicroBatch(0, samples, 1.0)]) is not None
        attempt.discard()
        attempt.restore()
        return enough

    if not fits(1):
        raise too_large()
    found = task.rails.batching = task.rails.batching.probe(fits)
    task.rails.probe_memory = False
    task.report("micro_batch", f"micro_batch_size=auto: {batch_in_words(found)}", level=logging.INFO)


def too_large(what: str = "not even a single sample fits into memory") -> UserError:
    return UserError(what, "micro_batch_size", "use a smaller micro batch, model or smaller samples")
