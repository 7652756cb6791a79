"""Fonts and charsets that the tests of shared/ocr share."""

from pathlib import Path

import pytest

from shared.ocr.lines.fonts import Font, find_fonts
from shared.ocr.script.charset import Charset

FONTS = Path(__file__).resolve().parents[2] / "assets" / "fonts" / "khmer"
WORDS = Path(__file__).resolve().parents[2] / "assets" / "words" / "khmer.txt.gz"


@pytest.fixture(scope="session")
def khmer() -> Charset:
    return Charset.load("khmer")


@pytest.fixture(scope="session")
def fonts() -> list[Font]:
    return find_fonts(FONTS, "កខគ")
