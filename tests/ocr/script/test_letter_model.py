"""The language model of letters, counted by hand and on the shipped words."""

import itertools
from importlib import import_module

import numpy as np
import pytest

from shared.config.root import ROOT
from shared.ocr.pages import predict as prediction
from shared.ocr.script import ctc, letter_model
from shared.ocr.script.charset import Charset
from shared.ocr.script.letter_model import END, LetterModel, decoder
from shared.ocr.script.text import read_words

LETTERS = Charset("កខគ 1a", "khmer")
KA, KHA, KO, SPACE, ONE, LATIN = range(1, 7)


@pytest.fixture(scope="module", params=["khmer", "thai"])
def script(request):
    return Charset.load(request.param)


@pytest.fixture(scope="module")
def model(script):
    words = read_words(ROOT / "assets/words" / f"{script.language}.txt.gz", validation=False)
    return LetterModel(words, script)


def opinions(model: LetterModel, prefix: tuple[int, ...]) -> np.ndarray:
    """Of every class of the charset, 0 being the blank."""
    return np.array([model(prefix, c) for c in range(model.classes)])


def test_witten_and_bell_by_hand():
    model = LetterModel(["កខ", "កខ", "កគ"], LETTERS, order=2)
    # 3 KA, 2 KHA, 1 KO and 5 ends of words (two before the first): 11 of four kinds, and an even 1/4 before them
    alone = {KA: 4 / 15, KHA: 3 / 15, KO: 2 / 15, END: 6 / 15}
    # behind KA: KHA twice, KO once
    behind = {c: p * 2 / 5 + {KHA: 2 / 5, KO: 1 / 5}.get(c, 0) for c, p in alone.items()}
    assert model.distribution((KA,))[[*behind]] == pytest.approx([*behind.values()])
    # a word begins with KA in 3 cases of 3, but never with its end
    first = model.distribution((END,))
    assert (
        first[END] == 0 and first.sum() == pytest.approx(1) and first[KA] > 0.5 > first[KHA] > first[KO] > 0
    )
    # KHA may go on in the word or begin the next, behind an end that nobody sees
    assert model((KA,), KHA) == pytest.approx(behind[KHA] + behind[END] * first[KHA])


WORDS = ["កខគ", "គក", "កកខ", "ខគកខ", "ក"]


def spelled(model: LetterModel, letters: tuple[int, ...]) -> float:
    """p of a run of letters over all the ways to part it into words, of which the last may go on."""
    total = 0.0
    for ends in itertools.product([False, True], repeat=len(letters) - 1):
        p, word = 1.0, (END,)
        for letter, ended in zip(letters, (*ends, False), strict=True):
            p *= model.distribution(word[1 - model.order :])[letter]
            word += (letter,)
            if ended:
                p *= model.distribution(word[1 - model.order :])[END]
                word = (END,)
        total += p
    return total


@pytest.mark.parametrize("order", [2, 3, 4, 6])
def test_where_words_begin_is_summed_over(order):
    model = LetterModel(WORDS, LETTERS, order)
    draw = np.random.default_rng(0)
    for size in (1, 2, 3, 5, 8):
        letters = tuple(draw.integers(KA, KO + 1, size).tolist())
        for c in (KA, KHA, KO):
            assert model(letters, c) == pytest.approx(spelled(model, (*letters, c)) / spelled(model, letters))


def test_digits_marks_and_latin_are_as_likely_as_that_a_word_ends():
    model = LetterModel(WORDS, LETTERS)
    p = opinions(model, (KA, KHA))
    assert p[SPACE] == p[ONE] == p[LATIN]
    assert p[[KA, KHA, KO]].sum() == pytest.approx(1)  # an end that nobody sees included
    assert opinions(model, (KA, KHA, KO))[ONE] > opinions(model, (KO, KHA))[ONE] > 0


def test_behind_what_is_no_letter_it_says_nothing_but_of_letters():
    model = LetterModel(WORDS, LETTERS)
    for foreign in (SPACE, ONE, LATIN):
        assert np.isnan(opinions(model, (KHA, foreign))[[SPACE, ONE, LATIN]]).all()
        assert opinions(model, (KHA, foreign)) == pytest.approx(opinions(model, ()), nan_ok=True)
        assert opinions(model, (KHA, foreign, KA)) == pytest.approx(opinions(model, (KA,)))


def test_a_charset_that_spells_no_word_has_no_preference():
    p = opinions(LetterModel(["ឃ"], LETTERS), (KA,))
    assert p[KA] == pytest.approx(p[KHA]) == p[KO] > 0


def test_a_digit_inside_a_word_ends_it_and_another_scripts_letter_is_no_letter():
    model = LetterModel(["កខ1គ"], Charset("កខគ1ก", "khmer"))
    assert model((4,), KO) > model((4,), KHA) and np.isnan(model((), 5))


def test_a_word_of_the_list_is_likelier_whole_than_cut_short(script, model):
    """Behind a whole word a space may well stand; one letter earlier, less so."""
    words = [
        w for w in read_words(ROOT / "assets/words" / f"{script.language}.txt.gz", False)[::400] if len(w) > 3
    ]
    space = script.encode(" ")[0]
    won = [
        model(tuple(script.encode(word)), space) > model(tuple(script.encode(word[:-1])), space)
        for word in words
        if not script.missing(word)
    ]
    assert len(won) > 50 and np.mean(won) > 0.85


def test_probabilities_of_letters_sum_to_one(script, model):
    draw = np.random.default_rng(0)
    for _ in range(50):
        prefix = tuple(draw.integers(1, len(script), draw.integers(0, 9)).tolist())
        p = opinions(model, prefix)[model.letter]
        assert (p > 0).all() and p.sum() == pytest.approx(1)


def test_words_kept_for_validation_are_likelier_than_their_letters_shuffled(script, model):
    """They are no words of the model, but words of the language."""
    words = read_words(ROOT / "assets/words" / f"{script.language}.txt.gz", validation=True)[:300]
    draw, won = np.random.default_rng(0), 0
    words = [w for w in words if len(set(w)) > 3 and not script.missing(w)]
    for word in words:
        classes = script.encode(word)
        won += surprise(model, classes) < surprise(model, draw.permutation(classes).tolist())
    assert won / len(words) > 0.97


def surprise(model: LetterModel, classes: list[int]) -> float:
    return -sum(np.log(np.nan_to_num(model(tuple(classes[:i]), c), nan=1.0)) for i, c in enumerate(classes))


def test_the_search_mends_an_unclear_letter_and_keeps_digits(script):
    """A letter of a word that the network half sees as another; digits and Latin stay what they were."""
    word, other = {"khmer": ("ភាសាខ្មែរ", "ង"), "thai": ("ภาษาไทย", "ญ")}[script.language]
    text = f"{word} 2024 x7"
    scores = np.full((2 * len(text), len(script)), -9.0)
    for i, c in enumerate(script.encode(text)):
        scores[2 * i, c] = scores[2 * i + 1, 0] = 0.0
    at = 2 * (len(word) - 2)
    scores[at, script.encode(other)[0]] = 0.3
    best, search = (script.decode(decoder(script, beam)(scores)[0]) for beam in (1, 8))
    assert best != text and search == text
    assert decoder(script, 8)(scores)[1] == decoder(script, 1)(scores)[1]


def test_words_are_counted_as_labels_are_spelled(monkeypatch):
    """Coeng DA looks like coeng TA: no label has it, so that no network reads it."""
    model = []
    monkeypatch.setattr(
        letter_model, "LetterModel", lambda words, charset: model.append(LetterModel(words, charset))
    )
    khmer = Charset.load("khmer")
    decoder(khmer, 8)
    assert model[0](tuple(khmer.encode("កណ្")), khmer.encode("ត")[0]) > 0.8


def test_a_script_without_shipped_words_is_read_by_the_best_path():
    assert decoder(Charset("ກຂ", "lao"), 8) is ctc.greedy


@pytest.mark.parametrize(("beam", "searches"), [(None, True), ("8", True), ("1", False)])
def test_predict_reads_with_the_language_model_or_as_paddleocr_does(monkeypatch, script, beam, searches):
    """beam=1 reads what PaddleOCR will read from Thai's exported folder."""
    given = {"beam": beam} if beam else {}
    predict = import_module(f"projects.{script.language}_ocr.predict")
    read = []
    monkeypatch.setattr(prediction, "predict", lambda reader, *rest: read.append(reader.decode))
    predict.main(**{**predict.DEFAULTS, **given})
    assert [decode is not ctc.greedy for decode in read] == [searches]
