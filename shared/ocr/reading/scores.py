"""What a validation of lines counts, on either framework: error rates, and what was read."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from shared.ocr.script.charset import Charset
from shared.ocr.script.letter_model import decoder
from shared.ocr.script.metrics import ErrorRates

GROUPS = ("clear", "degraded")
OF_A_GROUP = ("cer", "line_accuracy")  # that are told of each group, beside those of all lines


class LineScores:
    """Error rates of all lines, and of clear and degraded ones apart; `read` holds (index, text, what was read).

    Reads the best path, or with a `beam` of more than 1 hypothesis and the language model of the charset's language.
    """

    def __init__(self, charset: Charset, beam: int) -> None:
        self.charset, self.decode = charset, decoder(charset, beam)
        self.reset()

    def reset(self) -> None:
        self.rates = {name: ErrorRates(self.charset.language) for name in ("all", *GROUPS)}
        self.read: list[tuple[int, str, str]] = []

    def add(self, batch: Mapping[str, Any], logits: np.ndarray, frames: Sequence[int]) -> None:
        """Read a batch of `pad_lines` from its logits (N, T, classes), of which each line has `frames`."""
        facts = zip(batch["text"], batch["group"].tolist(), batch["index"].tolist(), strict=True)
        for (text, group, index), scores, count in zip(facts, logits, frames, strict=True):
            read = self.charset.decode(self.decode(scores[:count])[0])
            self.rates["all"].add(text, read)
            self.rates[GROUPS[group]].add(text, read)
            self.read.append((index, text, read))

    @property
    def counts(self) -> list[int]:
        """All sums, in a fixed order, to be added up over ranks."""
        return [count for rates in self.rates.values() for count in rates.sums.values()]

    @counts.setter
    def counts(self, counts: Sequence[int]) -> None:
        left = iter(counts)
        for rates in self.rates.values():
            rates.sums = {name: next(left) for name in rates.sums}

    def results(self) -> dict[str, float]:
        """`val/cer` and the other rates, and those of each group that has lines: `val/cer_clear`."""
        found = {f"val/{name}": rate for name, rate in self.rates["all"].rates().items()}
        for group in GROUPS:
            if self.rates[group].sums["lines"]:
                rates = self.rates[group].rates()
                found |= {f"val/{name}_{group}": rates[name] for name in OF_A_GROUP}
        return found
