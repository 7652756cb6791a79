"""From CTC's scores to classes: the best path, or a prefix beam search with a character language model."""

from collections import defaultdict
from collections.abc import Callable, Sequence

import numpy as np

LanguageModel = Callable[[tuple[int, ...], int], float]  # (prefix, next class) -> log probability
NEVER = -np.inf


def greedy(logits: np.ndarray, blank: int = 0) -> tuple[list[int], float]:
    """Logits (T, classes) of one line -> classes of the best path, without repeats and blanks, and a score.

    The score is the mean probability of the characters read, in [0, 1]; 0 for a line on which nothing is read.
    """
    best = logits.argmax(1)
    chosen = np.flatnonzero((best != blank) & (best != np.concatenate(([blank], best[:-1]))))
    if not len(chosen):
        return [], 0.0
    kept = logits[chosen].astype(np.float64)
    kept -= kept.max(1, keepdims=True)
    return best[chosen].tolist(), float((1 / np.exp(kept).sum(1)).mean())


def log_softmax(logits: np.ndarray) -> np.ndarray:
    shifted = logits - logits.max(1, keepdims=True)
    return shifted - np.log(np.exp(shifted).sum(1, keepdims=True))


def beam_search(
    logits: np.ndarray,
    width: int = 8,
    language: LanguageModel | None = None,
    weight: float = 0.3,
    reward: float = 0.5,
    blank: int = 0,
    threshold: float = 1e-4,
) -> list[int]:
    """The likeliest label of logits (T, classes), summed over its paths (Graves 2012, section 7.5.3).

    `language` counts with `weight`, each character with `reward`, against a language model's love of short lines
    (arXiv 1408.2873). Characters less likely than `threshold` in a frame are not tried there.
    """
    beams: dict[tuple[int, ...], tuple[float, float]] = {
        (): (0.0, NEVER)
    }  # prefix: log p ending in blank, or not
    prior: dict[tuple[int, ...], float] = {(): 0.0}
    for scores in log_softmax(logits.astype(np.float64)):
        candidates = [int(c) for c in np.flatnonzero(np.exp(scores) > threshold) if c != blank]
        found: dict[tuple[int, ...], list[float]] = defaultdict(lambda: [NEVER, NEVER])
        for prefix, (in_blank, in_character) in beams.items():
            total = np.logaddexp(in_blank, in_character)
            here = found[prefix]
            here[0] = np.logaddexp(here[0], total + scores[blank])
            for c in candidates:
                longer = (*prefix, c)
                if longer not in prior:
                    prior[longer] = (
                        prior[prefix] + reward + (weight * language(prefix, c) if language else -reward)
                    )
                if prefix and c == prefix[-1]:
                    here[1] = np.logaddexp(here[1], in_character + scores[c])
                    found[longer][1] = np.logaddexp(found[longer][1], in_blank + scores[c])
                else:
                    found[longer][1] = np.logaddexp(found[longer][1], total + scores[c])
        ranked = sorted(found, key=lambda p: np.logaddexp(*found[p]) + prior[p], reverse=True)
        beams = {prefix: (found[prefix][0], found[prefix][1]) for prefix in ranked[:width]}
    return list(max(beams, key=lambda p: np.logaddexp(*beams[p]) + prior[p]))


class NGram:
    """A character n-gram model with stupid backoff (Brants et al. 2007) over class indices."""

    def __init__(self, lines: Sequence[Sequence[int]], order: int = 4, backoff: float = 0.4) -> None:
        self.order, self.log_backoff = order, float(np.log(backoff))
        self.counts: dict[tuple[int, ...], int] = defaultdict(int)
        for line in lines:
            for end in range(1, len(line) + 1):
                for n in range(min(order, end) + 1):
                    self.counts[tuple(line[end - n : end])] += 1
        self.contexts: dict[tuple[int, ...], int] = defaultdict(int)
        for gram, count in self.counts.items():
            if gram:
                self.contexts[gram[:-1]] += count

    def __call__(self, prefix: tuple[int, ...], character: int) -> float:
        """log p(character | prefix), not normalised once it backs off; a floor for what was never seen."""
        penalty = 0.0
        for n in range(min(self.order - 1, len(prefix)), -1, -1):
            context = tuple(prefix[len(prefix) - n :])
            if count := self.counts.get((*context, character), 0):
                return penalty + float(np.log(count / self.contexts[context]))
            penalty += self.log_backoff
        return penalty - float(np.log(self.contexts[()] + 1))
