"""From CTC's scores to classes: the best path, or a prefix beam search with a language model."""

import math
from collections import defaultdict
from collections.abc import Callable
from functools import cache

import numpy as np

# What was read so far and a class -> the probability that it follows; NaN where the model has no opinion.
LanguageModel = Callable[[tuple[int, ...], int], float]


def greedy(logits: np.ndarray, blank: int = 0) -> tuple[list[int], float]:
    """Logits (T, classes) of one line -> classes of the best path, without repeats and blanks, and a score.

    The score is the mean probability of the characters read, in [0, 1]; 0 for a line on which nothing is read.

    >>> greedy(np.log([[0.1, 0.9], [0.1, 0.9], [0.8, 0.2], [0.3, 0.7]]))[0]
    [1, 1]
    """
    best = logits.argmax(1)
    chosen = np.flatnonzero((best != blank) & (best != np.concatenate(([blank], best[:-1]))))
    if not len(chosen):
        return [], 0.0
    kept = logits[chosen].astype(np.float64)
    kept -= kept.max(1, keepdims=True)
    return best[chosen].tolist(), float((1 / np.exp(kept).sum(1)).mean())


def label_score(logits: np.ndarray, label: list[int], blank: int = 0) -> float:
    """How sure a network is of a label of logits (T, classes): its probability over all paths, a character's share.

    p(label)^(1 / characters), by the forward recursion of Graves et al. 2006 (section 4.1), in [0, 1]; 0 for an empty
    label, and for one that is longer than the line has frames for.
    """
    if not label:
        return 0.0
    scores = np.log(softmax(logits.astype(np.float64)) + 1e-300)
    states = np.full(2 * len(label) + 1, blank)
    states[1::2] = label
    skips = np.zeros(len(states), bool)
    skips[3::2] = states[3::2] != states[1:-2:2]

    at = np.full(len(states), -np.inf)
    at[:2] = scores[0, states[:2]]
    for frame in scores[1:]:
        one, two = np.full(len(at), -np.inf), np.full(len(at), -np.inf)
        one[1:], two[2:] = at[:-1], np.where(skips[2:], at[:-2], -np.inf)
        at = np.logaddexp(np.logaddexp(at, one), two) + frame[states]
    return float(np.exp(np.logaddexp(at[-1], at[-2]) / len(label)))


def softmax(logits: np.ndarray) -> np.ndarray:
    powers = np.exp(logits - logits.max(1, keepdims=True))
    return powers / powers.sum(1, keepdims=True)


def beam_search(
    logits: np.ndarray,
    width: int = 8,
    language: LanguageModel | None = None,
    weight: float = 0.5,
    reward: float = 1.3,
    blank: int = 0,
    threshold: float = 1e-3,
) -> list[int]:
    """The likeliest label of logits (T, classes), summed over its paths (Graves 2012, section 7.5.3).

    `language` counts with the power `weight`; each character on which it has an opinion earns e^`reward`, against a
    language model's love of short lines (arXiv 1408.2873). In each frame the `width` likeliest characters are tried,
    as far as they are likelier than `threshold`.
    """
    beams = {(): (1.0, 0.0)}  # prefix: its probability if the last frame is blank, and if it is not

    @cache
    def bonus(prefix: tuple[int, ...], c: int) -> float:
        p = language(prefix, c) if language else math.nan
        return 1.0 if math.isnan(p) else earned * p**weight

    earned = math.exp(reward)
    for scores in softmax(logits.astype(np.float64)):
        tried = np.flatnonzero(scores > threshold).tolist()
        if tried == [blank]:
            beams = {prefix: (a + b, 0.0) for prefix, (a, b) in beams.items()}
            continue
        tried = sorted((c for c in tried if c != blank), key=lambda c: -scores[c])[:width]
        scores = scores.tolist()
        found: dict[tuple[int, ...], list[float]] = defaultdict(lambda: [0.0, 0.0])
        for prefix, (in_blank, in_character) in beams.items():
            found[prefix][0] += (in_blank + in_character) * scores[blank]
            for c in tried:
                before = in_blank + in_character
                if prefix and c == prefix[-1]:
                    found[prefix][1] += in_character * scores[c]
                    before = in_blank
                if before > 0:
                    found[*prefix, c][1] += before * scores[c] * bonus(prefix, c)
        ranked = sorted(found.items(), key=lambda each: -sum(each[1]))[:width]
        largest = sum(ranked[0][1])  # what the best has becomes 1: the product over a long line would vanish
        beams = {prefix: (a / largest, b / largest) for prefix, (a, b) in ranked}
    return list(max(beams, key=lambda prefix: sum(beams[prefix])))
