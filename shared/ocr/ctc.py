"""From CTC's scores to classes: the best path, or a prefix beam search with a character language model."""

import numpy as np


def greedy(logits: np.ndarray, blank: int = 0) -> tuple[list[int], float]:
    """Logits (T, classes) of one line -> classes of the best path, repeats and blanks removed, and their mean
    probability (1.0 for an empty line)."""
    best = logits.argmax(1)
    chosen = np.flatnonzero((best != blank) & (best != np.concatenate(([blank], best[:-1]))))
    if not len(chosen):
        return [], 1.0
    kept = logits[chosen].astype(np.float64)
    kept -= kept.max(1, keepdims=True)
    return best[chosen].tolist(), float((1 / np.exp(kept).sum(1)).mean())
