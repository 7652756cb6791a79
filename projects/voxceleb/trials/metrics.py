"""Verification metrics over trial scores, by sorting once; a higher score says "same speaker"."""

from typing import NamedTuple

import torch
from torch import Tensor
from torch.nn import functional as F


class ErrorRates(NamedTuple):
    """Miss and false-alarm rates at each operating point, and its threshold: all (points,), thresholds rising."""

    miss: Tensor
    alarm: Tensor
    threshold: Tensor

    def eer(self) -> tuple[float, float]:
        """The rate where both cross, on straight lines between operating points, and the threshold there."""
        gap = self.miss - self.alarm  # rises from -1 to 1
        after = int((gap >= 0).nonzero()[0])
        share = -gap[after - 1] / (gap[after] - gap[after - 1])
        rate = self.miss[after - 1] + share * (self.miss[after] - self.miss[after - 1])
        return float(rate), float(self.threshold[min(after, len(gap) - 2)])  # the last threshold is inf

    def min_dcf(self, prior: float, cost_miss: float = 1.0, cost_alarm: float = 1.0) -> float:
        """Least detection cost over all thresholds, as a share of the better blind decision (NIST SRE 2016)."""
        miss, alarm = cost_miss * prior, cost_alarm * (1 - prior)
        return float((miss * self.miss + alarm * self.alarm).min()) / min(miss, alarm)


def error_rates(scores: Tensor, target: Tensor) -> ErrorRates:
    """Rates of trials with `scores` and `target` (N,), accepted when the score is at least the threshold.

    Equal scores are accepted or rejected together; the last point rejects all. Raises ValueError on scores that are not
    finite (a NaN would sort anywhere) and when one of the two kinds of trial is missing.
    """
    scores, target = scores.detach().flatten(), target.flatten().bool()
    bad, targets = int((~scores.isfinite()).sum()), int(target.sum())
    if bad:
        raise ValueError(f"{bad} of {len(scores)} scores are not finite")
    if targets in (0, len(scores)):
        raise ValueError(f"{targets} of {len(scores)} trials are targets: both kinds are needed")
    ordered, order = scores.sort()
    below = F.pad(target[order].long().cumsum(0), (1, 0))  # targets among the n lowest scores
    first = F.pad(ordered[1:] != ordered[:-1], (1, 1), value=True)
    rejected = first.nonzero().flatten()
    misses = below[rejected]
    alarms = (len(scores) - targets) - (rejected - misses)
    thresholds = F.pad(ordered, (0, 1), value=torch.inf)[rejected]
    return ErrorRates(misses.double() / targets, alarms.double() / (len(scores) - targets), thresholds)


def batch_eer(embedding: Tensor) -> Tensor | None:
    """Equal error rate of all pairs of embeddings (S, U, D) by cosine; None where there is none to speak of."""
    speakers, utterances, _ = embedding.shape
    unit = F.normalize(embedding.detach().float().flatten(0, 1), eps=1e-6)
    if speakers < 2 or utterances < 2 or not unit.isfinite().all():
        return None
    owner = torch.arange(speakers, device=unit.device).repeat_interleave(utterances)
    pairs = torch.ones(len(unit), len(unit), dtype=torch.bool, device=unit.device).triu(1)
    rate, _ = error_rates((unit @ unit.T)[pairs], (owner[:, None] == owner)[pairs]).eer()
    return unit.new_tensor(rate)
