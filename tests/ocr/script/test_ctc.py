import itertools
import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from shared.ocr.script.ctc import beam_search, greedy, softmax


def logits(path: list[int], classes: int = 4) -> np.ndarray:
    return 9.0 * np.eye(classes)[path]


@pytest.mark.parametrize(
    ("path", "text"),
    [
        ([0, 1, 1, 0, 1, 2], [1, 1, 2]),
        ([1, 1, 1], [1]),
        ([0, 0], []),
        ([1, 0, 1], [1, 1]),
        ([3, 2, 2], [3, 2]),
    ],
)
def test_repeats_merge_unless_a_blank_stands_between(path, text):
    assert greedy(logits(path))[0] == text
    assert beam_search(logits(path)) == text


def test_the_score_is_the_mean_probability_of_what_was_read():
    scores = np.log(np.array([[0.2, 0.8], [0.9, 0.1], [0.4, 0.6]]))
    assert greedy(scores) == ([1, 1], pytest.approx(0.7))
    assert greedy(np.log([[0.9, 0.1]])) == ([], 0.0)


def likeliest(scores: np.ndarray) -> tuple[int, ...]:
    """The label of largest probability, by trying every path."""
    totals: dict[tuple[int, ...], float] = {}
    for path in itertools.product(range(scores.shape[1]), repeat=len(scores)):
        label = tuple(c for c, _ in itertools.groupby(path) if c)
        totals[label] = totals.get(label, 0) + np.exp(sum(s[c] for s, c in zip(scores, path, strict=True)))
    return max(totals, key=totals.get)


@settings(max_examples=25, deadline=None)
@given(st.integers(0, 10_000))
def test_a_wide_beam_finds_the_likeliest_label(seed):
    scores = np.log(softmax(np.random.default_rng(seed).normal(0, 1.5, (5, 3))))
    assert tuple(beam_search(scores, width=1000, threshold=0)) == likeliest(scores)


def test_a_beam_sees_what_the_best_path_misses():
    scores = np.log(np.array([[0.4, 0.35, 0.25], [0.4, 0.35, 0.25]]))
    assert greedy(scores)[0] == []
    assert beam_search(scores) == [1]


def follows(prefix: tuple[int, ...], c: int) -> float:
    """2 is likely behind 1; of class 3 nothing is known."""
    return (math.nan, 0.05, 0.9 if prefix[-1:] == (1,) else 0.05, math.nan)[c]


def test_the_language_model_decides_between_equals():
    scores = np.log([[0.02, 0.48, 0.02, 0.48], [0.02, 0.02, 0.47, 0.49]])
    assert beam_search(scores) == [3]
    assert beam_search(scores, language=follows) == [1, 2]


def test_what_the_network_is_sure_of_no_language_model_changes():
    scores = np.log(
        [[0.001, 0.997, 0.001, 0.001], [0.001, 0.997, 0.001, 0.001], [0.001, 0.001, 0.001, 0.997]]
    )
    assert beam_search(scores, language=follows) == [1, 3]


@settings(max_examples=25, deadline=None)
@given(st.integers(0, 10_000))
def test_a_model_without_opinions_changes_nothing(seed):
    scores = np.random.default_rng(seed).normal(0, 1.5, (6, 4))
    assert beam_search(scores, language=lambda prefix, c: math.nan) == beam_search(scores)


def test_a_very_long_line_does_not_vanish():
    path = [1, 0, 2, 0] * 2000
    scores = np.log(0.25 + 0.25 * np.eye(4)[path])
    assert beam_search(scores, width=2) == [1, 2] * 2000
