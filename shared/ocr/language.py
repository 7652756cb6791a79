"""Which letter may follow which: a language model of the shipped words, and the search that asks it."""

import unicodedata
from collections.abc import Callable, Sequence
from functools import lru_cache

import numpy as np

from shared.cli import ROOT
from shared.ocr import ctc
from shared.ocr.charset import BLANK, Charset, is_of
from shared.ocr.text import read_words

ORDER = 6  # letters that a prediction looks at, its own included
GAP_SHARE = 0.3  # of the words, that stand apart from the next
CACHED = 20_000  # contexts, a kilobyte each
LETTERS = {"Lo", "Mn", "Mc"}  # Unicode's categories of letters without case, and of the marks on them

Decode = Callable[[np.ndarray], tuple[list[int], float]]


def decoder(charset: Charset, beam: int) -> Decode:
    """Logits (T, classes) of a line -> classes and a score: the best path, or a search with `beam` hypotheses.

    The search knows the shipped words of the charset's script, but for those kept for validation; a script without
    shipped words is read by the best path.
    """
    path = ROOT / "assets" / "words" / f"{charset.script}.txt.gz"
    if beam == 1 or not path.exists():
        return ctc.greedy
    model = LetterModel(read_words(path, validation=False), charset)
    return lambda logits: (ctc.beam_search(logits, beam, model), ctc.greedy(logits)[1])


class LetterModel:
    """p(letter | the ORDER - 1 characters before it) by Witten and Bell's method C (1991), each order with the next
    shorter one.

    Khmer and Thai set words side by side: all words are counted as one text, in a random but fixed order, with a gap
    here and there. Of digits, marks and Latin it says nothing; to it they are gaps.
    """

    def __init__(self, words: Sequence[str], charset: Charset, order: int = ORDER) -> None:
        self.classes, self.order = len(charset), order
        self.letter = np.zeros(self.classes, bool)
        for index, character in enumerate(charset.characters, start=1):
            kind = unicodedata.category(character)
            self.letter[index] = kind in LETTERS and is_of(character, charset.script)
        text = self.running_text([charset.encode(word) for word in words if not charset.missing(word)])
        self.grams = [Grams(text, size, self.classes) for size in range(1, order + 1)]
        self.distribution = lru_cache(CACHED)(self.distribution)

    def running_text(self, words: Sequence[Sequence[int]]) -> np.ndarray:
        """All words once; BLANK, which no text holds, stands for a gap."""
        rng = np.random.default_rng(0)
        text = [BLANK] * self.order  # long enough to count in, even if the charset spells no word
        for index in rng.permutation(len(words)):
            text += words[index]
            if rng.random() < GAP_SHARE:
                text.append(BLANK)
        found = np.array(text, np.int64)
        return np.where(self.letter[found], found, BLANK)

    def __call__(self, prefix: tuple[int, ...]) -> np.ndarray:
        """Probabilities (classes,) of the letters that may follow; NaN for all that is no letter."""
        context: tuple[int, ...] = ()
        for index in reversed(prefix):
            if len(context) == self.order - 1 or not self.letter[index]:
                break
            context = (index, *context)
        if len(context) < self.order - 1:
            context = (BLANK, *context)
        return self.distribution(context)

    def distribution(self, context: tuple[int, ...]) -> np.ndarray:
        p = np.full(self.classes, 1 / (self.letter.sum() + 1))
        for size in range(len(context) + 1):
            followers, counts = self.grams[size].after(context[len(context) - size :])
            total = counts.sum() + len(counts)
            if not total:
                break
            p *= len(counts) / total
            p[followers] += counts / total
        return np.where(self.letter, p, np.nan)


class Grams:
    """Every sequence of `size` classes in a text, and how often it stands there."""

    def __init__(self, text: np.ndarray, size: int, classes: int) -> None:
        # Sequences are counted as numbers whose digits are the classes.
        self.weights = classes ** np.arange(size - 1, -1, -1, dtype=np.int64)
        found = np.lib.stride_tricks.sliding_window_view(text, size) @ self.weights
        codes, self.counts = np.unique(found, return_counts=True)
        self.contexts, self.followers = codes // classes, codes % classes

    def after(self, context: tuple[int, ...]) -> tuple[np.ndarray, np.ndarray]:
        """The classes that stand behind a context, and how often each does."""
        code = int(np.array(context, np.int64) @ self.weights[1:])
        begin, end = np.searchsorted(self.contexts, (code, code + 1))
        return self.followers[begin:end], self.counts[begin:end]
