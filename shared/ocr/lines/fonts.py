"""Font files: what they cover, which families there are, and text drawn by an engine that can shape it."""

import logging
import string
import warnings
from collections.abc import Iterable
from functools import lru_cache
from pathlib import Path
from typing import NamedTuple

import numpy as np
from fontTools.ttLib import TTFont, TTLibError
from PIL import Image, ImageDraw, ImageFont, features

from shared.errors import UserError

SYSTEM_FOLDERS = ("/usr/share/fonts", "/usr/local/share/fonts", "~/.fonts", "~/.local/share/fonts")
SUFFIXES = (".ttf", ".otf", ".woff2")
CASED = frozenset("bdgqBDGQ")
PRINTED = frozenset(string.ascii_letters + string.digits + string.punctuation)
DRAWN_WITHOUT_GLYPH = set(" \u200b\u200c\u200d")
logging.getLogger("fontTools").setLevel(logging.ERROR)  # it remarks on harmless oddities of font files


class Font(NamedTuple):
    """A font file; `family` is its name without style: KantumruyPro for KantumruyPro_700Bold.ttf."""

    path: str
    family: str
    characters: frozenset[str]
    axes: tuple[tuple[float, float], ...]  # ranges of a variable font's axes

    def covers(self, text: str) -> bool:
        return self.characters.issuperset(text)


def require_shaping() -> None:
    """Raise UserError unless Pillow can shape: without raqm, Khmer and Thai lines are garbage."""
    if not features.check("raqm"):
        what = "Pillow cannot shape complex scripts: raqm is off, libfribidi.so.0 is missing"
        raise UserError(what, "Pillow", "install the system package libfribidi0")


def find_fonts(folder: str | Path, required: Iterable[str]) -> list[Font]:
    """Usable fonts below a folder that have all `required` characters, sorted by path."""
    paths = sorted(path for path in Path(folder).expanduser().rglob("*") if path.suffix.lower() in SUFFIXES)
    required = set(required)
    fonts = [font for path in paths if (font := open_font(str(path)))]
    return [font for font in fonts if font.characters >= required]


@lru_cache(maxsize=4096)
def open_font(path: str) -> Font | None:
    """The font, or None for a file that is none."""
    try:
        with TTFont(path, lazy=True) as file:
            characters = frozenset(map(chr, file.getBestCmap() or ())) | DRAWN_WITHOUT_GLYPH
            axes = tuple((a.minValue, a.maxValue) for a in file["fvar"].axes) if "fvar" in file else ()
        if characters >= CASED and small_capitals(path):
            characters -= frozenset(string.ascii_lowercase)
        characters -= blank(path, characters & PRINTED)
    except (TTLibError, OSError, ImportError, KeyError):
        return None
    return Font(path, family(path), characters, axes)


def small_capitals(path: str) -> bool:
    """Whether the font draws capitals for small letters: headings' faces do, and would teach wrong labels."""
    font = load(path, 40)
    return np.array_equal(draw("bdgq", font), draw("BDGQ", font))


def blank(path: str, characters: Iterable[str]) -> frozenset[str]:
    """Those of the characters that the font has in its table but draws nothing for."""
    font = load(path, 40)
    return frozenset(character for character in characters if not draw(character, font).size)


def family(path: str) -> str:
    return Path(path).stem.split("_")[0].split("-")[0]


@lru_cache(maxsize=512)
def load(path: str, size: int, axes: tuple[float, ...] = ()) -> ImageFont.FreeTypeFont:
    """Pillow's font at `size` pixels, shaped by raqm or not at all."""
    require_shaping()
    with warnings.catch_warnings():
        warnings.simplefilter("error")  # Pillow only warns when it falls back to drawing without shaping
        font = ImageFont.truetype(path, size, layout_engine=ImageFont.Layout.RAQM)
    if axes:
        font.set_variation_by_axes(list(axes))
    return font


def draw(text: str, font: ImageFont.FreeTypeFont, stroke: int = 0) -> np.ndarray:
    """The line's ink, cut to its box: uint8 (H, W), 255 where ink is; (0, 0) where there is none."""
    left, top, right, bottom = (int(edge) for edge in font.getbbox(text, stroke_width=stroke))
    if right <= left or bottom <= top:
        return np.zeros((0, 0), np.uint8)
    pad = font.size  # some marks reach out of the box that the font reports
    canvas = Image.new("L", (right - left + 2 * pad, bottom - top + 2 * pad))
    ImageDraw.Draw(canvas).text((pad - left, pad - top), text, fill=255, font=font, stroke_width=stroke)
    ink = np.asarray(canvas)
    rows, columns = np.flatnonzero(ink.max(1)), np.flatnonzero(ink.max(0))
    if not len(rows):
        return np.zeros((0, 0), np.uint8)
    return ink[rows[0] : rows[-1] + 1, columns[0] : columns[-1] + 1]
