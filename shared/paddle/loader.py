"""Batches for the Paddle projects, the same whatever the number of workers.

Not paddle.io.DataLoader: it draws from NumPy's global generator, loses an error's type on the way from its thread, and
keeps half an epoch of batches when a run ends early.
"""

import ctypes
import signal
import sys
from collections import deque
from collections.abc import Iterator
from concurrent.futures import Future, ProcessPoolExecutor
from itertools import islice
from multiprocessing import get_context
from typing import Any

from shared.data.sampler import EpochSampler
from shared.errors import UserError

PREFETCH = 2  # batches ahead of each worker
DEATH_OF_PARENT = 1  # Linux: prctl's PR_SET_PDEATHSIG

_dataset: Any = None  # a worker's; inherited at the fork


class Loader:
    """Batches `dataset.collate([dataset[key], ...])` of this rank; training drops the incomplete last one.

    `len` counts the batches of a whole epoch; `sampler.resume_at` lets one begin within it.
    """

    def __init__(
        self, dataset: Any, batch_size: int, sampler: EpochSampler, workers: int, drop_last: bool
    ) -> None:
        self.dataset, self.batch_size, self.sampler = dataset, batch_size, sampler
        self.drop_last, self.workers = drop_last, workers
        self.pool: ProcessPoolExecutor | None = None

    def __len__(self) -> int:
        whole, rest = divmod(len(self.sampler), self.batch_size)
        return whole + (rest > 0 and not self.drop_last)

    def keys(self) -> Iterator[list[Any]]:
        keys = iter(self.sampler)
        while chosen := list(islice(keys, self.batch_size)):
            if len(chosen) == self.batch_size or not self.drop_last:
                yield chosen

    def __iter__(self) -> Iterator[dict[str, Any]]:
        """Shows every batch to the data set's `check`, if it has one, in the main process."""
        check = getattr(self.dataset, "check", lambda batch: None)
        for batch in self.batches():
            check(batch)
            yield batch

    def batches(self) -> Iterator[dict[str, Any]]:
        if not self.workers:
            yield from (load(self.dataset, keys) for keys in self.keys())
            return
        waiting: deque[Future] = deque()
        for keys in self.keys():
            waiting.append(self.submit(keys))
            if len(waiting) > PREFETCH * self.workers:
                yield waiting.popleft().result()
        while waiting:
            yield waiting.popleft().result()

    def submit(self, keys: list[Any]) -> Future:
        if self.pool is None:
            context = get_context("fork")  # the data set is inherited, not sent
            self.pool = ProcessPoolExecutor(self.workers, context, begin_worker, (self.dataset,))
        return self.pool.submit(load_inherited, keys)


def begin_worker(dataset: Any) -> None:
    """Only the main process answers signals; a worker ends with it, even if it is killed."""
    global _dataset
    _dataset = dataset
    for signum in (signal.SIGINT, signal.SIGTERM):
        signal.signal(signum, signal.SIG_IGN)
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(DEATH_OF_PARENT, signal.SIGKILL)


def load(dataset: Any, keys: list[Any]) -> dict[str, Any]:
    return dataset.collate([dataset[key] for key in keys])


def load_inherited(keys: list[Any]) -> dict[str, Any]:
    return load(_dataset, keys)


def make_loader(
    dataset: Any,
    batch_size: int,
    *,
    train: bool,
    seed: int = 0,
    workers: int = 0,
    samples_per_epoch: int | None = None,
    rank: int = 0,
    world: int = 1,
) -> Loader:
    """As shared.lightning.loader.make_loader, without torch."""
    whole = batch_size * world
    if samples_per_epoch is not None and samples_per_epoch > whole:
        samples_per_epoch -= samples_per_epoch % whole
    sampler = EpochSampler(
        len(dataset),
        seed,
        shuffle=train,
        samples_per_epoch=samples_per_epoch if train else None,
        rank=rank,
        world=world,
        lengths=getattr(dataset, "lengths", None),
        batch_size=batch_size,
    )
    if batch_size < 1 or (train and batch_size > len(sampler)):
        what = f"a batch of {batch_size} cannot be drawn from {len(sampler)} samples an epoch"
        raise UserError(what, "effective_batch_size", f"choose 1 to {len(sampler)}")
    return Loader(dataset, batch_size, sampler, workers, drop_last=train)
