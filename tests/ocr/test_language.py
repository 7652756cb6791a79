"""The language model of letters, counted by hand and on the shipped words."""

from importlib import import_module

import numpy as np
import pytest

from shared.cli import ROOT
from shared.ocr import ctc, language
from shared.ocr import predict as prediction
from shared.ocr.charset import Charset
from shared.ocr.language import LetterModel, decoder
from shared.ocr.text import read_words

LETTERS = Charset("កខគ 1a", "khmer")
KA, KHA, KO, SPACE, ONE, LATIN = range(1, 7)


@pytest.fixture(scope="module", params=["khmer", "thai"])
def script(request):
    return Charset.load(request.param)


@pytest.fixture(scope="module")
def model(script):
    words = read_words(ROOT / "assets/words" / f"{script.script}.txt.gz", validation=False)
    return LetterModel(words, script)


def test_witten_and_bell_by_hand(monkeypatch):
    monkeypatch.setattr(language, "GAP_SHARE", 1.0)
    model = LetterModel(["កខ", "កខ", "កគ"], LETTERS, order=2)
    # of 11 characters (5 of them gaps), 3 are KA, 2 KHA, 1 KO: four kinds in all, and an even 1/4 before
    alone = np.array([3, 2, 1]) / 15 + 4 / 15 / 4
    assert model((KHA, KO)) == pytest.approx(expected(model, KO, alone), nan_ok=True)
    # behind KA: KHA twice, KO once
    behind = np.array([0, 2, 1]) / 5 + 2 / 5 * alone
    assert model((KA,))[[KA, KHA, KO]] == pytest.approx(behind)


def expected(model: LetterModel, last: int, alone: np.ndarray) -> np.ndarray:
    """KO is always followed by a gap: what is left for letters is what they have alone."""
    found = np.full(len(LETTERS), np.nan)
    found[[KA, KHA, KO]] = alone * 1 / 2
    return found


def test_of_what_is_no_letter_it_says_nothing_and_counts_it_as_a_gap():
    model = LetterModel(["កខ", "គ1គ", "aក"], LETTERS)
    assert np.isnan(model(())[[0, SPACE, ONE, LATIN]]).all() and (model(())[[KA, KHA, KO]] > 0).all()
    for foreign in (SPACE, ONE, LATIN):
        assert np.array_equal(model((KHA, foreign, KA)), model((KA,)), equal_nan=True)


def test_a_charset_that_spells_no_word_has_no_preference():
    p = LetterModel(["ឃ"], LETTERS)((KA,))
    assert p[KA] == p[KHA] == p[KO] > 0


def test_a_digit_inside_a_word_is_a_gap_and_another_scripts_letter_no_letter():
    model = LetterModel(["កខ1គ"], Charset("កខគ1ก", "khmer"))
    assert model((4,))[KO] > model((4,))[KHA] and np.isnan(model(())[5])


def test_probabilities_of_letters_sum_to_less_than_one(script, model):
    draw = np.random.default_rng(0)
    for _ in range(50):
        prefix = tuple(draw.integers(1, len(script), draw.integers(0, 9)).tolist())
        p = model(prefix)
        assert (p[model.letter] > 0).all() and 0.05 < p[model.letter].sum() <= 1 + 1e-9


def test_words_kept_for_validation_are_likelier_than_their_letters_shuffled(script, model):
    """They are no words of the model, but words of the language."""
    words = read_words(ROOT / "assets/words" / f"{script.script}.txt.gz", validation=True)[:300]
    draw, won = np.random.default_rng(0), 0
    words = [w for w in words if len(set(w)) > 3 and not script.missing(w)]
    for word in words:
        classes = script.encode(word)
        won += surprise(model, classes) < surprise(model, draw.permutation(classes).tolist())
    assert won / len(words) > 0.97


def surprise(model: LetterModel, classes: list[int]) -> float:
    return -sum(np.log(np.nan_to_num(model(tuple(classes[:i]))[c], nan=1.0)) for i, c in enumerate(classes))


def test_the_search_mends_an_unclear_letter_and_keeps_digits(script):
    """A letter of a word that the network half sees as another; digits and Latin stay what they were."""
    word, other = {"khmer": ("ភាសាខ្មែរ", "ង"), "thai": ("ภาษาไทย", "ญ")}[script.script]
    text = f"{word} 2024 x7"
    scores = np.full((2 * len(text), len(script)), -9.0)
    for i, c in enumerate(script.encode(text)):
        scores[2 * i, c] = scores[2 * i + 1, 0] = 0.0
    at = 2 * (len(word) - 2)
    scores[at, script.encode(other)[0]] = 0.3
    best, search = (script.decode(decoder(script, beam)(scores)[0]) for beam in (1, 8))
    assert best != text and search == text
    assert decoder(script, 8)(scores)[1] == decoder(script, 1)(scores)[1]


def test_a_script_without_shipped_words_is_read_by_the_best_path():
    assert decoder(Charset("ກຂ", "lao"), 8) is ctc.greedy


@pytest.mark.parametrize(("beam", "searches"), [(None, None), ("8", True), ("1", False)])
def test_predict_reads_with_the_language_model_or_as_paddleocr_does(monkeypatch, script, beam, searches):
    """Left alone, Khmer's reads as well as it can; Thai's reads what PaddleOCR will read from the exported folder."""
    given = {"beam": beam} if beam else {}
    searches = script.script == "khmer" if searches is None else searches
    predict = import_module(f"projects.{script.script}_ocr.predict")
    read = []
    monkeypatch.setattr(prediction, "predict", lambda reader, images, out: read.append(reader.decode))
    predict.main(**{**predict.DEFAULTS, **given})
    assert [decode is not ctc.greedy for decode in read] == [searches]
