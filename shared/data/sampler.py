"""The order of samples in closed form: a function of (seed, epoch, position), with no state to save."""

import math
from collections.abc import Iterator

import numpy as np
from numpy.random import Generator

from shared.data.draws import SampleKey, keyed_generator
from shared.errors import UserError

WINDOW = 20  # batches among which samples may be exchanged to make them of like length


def bucketed(order: np.ndarray, lengths: np.ndarray, batch_size: int, rng: Generator) -> np.ndarray:
    """`order` with samples of like length side by side, batch by batch, and the batches in random order."""
    batches: list[np.ndarray] = []
    for start in range(0, len(order), WINDOW * batch_size):
        window = order[start : start + WINDOW * batch_size]
        window = window[np.argsort(lengths[window], kind="stable")]
        full = len(window) // batch_size * batch_size
        batches += [*rng.permutation(window[:full].reshape(-1, batch_size)), window[full:]]
    return np.concatenate(batches)


class EpochSampler:
    """Sample keys of one rank, epoch by epoch (0-based, as torch's samplers count).

    `samples_per_epoch` cuts the endless stream of shuffled passes into epochs of that length: every
    sample is seen once before any is seen twice, across epochs. Of each batch of `batch_size` x `world` samples the
    ranks take a block each, so that the same samples meet in a micro batch whatever the number of ranks. At the end
    of an epoch they take turns; what cannot be shared evenly is left out in training, and seen twice in evaluation.
    With `lengths` of the samples (their cost, in any unit), batches hold samples of like length, and evaluation goes
    from short to long.
    """

    def __init__(
        self,
        samples: int,
        seed: int,
        *,
        shuffle: bool = True,
        samples_per_epoch: int | None = None,
        rank: int = 0,
        world: int = 1,
        lengths: np.ndarray | None = None,
        batch_size: int = 1,
    ) -> None:
        if samples_per_epoch is not None and samples_per_epoch < 1:
            raise UserError(
                f"{samples_per_epoch} samples an epoch", "samples_per_epoch", "use 1 or more, or null"
            )
        self.samples, self.seed, self.shuffle = samples, seed, shuffle
        self.epoch_length = samples_per_epoch or samples
        self.rank, self.world = rank, world
        self.lengths, self.batch_size, self.global_batch = lengths, batch_size, batch_size * world
        self._orders: dict[int, np.ndarray] = {}
        self.image_size: int | None = None
        self.epoch = 0
        self._resumed = (0, 0)

    def set_epoch(self, epoch: int) -> None:
        """Choose the epoch of the next iteration; Lightning calls this by itself.

        Evaluation stays at the first: what is drawn for its samples must not differ from epoch to epoch.
        """
        self.epoch = epoch if self.shuffle else 0

    def resume_at(self, epoch: int, position: int) -> None:
        """Let `epoch` start after its first `position` samples, counted over all ranks."""
        self.epoch, self._resumed = epoch, (epoch, position)

    @property
    def start(self) -> int:
        epoch, position = self._resumed
        return position if self.epoch == epoch else 0

    def __len__(self) -> int:
        """Of a whole epoch: Lightning takes the number of every epoch's batches from it, a resumed one included."""
        share = self.epoch_length / self.world
        return math.floor(share) if self.shuffle else math.ceil(share)

    def __iter__(self) -> Iterator[SampleKey]:
        first, size = self.epoch * self.epoch_length, self.image_size
        for position in self._positions():
            epoch, offset = divmod(first + position % self.epoch_length, self.samples)
            yield SampleKey(epoch, int(self._order(epoch)[offset]), size)

    def _positions(self) -> Iterator[int]:
        """Places of this rank's samples in the epoch."""
        whole = self.epoch_length - self.epoch_length % self.global_batch
        for batch in range(self.start, whole, self.global_batch):
            block = batch + self.rank * self.batch_size
            yield from range(block, block + self.batch_size)
        yield from range(whole + self.rank, len(self) * self.world, self.world)

    def _order(self, epoch: int) -> np.ndarray:
        """Indices of one pass over the data."""
        if epoch not in self._orders:
            self._orders = {epoch: self._arrange(epoch)}
        return self._orders[epoch]

    def _arrange(self, epoch: int) -> np.ndarray:
        if not self.shuffle:
            return (
                np.arange(self.samples) if self.lengths is None else np.argsort(self.lengths, kind="stable")
            )
        order = keyed_generator(self.seed, "order", epoch).permutation(self.samples)
        if self.lengths is None:
            return order
        return bucketed(order, self.lengths, self.global_batch, keyed_generator(self.seed, "buckets", epoch))
