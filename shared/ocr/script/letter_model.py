"""Which letter may follow which: a language model of the shipped words, and the search that asks it."""

import math
import unicodedata
from collections.abc import Callable, Iterable
from functools import lru_cache
from typing import NamedTuple

import numpy as np

from shared.ocr.script import ctc
from shared.ocr.script.charset import BLANK, Charset, is_of
from shared.ocr.script.language import entry, find_language
from shared.ocr.script.normalise import fold
from shared.ocr.script.text import read_words

ORDER = 6  # letters that a prediction looks at, its own included
CACHED = 20_000  # contexts, a kilobyte each, and as many words
END = BLANK  # of a word, and what stands before the next: no text holds a blank
LETTERS = {
    "Lo",
    "Ll",
    "Mn",
    "Mc",
}  # Unicode's categories of letters, but for capitals, and of the marks on them

Decode = Callable[[np.ndarray], tuple[list[int], float]]


def decoder(charset: Charset, beam: int) -> Decode:
    """Logits (T, classes) of a line -> classes and a score: the best path, or a search with `beam` hypotheses.

    The search knows the words of the charset's language, but for those kept for validation; a language without words
    is read by the best path.
    """
    if beam == 1 or not entry(charset.language).is_file():
        return ctc.greedy
    if not (path := find_language(charset.language).words):
        return ctc.greedy

    # as labels are spelled
    words = {fold(word, charset.language) for word in read_words(path, validation=False)}
    model = LetterModel(words, charset)
    return lambda logits: (ctc.beam_search(logits, beam, model), ctc.greedy(logits)[1])


class LetterModel:
    """p(letter | the letters before it) in a script that sets words side by side: where words begin, it sums over.

    In a word it counts what follows the ORDER - 1 letters before, or all since the word's beginning; the word's end
    counts as well. Each order goes with the next shorter one by Witten and Bell's method C (1991). How long the word is
    by now is the forward probability of a hidden Markov model (Rabiner 1989, section III.A).

    Digits, marks and Latin are as likely as that a word ends there; behind another of them it says nothing.
    """

    def __init__(self, words: Iterable[str], charset: Charset, order: int = ORDER) -> None:
        self.classes, self.order = len(charset), order
        self.letter = np.zeros(self.classes, bool)
        script = find_language(charset.language).script
        for index, character in enumerate(charset.characters, start=1):
            kind = unicodedata.category(character)
            self.letter[index] = kind in LETTERS and is_of(character, script)
        text = [END] * order  # long enough to count in, even if the charset spells no word
        for word in words:
            if not charset.missing(word):
                text += [*charset.encode(word), END]
        found = np.array(text, np.int64)
        found = np.where(self.letter[found], found, END)
        self.grams = [Grams(found, size, self.classes) for size in range(1, order + 1)]
        self.distribution = lru_cache(CACHED)(self.distribution)
        self.word = lru_cache(CACHED)(self.word)

    def __call__(self, prefix: tuple[int, ...], c: int) -> float:
        """p of `c` behind `prefix`, or NaN where it says nothing.

        To be asked for a prefix after the shorter ones, as a search does: every word goes on from the one before.
        """
        begin = len(prefix)
        while begin and self.letter[prefix[begin - 1]]:
            begin -= 1
        if begin < len(prefix):
            word = self.word(prefix[begin:])
            return sum(self.ways(word, c)) if self.letter[c] else word.end
        return self.distribution((END,)).item(c) if self.letter[c] else math.nan

    def word(self, letters: tuple[int, ...]) -> "Word":
        """What is known of the last word in a run of letters."""
        ways = [1.0] + [0.0] * (self.order - 1)
        if len(letters) > 1:
            ways = self.ways(self.word(letters[:-1]), letters[-1])
        total = sum(ways)
        *lengths, longest, longer = (p / total for p in ways)
        lengths.append(longest + longer)
        rows = [
            self.distribution((END, *letters[-length:])[1 - self.order :]) for length in range(1, self.order)
        ]
        return Word(lengths, rows, sum(p * row.item(END) for p, row in zip(lengths, rows, strict=True)))

    def ways(self, word: "Word", letter: int) -> list[float]:
        """p of the letter as the next word's first, and behind 1, 2, ... letters of this word: ORDER of them."""
        longer = [p * row.item(letter) for p, row in zip(word.lengths, word.rows, strict=True)]
        return [word.end * self.distribution((END,)).item(letter), *longer]

    def distribution(self, context: tuple[int, ...]) -> np.ndarray:
        """p (classes,) of what follows the letters in a word, or all of the word after an END."""
        if context:
            shorter = self.distribution(context[1:])
        else:
            shorter = (self.letter | (np.arange(self.classes) == END)) / (self.letter.sum() + 1)
        followers, counts = self.grams[len(context)].after(context)
        if not len(counts):
            return shorter
        total = counts.sum() + len(counts)
        p = shorter * (len(counts) / total)
        p[followers] += counts / total
        if context == (END,):  # a word has a letter at least
            p[END] = 0
            p /= p.sum()
        return p


class Word(NamedTuple):
    """A word that may still go on."""

    lengths: list[float]  # p that it has 1, 2, ... ORDER - 1 letters by now; the last: that many or more
    rows: list[np.ndarray]  # for each of them: what follows, (classes,)
    end: float  # p that it ends here


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
