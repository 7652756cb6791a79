"""Speaker losses over tuples of utterances. Each runs in fp32, whatever the autocast, with finite gradients everywhere.

A loss takes embeddings (S, U, D) of U utterances of each of S speakers and labels (S,), and returns the mean loss and
the accuracies to log. Every utterance is a sample: flattening (S, U) keeps an utterance's label beside it. One that
`compares_samples` sets the speakers of a (micro) batch against each other: cut finer, it is another loss.
"""

import math

import torch
from torch import Tensor, nn
from torch.nn import functional as F

Means = dict[str, Tensor]


def samples(embedding: Tensor, label: Tensor) -> tuple[Tensor, Tensor]:
    """(S, U, D) and (S,) as S * U samples: (S U, D) and (S U,), in the same order."""
    return embedding.flatten(0, 1), label.repeat_interleave(embedding.shape[1])


def cosine(a: Tensor, b: Tensor) -> Tensor:
    """Cosines (N, M) of rows; the zero vector has cosine 0 to everything and a bounded gradient."""
    return F.normalize(a, eps=1e-6) @ F.normalize(b, eps=1e-6).T


def accuracy(logits: Tensor, label: Tensor) -> Tensor:
    return (logits.detach().argmax(1) == label).float().mean()


class AAMSoftmax(nn.Module):
    """Additive angular margin softmax (ArcFace, Deng et al. 2019, arXiv 1801.07698).

    The logit of the true speaker is scale * cos(theta + margin), continued linearly where theta + margin > pi.
    `warmup` is the share of the margin in force: the task raises it from 0 to 1.
    """

    min_utterances, compares_samples = 1, False

    def __init__(self, embedding: int, speakers: int, margin: float = 0.2, scale: float = 30.0) -> None:
        super().__init__()
        if not 0 <= margin < math.pi / 2:
            raise ValueError(f"margin must be an angle from 0 to below pi / 2, not {margin}")
        self.weight = nn.Parameter(nn.init.xavier_normal_(torch.empty(speakers, embedding)))
        self.margin, self.scale, self.warmup = margin, scale, 1.0

    def forward(self, embedding: Tensor, label: Tensor) -> tuple[Tensor, Means]:
        x, target = samples(embedding, label)
        logits = cosine(x, self.weight)
        true = logits.gather(1, target[:, None])
        penalised = logits.scatter(1, target[:, None], self.penalise(true)) * self.scale
        means = {"acc": accuracy(logits, target), "margin_acc": accuracy(penalised, target)}
        return F.cross_entropy(penalised, target), means

    def penalise(self, cos: Tensor) -> Tensor:
        """cos(theta + margin) of cos(theta); the root of 1 - cos^2 has no gradient at 0, so it is kept above."""
        margin = self.margin * self.warmup
        sin = (1 - cos.square()).clamp(min=1e-7).sqrt()
        inside = cos * math.cos(margin) - sin * math.sin(margin)
        return torch.where(cos > -math.cos(margin), inside, cos - margin * math.sin(margin))


class Softmax(nn.Module):
    """Cross-entropy of a linear classifier."""

    min_utterances, compares_samples = 1, False

    def __init__(self, embedding: int, speakers: int) -> None:
        super().__init__()
        self.fc = nn.Linear(embedding, speakers)

    def forward(self, embedding: Tensor, label: Tensor) -> tuple[Tensor, Means]:
        x, target = samples(embedding, label)
        logits = self.fc(x)
        return F.cross_entropy(logits, target), {"acc": accuracy(logits, target)}


class AngularPrototypical(nn.Module):
    """Each speaker's last utterance finds the prototype, the mean of the others (arXiv 2003.11982, section 2.2).

    Its accuracy is over the speakers of the (micro) batch.
    """

    min_utterances, compares_samples = 2, True

    def __init__(self, embedding: int, speakers: int, scale: float = 10.0, bias: float = -5.0) -> None:
        super().__init__()
        self.scale = nn.Parameter(torch.tensor(scale))
        self.bias = nn.Parameter(torch.tensor(bias))

    def forward(self, embedding: Tensor, label: Tensor) -> tuple[Tensor, Means]:
        prototype, query = embedding[:, :-1].mean(1), embedding[:, -1]
        logits = cosine(query, prototype) * self.scale.clamp(min=1e-6) + self.bias
        target = torch.arange(len(logits), device=logits.device)
        return F.cross_entropy(logits, target), {"acc": accuracy(logits, target)}


class SoftmaxPrototypical(nn.Module):
    """Softmax plus angular prototypical, as the published ResNetSE34V2 is trained; the accuracy is the softmax's."""

    min_utterances, compares_samples = 2, True

    def __init__(self, embedding: int, speakers: int) -> None:
        super().__init__()
        self.softmax = Softmax(embedding, speakers)
        self.prototypical = AngularPrototypical(embedding, speakers)

    def forward(self, embedding: Tensor, label: Tensor) -> tuple[Tensor, Means]:
        loss, means = self.softmax(embedding, label)
        return loss + self.prototypical(embedding, label)[0], means
