"""From recordings to trial scores: each utterance is embedded once, trials are scored by products of matrices."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional as F

from projects.voxceleb.audio.features import SAMPLE_RATE, samples_of
from shared.errors import UserError
from shared.files import refuse_url

CUT = SAMPLE_RATE // 4  # whole utterances lose less than this at their end, so that many have one length
SHORTEST = SAMPLE_RATE // 2  # samples; what is shorter is repeated
AT_ONCE = 256  # trials whose embeddings stay in the processor's cache


@dataclass(frozen=True)
class Protocol:
    """How utterances are scored against each other.

    mode `whole` embeds the whole utterance and scores by cosine; `crops10` embeds `crops` crops of `frames` frames,
    evenly spread, and scores by the mean negative distance of all pairs of crops (the protocol of
    clovaai/voxceleb_trainer). `batch_seconds` of audio go through the network at once. `as_norm` > 0 normalises
    scores by the as many most similar training speakers. `scores` is a file for the scores.
    """

    mode: str = "whole"
    crops: int = 10
    frames: int = 300
    batch_seconds: float = 60.0
    as_norm: int = 0
    scores: str | None = None

    def __post_init__(self) -> None:
        if self.mode not in ("whole", "crops10"):
            raise UserError(f"no mode {self.mode!r}", "eval.mode", "choose whole or crops10")
        if self.scores is not None:
            refuse_url(self.scores, "eval.scores")
        if self.as_norm and self.mode != "whole":
            raise UserError("AS-Norm is of cosine scores", "eval.as_norm", "choose eval.mode=whole, or 0")

    def embed(self, network: Callable[[Tensor], Tensor], waves: list[Tensor]) -> Tensor:
        """Unit embeddings (N, C, D) of N waves (samples,); C is 1 or the number of crops."""
        if self.mode == "crops10":
            stacks = [self.cut_crops(wave) for wave in waves]
        else:
            stacks = [whole(wave)[None] for wave in waves]
        out: list[Tensor] = [torch.empty(0)] * len(stacks)
        for chosen in self.batches([stack.numel() for stack in stacks]):
            found = network(torch.cat([stacks[number] for number in chosen])).float()
            for number, rows in zip(chosen, F.normalize(found).chunk(len(chosen)), strict=True):
                out[number] = rows
        return torch.stack(out)

    def batches(self, lengths: list[int]) -> Iterator[list[int]]:
        """Numbers of utterances of one length, as many as go through the network at once."""
        most = self.batch_seconds * SAMPLE_RATE
        for length in sorted(set(lengths), reverse=True):
            same = [number for number, other in enumerate(lengths) if other == length]
            size = max(1, int(most / length))
            yield from (same[start : start + size] for start in range(0, len(same), size))

    def cut_crops(self, wave: Tensor) -> Tensor:
        """Crops (crops, samples) from the start to the end of the utterance."""
        length = samples_of(self.frames)
        wave = repeat(wave, length)
        starts = np.linspace(0, len(wave) - length, self.crops).astype(int)
        return torch.stack([wave[start : start + length] for start in starts])


def whole(wave: Tensor) -> Tensor:
    """The utterance without its end, so that its length is a whole number of quarter seconds."""
    wave = repeat(wave, SHORTEST)
    return wave[: len(wave) // CUT * CUT]


def repeat(wave: Tensor, length: int) -> Tensor:
    return wave.repeat(-(-length // len(wave)))[:length] if len(wave) < length else wave


def score_pairs(table: Tensor, pairs: Tensor) -> Tensor:
    """Scores (P,) of pairs (P, 2) of rows of unit embeddings (N, C, D).

    C = 1: the cosine. C > 1: minus the mean Euclidean distance of all C x C pairs.
    """
    single = table.shape[1] == 1
    rows = table[:, 0] if single else table
    scores = []
    order = pairs[:, 0].argsort()  # neighbours share an utterance, which so stays in the cache
    for part in pairs[order].split(AT_ONCE):
        a, b = rows.index_select(0, part[:, 0]), rows.index_select(0, part[:, 1])
        if single:
            scores.append(a.mul_(b).sum(1))
        else:
            scores.append(-(2 - 2 * (a @ b.mT)).clamp(min=0).sqrt().mean((1, 2)))
    return torch.cat(scores)[order.argsort()]


def as_norm(scores: Tensor, table: Tensor, pairs: Tensor, cohort: Tensor, top: int) -> Tensor:
    """Adaptive symmetric score normalisation (Matejka et al. 2017): z-scores against each side's `top` closest.

    `table` (N, 1, D) and `cohort` (K, D) are unit embeddings.
    """
    closest = (table[:, 0] @ cohort.T).topk(min(top, len(cohort)), 1).values
    deviation, mean = torch.std_mean(closest, 1)
    sides = [(scores - mean[side]) / deviation[side].clamp(min=1e-6) for side in pairs.T]
    return (sides[0] + sides[1]) / 2
