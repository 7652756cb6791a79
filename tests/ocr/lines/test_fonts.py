import numpy as np
import pytest
from fontTools.ttLib import TTFont
from fontTools.ttLib.tables._g_l_y_f import Glyph
from PIL import features

from shared.errors import UserError
from shared.ocr.lines import fonts as module
from shared.ocr.lines.fonts import draw, find_fonts, load, open_font
from tests.ocr.conftest import FONTS

BATTAMBANG = str(FONTS / "Battambang_400Regular.ttf")


def test_enough_families_ship(fonts):
    families = {font.family for font in fonts}
    assert len(families - {"Busra", "KantumruyPro"}) >= 8
    assert {"Busra", "KantumruyPro"} <= families


def test_without_raqm_nothing_is_drawn(monkeypatch):
    monkeypatch.setattr(features, "check", lambda name: False)
    module.load.cache_clear()
    with pytest.raises(UserError, match="libfribidi"):
        load(BATTAMBANG, 32)
    module.load.cache_clear()


def test_subscripts_are_shaped(fonts):
    """A subscript goes below its base: the line gets no wider; the bare coeng sign would widen it."""
    font = load(BATTAMBANG, 64)
    base, stacked = draw("ក", font), draw("ក្ក", font)
    assert stacked.shape[1] <= 1.1 * base.shape[1]
    assert stacked.shape[0] > 1.2 * base.shape[0]


def test_vowels_written_after_are_drawn_in_front():
    font = load(BATTAMBANG, 64)
    base, vowel = draw("ក", font), draw("កេ", font)
    right = vowel[:, -base.shape[1] :]
    height = min(len(base), len(right))
    overlap = (base[-height:] > 128) & (right[-height:] > 128)
    assert overlap.sum() > 0.8 * (base > 128).sum()


def test_no_font_draws_a_dotted_circle(fonts):
    for font in fonts:
        face = load(font.path, 40, tuple(low for low, _ in font.axes))
        assert draw("កន្ត្រៃ", face).shape[1] < draw("កន◌្ត◌្រ◌ៃ", face).shape[1], font.family


def test_coverage_is_read_from_the_font():
    siemreap = open_font(str(FONTS / "Siemreap_400Regular.ttf"))
    assert siemreap.covers("កម្ពុជា ១២៣")
    assert not siemreap.covers("Khmer")
    assert not find_fonts(FONTS, "漢")


def test_what_a_font_lists_but_does_not_draw_is_not_covered(tmp_path):
    """As in some faces, whose full stop is blank: the label would hold what nobody can see."""
    with TTFont(BATTAMBANG) as file:
        file["glyf"][file.getBestCmap()[ord(".")]] = Glyph()
        file.save(tmp_path / "Blank_400Regular.ttf")
    font = open_font(str(tmp_path / "Blank_400Regular.ttf"))
    assert font.covers("ក, A") and not font.covers("ក.")
    assert open_font(BATTAMBANG).covers("ក.")


def test_ink_is_cut_to_its_box():
    ink = draw("កម្ពុជា", load(BATTAMBANG, 32))
    assert ink[0].any() and ink[-1].any() and ink[:, 0].any() and ink[:, -1].any()
    assert draw(" ", load(BATTAMBANG, 32)).size == 0


def test_a_variable_font_changes_its_weight():
    font = next(f for f in find_fonts(FONTS, "ក") if f.axes)
    thin, bold = ([low if i else high for i, (low, high) in enumerate(font.axes)] for _ in range(2))
    thin[-1], bold[-1] = font.axes[-1]
    inks = [np.mean(draw("កម្ពុជា", load(font.path, 40, tuple(axes))) > 128) for axes in (thin, bold)]
    assert inks[0] != inks[1]


def test_what_is_no_font_is_passed_over(tmp_path):
    (tmp_path / "bad.ttf").write_bytes(b"nothing")
    assert find_fonts(tmp_path, "ក") == []
