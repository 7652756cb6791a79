"""DataLoaders that yield the same batches whatever the number of workers."""

import signal
from collections.abc import Callable, Iterator
from functools import partial
from typing import Any

import numpy as np
import torch
from torch.utils.data import DataLoader, Dataset, default_collate

from shared.data.sampler import EpochSampler
from shared.errors import UserError


class CheckedLoader(DataLoader):
    """A DataLoader that shows every batch to the data set's `check`, in the main process."""

    def __iter__(self) -> Iterator[Any]:
        check = getattr(self.dataset, "check", lambda batch: None)
        for batch in super().__iter__():
            check(batch)
            yield batch


def make_loader(
    dataset: Dataset,
    batch_size: int,
    *,
    train: bool,
    seed: int = 0,
    workers: int = 0,
    samples_per_epoch: int | None = None,
    rank: int = 0,
    world: int = 1,
    pin_memory: bool = False,
    prefetch: int = 2,
) -> CheckedLoader:
    """Batches of `dataset`, which maps SampleKeys to samples and may bring `collate`, `check`, `lengths` and `sampler`.

    Training shuffles and drops the incomplete last batch; evaluation does neither. `samples_per_epoch` is rounded
    down to whole batches, so that the stream of virtual epochs loses no sample. `loader.sampler` is the EpochSampler,
    or in training what `dataset.sampler(batch_size over all ranks, ...)` returns, with the same methods: set the
    epoch, a resume position or an image size there.
    """
    share = {"rank": rank, "world": world}
    if samples_per_epoch is not None and samples_per_epoch > (whole := batch_size * world):
        samples_per_epoch -= samples_per_epoch % whole
    lengths = {"lengths": getattr(dataset, "lengths", None), "batch_size": batch_size}
    if train:
        own = getattr(dataset, "sampler", lambda _, **given: EpochSampler(len(dataset), **lengths, **given))
        sampler = own(batch_size * world, seed=seed, samples_per_epoch=samples_per_epoch, **share)
    else:
        sampler = EpochSampler(len(dataset), seed, shuffle=False, **lengths, **share)
    if batch_size < 1 or (train and batch_size > len(sampler)):
        what = f"a batch of {batch_size} cannot be drawn from {len(sampler)} samples an epoch"
        raise UserError(what, "effective_batch_size", f"choose 1 to {len(sampler)}")
    return CheckedLoader(
        dataset,
        batch_size,
        sampler=sampler,
        drop_last=train,
        num_workers=workers,
        collate_fn=partial(collate_tensors, getattr(dataset, "collate", default_collate)),
        pin_memory=pin_memory,
        persistent_workers=workers > 0,
        prefetch_factor=prefetch if workers else None,
        worker_init_fn=ignore_signals,
        generator=torch.Generator(),  # else each epoch draws from the global one, more often without workers
    )


def collate_tensors(collate: Callable[[list[Any]], Any], samples: list[Any]) -> Any:
    """A batch with tensors in place of NumPy arrays, which data sets of either framework may return."""
    batch = collate(samples)
    if not isinstance(batch, dict):
        return batch
    return {
        key: torch.from_numpy(value) if isinstance(value, np.ndarray) else value
        for key, value in batch.items()
    }


def ignore_signals(worker: int) -> None:
    """Ctrl-C and a scheduler's SIGTERM reach every process of a run; only the main one may answer them."""
    for signum in (signal.SIGINT, signal.SIGTERM):
        signal.signal(signum, signal.SIG_IGN)
