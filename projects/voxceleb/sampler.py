"""Batches of speakers in closed form: a function of (seed, pass, batch), as many of the utterances used as can be."""

from collections.abc import Iterator
from functools import lru_cache
from typing import NamedTuple

import numpy as np
from torch.utils.data import Sampler

from shared.data.draws import keyed_generator
from shared.errors import UserError


class TupleKey(NamedTuple):
    """Utterances (their indices) of one speaker; `epoch` counts passes, so that (epoch, utterance) is drawn once."""

    epoch: int
    utterances: tuple[int, ...]


class SpeakerSampler(Sampler[TupleKey]):
    """Tuples of `per_speaker` utterances of one speaker; each batch of `batch_size` tuples has that many speakers.

    A pass takes up to `max_per_speaker` utterances of each speaker, drawn anew. A tuple whose speaker is in the batch
    already waits for a later batch; only what fits into no full batch is left out of the pass (see `utilisation`).
    `samples_per_epoch` (in tuples) cuts the endless stream of passes into epochs. Of each batch, the
    ranks take a block each. Raises UserError where no batch can be made.
    """

    def __init__(
        self,
        speakers: np.ndarray,
        batch_size: int,
        seed: int,
        *,
        per_speaker: int = 1,
        max_per_speaker: int | None = None,
        samples_per_epoch: int | None = None,
        rank: int = 0,
        world: int = 1,
    ) -> None:
        order = np.argsort(speakers, kind="stable")
        self.utterances = np.split(order, np.flatnonzero(np.diff(speakers[order])) + 1)
        self.batch_size, self.seed, self.per_speaker = batch_size, seed, per_speaker
        self.samples = len(order)
        most = len(order) if max_per_speaker is None else max_per_speaker
        self.tuples = np.array([min(len(own), most) // per_speaker for own in self.utterances])
        self.batches = full_batches(self.tuples, batch_size)
        if not self.batches:
            what = f"no batch of {batch_size} speakers with {per_speaker} utterances each can be drawn"
            rich = int((self.tuples > 0).sum())
            raise UserError(
                what, "effective_batch_size", f"only {rich} speakers have as many: choose 1 to {rich}"
            )
        if samples_per_epoch is not None and samples_per_epoch < batch_size:
            raise UserError(
                f"{samples_per_epoch} tuples are less than a batch of {batch_size}",
                "samples_per_epoch",
                f"choose {batch_size} or more, or null",
            )
        self.batches_per_epoch = samples_per_epoch // batch_size if samples_per_epoch else self.batches
        self.rank, self.world = rank, world
        self.epoch = 0
        self._resumed = (0, 0)

    @property
    def utilisation(self) -> float:
        """Share of all utterances that one pass uses."""
        return self.batches * self.batch_size * self.per_speaker / self.samples

    def set_epoch(self, epoch: int) -> None:
        """Choose the epoch of the next iteration; Lightning calls this by itself."""
        self.epoch = epoch

    def resume_at(self, epoch: int, position: int) -> None:
        """Let `epoch` start after its first `position` tuples, counted over all ranks."""
        self.epoch, self._resumed = epoch, (epoch, position)

    @property
    def start(self) -> int:
        epoch, position = self._resumed
        return position // self.batch_size if self.epoch == epoch else 0

    def __len__(self) -> int:
        """Of a whole epoch, a resumed one included, as EpochSampler."""
        return self.batches_per_epoch * (self.batch_size // self.world)

    def __iter__(self) -> Iterator[TupleKey]:
        first = self.epoch * self.batches_per_epoch
        for number in range(first + self.start, first + self.batches_per_epoch):
            turn, batch = divmod(number, self.batches)
            for utterances in np.split(self.plan(turn)[batch], self.world)[self.rank].tolist():
                yield TupleKey(turn, tuple(utterances))

    def plan(self, turn: int) -> np.ndarray:
        """Utterances (batches, batch_size, per_speaker) of pass `turn`."""
        return plan_pass(self, turn)


@lru_cache(maxsize=2)
def plan_pass(sampler: SpeakerSampler, turn: int) -> np.ndarray:
    draw = keyed_generator(sampler.seed, "speakers", turn)
    rows = draw_speakers(sampler.tuples, sampler.batches, sampler.batch_size, draw)
    each = sampler.per_speaker
    drawn = [draw.permutation(own) for own in sampler.utterances]
    used = np.zeros(len(drawn), int)
    plan = np.empty((*rows.shape, each), int)
    for batch, row in enumerate(rows):
        plan[batch] = [drawn[speaker][used[speaker] : used[speaker] + each] for speaker in row]
        used[row] += each
    return plan


def full_batches(tuples: np.ndarray, batch_size: int) -> int:
    """The most batches of `batch_size` different speakers: a speaker fills at most one place in each."""
    low, high = 0, int(tuples.sum()) // batch_size
    while low < high:
        middle = (low + high + 1) // 2
        low, high = (
            (middle, high) if np.minimum(tuples, middle).sum() >= middle * batch_size else (low, middle - 1)
        )
    return low


def draw_speakers(tuples: np.ndarray, batches: int, batch_size: int, draw: np.random.Generator) -> np.ndarray:
    """Speakers (batches, batch_size), in each batch different ones.

    A batch takes the speakers that must be in every batch left, then others with chances in proportion to the tuples
    they have left (the largest of log(left) + Gumbel noise); so the last batches are as mixed as the first.
    """
    left = np.minimum(tuples, batches)
    surplus = draw.permutation(np.repeat(np.arange(len(left)), left))[: left.sum() - batches * batch_size]
    left -= np.bincount(surplus, minlength=len(left))
    rows = np.empty((batches, batch_size), int)
    for batch in range(batches):
        with np.errstate(divide="ignore"):
            chance = np.log(left) + draw.gumbel(size=len(left))
        chance[left == batches - batch] = np.inf
        rows[batch] = draw.permutation(np.argpartition(-chance, batch_size - 1)[:batch_size])
        left[rows[batch]] -= 1
    return rows
