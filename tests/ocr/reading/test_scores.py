"""What a validation of lines counts."""

import numpy as np
import pytest

from shared.ocr.reading.scores import LineScores
from shared.ocr.script.charset import Charset

LETTERS = Charset("កខគ", "khmer")


def logits(*lines: str) -> np.ndarray:
    """Frames on which a network is sure of each letter, then of a blank."""
    frames = np.full((len(lines), 12, len(LETTERS)), -9.0)
    frames[:, :, 0] = 0.0
    for row, text in enumerate(lines):
        for place, c in enumerate(LETTERS.encode(text)):
            frames[row, 2 * place, c] = 9.0
    return frames


def batch(*texts: str, group: list[int], first: int = 0) -> dict:
    return {"text": list(texts), "group": np.array(group), "index": np.arange(first, first + len(texts))}


def test_rates_of_all_lines_and_of_each_group():
    scores = LineScores(LETTERS, beam=1)
    scores.add(batch("កខ", "គគ", group=[0, 1]), logits("កខ", "គខ"), [12, 12])
    found = scores.results()
    assert found["val/cer"] == pytest.approx(1 / 4) and found["val/line_accuracy"] == 0.5
    assert found["val/cer_clear"] == 0 and found["val/cer_degraded"] == 0.5
    assert scores.read == [(0, "កខ", "កខ"), (1, "គគ", "គខ")]


def test_frames_beyond_a_line_are_not_read():
    scores = LineScores(LETTERS, beam=1)
    scores.add(batch("ក", group=[0]), logits("កខគ"), [2])
    assert scores.read == [(0, "ក", "ក")] and "val/cer_degraded" not in scores.results()


def test_counts_of_two_ranks_add_up():
    """As one rank that has read all lines."""
    whole, one, two = (LineScores(LETTERS, beam=1) for _ in range(3))
    for scores, texts in ((one, ["ក"]), (two, ["ខខ"]), (whole, ["ក", "ខខ"])):
        lines = batch(*texts, group=[len(text) - 1 for text in texts])
        scores.add(lines, logits(*["ក"] * len(texts)), [12] * len(texts))
    one.counts = [a + b for a, b in zip(one.counts, two.counts, strict=True)]
    assert one.results() == whole.results() and one.results()["val/cer"] > 0
    one.reset()
    assert not one.read and not any(one.counts)
