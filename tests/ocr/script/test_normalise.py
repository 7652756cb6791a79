import gzip
import random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from shared.ocr.script.normalise import fold, normalise
from tests.ocr.conftest import WORDS

KHMER = "កសបរដតំះាិីុូេែោើ់៉៊្៌។ៗ 1a\u200b"
THAI = "กนปเแาำิุ่้๊์ํ ็1a\u200b"

# pairs that 69 and more of 77 Khmer fonts, and all of 90 Thai fonts, draw alike (Pillow 13, raqm)
ALIKE = [
    ("khmer", "ស្រ្តី", "ស្ត្រី"),
    ("khmer", "កេី", "កើ"),
    ("khmer", "កេា", "កោ"),
    ("khmer", "សុី", "ស៊ី"),
    ("khmer", "បុី", "ប៉ី"),
    ("khmer", "កំុ", "កុំ"),
    ("khmer", "កំា", "កាំ"),
    ("thai", "ก\u0e4dา", "กำ"),
    ("thai", "น\u0e4d้า", "น้ำ"),
    ("thai", "น้\u0e4dา", "น้ำ"),
    ("thai", "นำ้", "น้ำ"),
    ("thai", "ก่ิ", "กิ่"),
    ("thai", "กุ่", "กุ่"),
    ("thai", "เเก", "แก"),
]


@pytest.mark.parametrize(("script", "one", "other"), ALIKE)
def test_alike_pictures_get_one_spelling(script, one, other):
    assert one != other
    assert normalise(one, script) == normalise(other, script) == other


def test_coeng_da_and_ta_are_folded_but_not_normalised():
    da, ta = "ប\u17d2\u178aី", "ប\u17d2\u178fី"
    assert normalise(da, "khmer") == da
    assert fold(da, "khmer") == fold(ta, "khmer") == ta


@pytest.mark.parametrize("script", ["khmer", "thai"])
def test_spaces_and_invisible_characters(script):
    assert normalise("\ufeff a\u200b\u00a0 b\u200d ", script) == "a b"


def test_no_space_before_khmer_stops():
    assert normalise("កខ ។ គ ៗ", "khmer") == "កខ។ គៗ"


def test_thai_am_is_kept_whole():
    assert normalise("คำ", "thai") == "คำ"


@given(st.text(st.sampled_from(KHMER)))
def test_khmer_is_idempotent(text):
    for change in (normalise, fold):
        once = change(text, "khmer")
        assert change(once, "khmer") == once


@given(st.text(st.sampled_from(THAI)))
def test_thai_is_idempotent(text):
    once = normalise(text, "thai")
    assert normalise(once, "thai") == once


@given(st.text())
def test_any_text_is_idempotent(text):
    for script in ("khmer", "thai"):
        once = fold(text, script)
        assert fold(once, script) == once


def test_dictionary_words_are_canonical_already():
    with gzip.open(WORDS, "rt", encoding="utf-8") as file:
        words = file.read().split("\n")[:-1]
    sample = random.Random(0).sample(words, 5000)
    changed = [word for word in sample if normalise(word, "khmer") != word]
    assert len(changed) < 0.01 * len(sample), changed[:10]
