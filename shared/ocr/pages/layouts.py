"""Pages made of our fonts and words to measure with: five layouts, clean, scanned and photographed."""

from collections.abc import Callable
from typing import NamedTuple

import cv2
import numpy as np

from shared.ocr.lines.fonts import draw, load
from shared.ocr.script.language import find_language
from shared.ocr.script.text import LineText, read_words

KINDS = ("clean", "scanned", "photographed")
SIZE = (1654, 2339)  # A4 at 200 dots an inch


class Made(NamedTuple):
    """A page, grey uint8 (H, W), and its lines in the order in which a person reads them."""

    image: np.ndarray
    lines: list[str]


class Sheet:
    """A white page that lines are put on."""

    def __init__(self, language: str, seed: int, size: tuple[int, int] = SIZE) -> None:
        self.rng = np.random.default_rng(seed)
        known = find_language(language)
        self.font = known.page_font
        self.text = LineText(read_words(known.words, validation=True), language, phrase_share=0.1)
        self.page = np.full((size[1], size[0]), 255, np.uint8)
        self.lines: list[str] = []

    def fitting(self, width: int, size: int) -> str:
        """A line of text that is at most `width` wide, and nearly so."""
        font = load(self.font, size)
        for length in range(int(width / size * 2.2), 3, -1):
            text = self.text(self.rng, length)
            if 0.75 * width < font.getlength(text) <= width:
                return text
        return self.text(self.rng, 8)

    def put(self, text: str, x: int, y: int, size: int) -> int:
        """The text's ink with its upper left corner at (x, y) of its line; the height of a line."""
        font = load(self.font, size)
        ink = draw(text, font)
        top = y + max(0, font.getbbox(text)[1])
        rows = slice(top, min(self.page.shape[0], top + ink.shape[0]))
        columns = slice(x, min(self.page.shape[1], x + ink.shape[1]))
        part = self.page[rows, columns]
        part -= np.minimum(part, ink[: part.shape[0], : part.shape[1]])
        self.lines.append(text)
        return int(size * 1.9)

    def paragraph(self, x: int, y: int, width: int, count: int, size: int) -> int:
        for number in range(count):
            share = 1.0 if number < count - 1 else 0.55
            y += self.put(self.fitting(int(width * share), size), x, y, size)
        return y + size


def column(sheet: Sheet) -> None:
    y = 160
    for count in (5, 7, 4, 6):
        y = sheet.paragraph(170, y, 1310, count, 34)


def two_columns(sheet: Sheet) -> None:
    sheet.put(sheet.fitting(900, 48), 380, 140, 48)
    for x in (130, 880):
        y = 300
        for count in (6, 8, 5):
            y = sheet.paragraph(x, y, 640, count, 30)


def headings(sheet: Sheet) -> None:
    sheet.put(sheet.fitting(700, 56), 470, 130, 56)
    y = 280
    for count in (4, 5, 4):
        y += sheet.put(sheet.fitting(500, 42), 170, y, 42)
        y = sheet.paragraph(170, y, 1310, count, 32)


def table(sheet: Sheet) -> None:
    sheet.put(sheet.fitting(700, 40), 170, 140, 40)
    top, step, edges = 280, 90, (150, 620, 1090, 1500)
    for row in range(14):
        for left in edges[:-1]:
            sheet.put(
                sheet.fitting(int(sheet.rng.integers(180, 340)), 30), left + 25, top + row * step + 15, 30
            )
    for x in edges:
        cv2.line(sheet.page, (x, top), (x, top + 14 * step), 60, 2)
    for row in range(15):
        cv2.line(sheet.page, (edges[0], top + row * step), (edges[-1], top + row * step), 60, 2)


def letter(sheet: Sheet) -> None:
    y = 150
    for _ in range(3):
        y += sheet.put(sheet.fitting(460, 30), 1000, y, 30)
    y = sheet.put(sheet.fitting(500, 32), 170, y + 80, 32) + y + 120
    for count in (5, 6, 3):
        y = sheet.paragraph(170, y, 1310, count, 32)
    sheet.put(sheet.fitting(380, 32), 950, y + 60, 32)


LAYOUTS: dict[str, Callable[[Sheet], None]] = {
    "column": column,
    "two_columns": two_columns,
    "headings": headings,
    "table": table,
    "letter": letter,
}


def render(layout: str, language: str, kind: str = "clean", seed: int = 0) -> Made:
    """A page of a layout in LAYOUTS, as a kind in KINDS, of words that no recogniser was trained on."""
    sheet = Sheet(language, seed)
    LAYOUTS[layout](sheet)
    change = {"clean": lambda page, rng: page, "scanned": scan, "photographed": photograph}[kind]
    return Made(change(sheet.page, sheet.rng), sheet.lines)


def scan(page: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """Turned by up to 1.5 degrees, blurred a little, on grey paper, with noise."""
    turned = turn(page, float(rng.uniform(-1.5, 1.5)), 255)
    soft = cv2.GaussianBlur(turned, (3, 3), 0.8).astype(np.float32)
    noisy = 18 + soft * 0.88 + rng.normal(0, 4, soft.shape).astype(np.float32)
    return noisy.clip(0, 255).astype(np.uint8)


def photograph(page: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """Seen at an angle on a dark table, lit from one side, JPEG."""
    rows, columns = page.shape
    shifts = rng.uniform(0.005, 0.03, (4, 2)) * [columns, rows]
    signs = np.array([[1, 1], [-1, 1], [-1, -1], [1, -1]])
    source = np.array([[0, 0], [columns, 0], [columns, rows], [0, rows]], np.float32)
    matrix = cv2.getPerspectiveTransform(source, (source + signs * shifts).astype(np.float32))
    seen = cv2.warpPerspective(page, matrix, (columns, rows), borderValue=70).astype(np.float32)
    light = np.linspace(1.0, float(rng.uniform(0.6, 0.8)), columns, dtype=np.float32)[None]
    soft = cv2.GaussianBlur(seen * light, (3, 3), 0.7) + rng.normal(0, 3, seen.shape)
    code = cv2.imencode(".jpg", soft.clip(0, 255).astype(np.uint8), [cv2.IMWRITE_JPEG_QUALITY, 70])[1]
    return cv2.imdecode(code, cv2.IMREAD_GRAYSCALE)


def turn(image: np.ndarray, degrees: float, ground: int) -> np.ndarray:
    """Turned clockwise about its middle, on a canvas that holds all of it."""
    rows, columns = image.shape
    matrix = cv2.getRotationMatrix2D((columns / 2, rows / 2), -degrees, 1.0)
    cosine, sine = abs(matrix[0, 0]), abs(matrix[0, 1])
    width, height = int(columns * cosine + rows * sine), int(columns * sine + rows * cosine)
    matrix[:, 2] += [(width - columns) / 2, (height - rows) / 2]
    return cv2.warpAffine(image, matrix, (width, height), flags=cv2.INTER_CUBIC, borderValue=ground)
