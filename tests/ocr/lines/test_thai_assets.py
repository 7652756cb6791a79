"""What thai_ocr trains on: its fonts draw Thai as it is written, its words and phrases stay inside the charset."""

import string

import numpy as np
import pytest
from PIL import ImageFont

from shared.config.root import ROOT
from shared.data.draws import keyed_generator
from shared.ocr.lines.fonts import Font, draw, find_fonts, load
from shared.ocr.lines.tables import read_table
from shared.ocr.script.charset import Charset
from shared.ocr.script.normalise import fold
from shared.ocr.script.text import LineText, read_words

FONTS, WORDS = ROOT / "assets" / "fonts" / "thai", ROOT / "assets" / "words" / "thai.txt.gz"
VALIDATION = {"Niramit", "Pridi"}


@pytest.fixture(scope="module")
def thai() -> Charset:
    return Charset.load("thai")


@pytest.fixture(scope="module")
def families(thai) -> dict[str, Font]:
    return {font.family: font for font in find_fonts(FONTS, thai.characters)}


def face(font: Font):
    return load(font.path, 48, tuple(low for low, _ in font.axes))


def test_every_font_covers_the_charset_and_its_licence_ships(thai):
    files, licence = sorted(FONTS.glob("*.ttf")), (FONTS / "OFL.txt").read_text(encoding="utf-8")
    assert [font.path for font in find_fonts(FONTS, thai.characters)] == [str(file) for file in files]
    assert not [file.name for file in files if file.name not in licence]


def test_enough_families_for_training_and_two_for_validation(families):
    assert families.keys() >= VALIDATION
    assert len(families.keys() - VALIDATION) >= 10


def test_no_small_letter_looks_like_a_capital(families):
    assert not [font.path for font in families.values() if not font.covers(string.ascii_lowercase)]


def test_marks_stack_instead_of_standing_side_by_side(families):
    for font in families.values():
        base, stacked = draw("ท", face(font)), draw("ที่", face(font))
        assert stacked.shape[1] <= 1.5 * base.shape[1], font.path
        assert stacked.shape[0] > 1.4 * base.shape[0], font.path


def test_the_tone_of_am_stands_above_its_ring(families):
    for font in families.values():
        assert draw("น้ำ", face(font)).shape[0] > draw("นำ", face(font)).shape[0], font.path


def test_a_letter_gives_up_its_foot_to_a_vowel_below(families):
    """Without shaping the vowel is printed across the foot of the letter, which takes more ink."""
    for font in families.values():
        plain = ImageFont.truetype(font.path, 48, layout_engine=ImageFont.Layout.BASIC)
        shaped, unshaped = draw("ฐู", face(font)), draw("ฐู", plain)
        assert np.sum(shaped > 128) < np.sum(unshaped > 128), font.path


def test_the_words_are_canonical_and_inside_the_charset(thai):
    words = read_words(WORDS, False) + read_words(WORDS, True)
    assert len(words) == len(set(words)) > 60_000
    assert not [word for word in words if thai.missing(word) or fold(word, "thai") != word]


def test_phrases_fill_all_their_slots_inside_the_charset(thai):
    text = LineText(["กา"], "thai", phrase_share=1.0)
    lines = [text(keyed_generator(0, "test", index=i), 40) for i in range(1000)]
    assert not [line for line in lines if "{" in line or thai.missing(fold(line, "thai"))]
    drawn = set("".join(lines))
    assert set("ฃฅฦฤๅฯๆฒฌ฿๏๚๛") | set(string.digits) | set("๐๑๒๓๔๕๖๗๘๙") <= drawn
    assert any("+66 0" in line for line in lines)


def test_the_samples_are_labelled(thai):
    lines = read_table(ROOT / "docs" / "samples" / "thai" / "labels.tsv")
    assert len(lines) == 24
    assert not [line for line in lines if thai.missing(line.text)]
