import gzip

import pytest

from shared.data.draws import keyed_generator
from shared.errors import UserError
from shared.ocr.script.normalise import fold
from shared.ocr.script.text import LineText, read_words
from tests.ocr.conftest import WORDS


def test_validation_words_are_never_trained_on():
    train, val = (set(read_words(WORDS, validation)) for validation in (False, True))
    assert not train & val
    assert 0.04 < len(val) / len(train) < 0.06
    with gzip.open(WORDS, "rt") as file:
        assert len(train | val) == len(set(file.read().split("\n")) - {""})


@pytest.mark.parametrize("script", ["khmer", "thai"])
def test_no_word_of_training_looks_like_one_of_validation(script):
    train, val = (
        {fold(word, script) for word in read_words(WORDS.with_name(f"{script}.txt.gz"), validation)}
        for validation in (False, True)
    )
    assert len(train) > 50_000 and not train & val


def test_lines_are_kept_short_and_inside_the_charset(khmer):
    text = LineText(read_words(WORDS, False), "khmer", phrase_share=0.0)
    longest = max(map(len, text.words))
    lines = [text(keyed_generator(0, "test", index=i), 1 + i % 40) for i in range(300)]
    assert all(line for line in lines)
    assert all(len(line) <= max(1 + i % 40, longest) + 4 for i, line in enumerate(lines))
    outside = [line for line in lines if khmer.missing(fold(line, "khmer"))]
    assert len(outside) < 3, outside


def test_phrases_fill_all_their_slots(khmer):
    text = LineText(["ក"], "khmer", phrase_share=1.0)
    lines = [text.phrase(keyed_generator(0, "test", index=i)) for i in range(500)]
    assert not [line for line in lines if "{" in line]
    assert not [line for line in lines if khmer.missing(line)]
    assert any("៛" in line for line in lines) and any("@" in line for line in lines)


def test_digits_come_in_both_kinds():
    text = LineText(["ក"], "khmer", phrase_share=1.0)
    drawn = "".join(text(keyed_generator(0, "test", index=i), 30) for i in range(50))
    assert set("0123456789") <= set(drawn) and set("០១២៣៤៥៦៧៨៩") <= set(drawn)


def test_a_missing_word_list_is_named(tmp_path):
    with pytest.raises(UserError, match=r"none\.gz"):
        read_words(tmp_path / "none.gz", False)
