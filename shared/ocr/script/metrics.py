"""Error rates of line recognition, micro-averaged: all edits over all reference characters (words)."""

from collections.abc import Iterable
from dataclasses import dataclass, field

from rapidfuzz.distance import Levenshtein

from shared.ocr.script.normalise import fold, normalise


@dataclass
class ErrorRates:
    """Sums over lines; `raw` compares normalised text, all else what the eye can tell apart (`fold`)."""

    language: str
    sums: dict[str, int] = field(default_factory=lambda: dict.fromkeys(NAMES, 0))

    def add(self, reference: str, read: str) -> None:
        raw = normalise(reference, self.language), normalise(read, self.language)
        folded = fold(reference, self.language), fold(read, self.language)
        words = folded[0].split(), folded[1].split()
        counts = {
            "lines": 1,
            "right": int(folded[0] == folded[1]),
            "characters": len(folded[0]),
            "edits": Levenshtein.distance(*folded),
            "raw_characters": len(raw[0]),
            "raw_edits": Levenshtein.distance(*raw),
            "words": len(words[0]),
            "word_edits": Levenshtein.distance(*words),
        }
        for name, count in counts.items():
            self.sums[name] += count

    def rates(self) -> dict[str, float]:
        """`cer`, `cer_raw`, `wer`, `line_accuracy` as fractions; an error rate can exceed 1."""
        sums = self.sums
        return {
            "cer": sums["edits"] / max(1, sums["characters"]),
            "cer_raw": sums["raw_edits"] / max(1, sums["raw_characters"]),
            "wer": sums["word_edits"] / max(1, sums["words"]),
            "line_accuracy": sums["right"] / max(1, sums["lines"]),
        }


NAMES = ("lines", "right", "characters", "edits", "raw_characters", "raw_edits", "words", "word_edits")


def error_rates(references: Iterable[str], read: Iterable[str], language: str) -> dict[str, float]:
    """`ErrorRates` of two lists of lines.

    >>> error_rates(["កខគឃ"], ["កខគគ"], "khmer")["cer"]
    0.25
    """
    rates = ErrorRates(language)
    for reference, text in zip(references, read, strict=True):
        rates.add(reference, text)
    return rates.rates()
