import pytest
from hypothesis import given
from hypothesis import strategies as st

from shared.ocr.script.metrics import error_rates


def test_rates_are_micro_averages():
    rates = error_rates(["កខគង", "ក"], ["កខគ", "ខ"], "khmer")
    assert rates["cer"] == pytest.approx(2 / 5)
    assert rates["line_accuracy"] == 0


def test_words_are_counted_by_spaces():
    assert error_rates(["កខ គង ច"], ["កខ គ ច"], "khmer")["wer"] == pytest.approx(1 / 3)


def test_folding_forgives_only_what_no_eye_sees():
    rates = error_rates(["ប\u17d2\u178aី"], ["ប\u17d2\u178fី"], "khmer")
    assert (rates["cer"], rates["line_accuracy"]) == (0, 1)
    assert rates["cer_raw"] == pytest.approx(1 / 4)


def test_nothing_read_is_a_rate_of_one_and_too_much_is_more():
    assert error_rates(["កខ"], [""], "khmer")["cer"] == 1
    assert error_rates(["ក"], ["កខគ"], "khmer")["cer"] == 2


@given(st.lists(st.text(st.sampled_from("កខគ ា"), max_size=8), max_size=5))
def test_a_perfect_reading_has_no_errors(lines):
    rates = error_rates(lines, lines, "khmer")
    assert rates["cer"] == rates["cer_raw"] == rates["wer"] == 0
