"""Pictures for people: lines with what was read on them, which characters get mixed up, samples of every font."""

from collections import Counter
from collections.abc import Iterable, Sequence

import numpy as np
from PIL import Image, ImageDraw, ImageFont
from rapidfuzz.distance import Levenshtein

from shared.ocr.lines.fonts import Font, draw, load
from shared.ocr.script.normalise import fold

NOTHING = "∅"


def confusions(pairs: Iterable[tuple[str, str]], language: str) -> list[tuple[str, str, int]]:
    """(expected, read, how often), most frequent first; an empty side is a character left out or put in."""
    counts: Counter[tuple[str, str]] = Counter()
    for expected, read in pairs:
        expected, read = fold(expected, language), fold(read, language)
        for kind, start, end in Levenshtein.editops(expected, read):
            counts[
                NOTHING if kind == "insert" else expected[start],
                NOTHING if kind == "delete" else read[end],
            ] += 1
    return [(expected, read, count) for (expected, read), count in counts.most_common()]


def worst_median_best(readings: Sequence[tuple[int, str, str]], count: int) -> list[tuple[int, str, str]]:
    """`count` each of (index, text, read), by error rate of the line."""
    ranked = sorted(readings, key=lambda each: -Levenshtein.normalized_distance(each[1], each[2]))
    middle = max(0, len(ranked) // 2 - count // 2)
    chosen = [*ranked[:count], *ranked[middle : middle + count], *ranked[-count:]]
    return list(dict.fromkeys(chosen))


def page(rows: Sequence[tuple[np.ndarray, str, str]], font: Font, width: int = 1050) -> np.ndarray:
    """Rows of a line image, its text, and what was read (red where it differs): uint8 (H, width, 3)."""
    height, third = 40, width // 3
    canvas = Image.new("RGB", (width, height * len(rows)), "white")
    pen = ImageDraw.Draw(canvas)
    for row, (image, text, read) in enumerate(rows):
        line = Image.fromarray(image)
        line.thumbnail((third - 8, height - 8))
        canvas.paste(line, (0, row * height + 4))
        for column, (words, colour) in enumerate(
            ((text, "black"), (read, "black" if text == read else "red")), 1
        ):
            face = fitting(words, font, third - 8)
            pen.text((column * third, row * height + 4), words, fill=colour, font=face)
    return np.asarray(canvas)


def fitting(text: str, font: Font, width: int) -> ImageFont.FreeTypeFont:
    """The font at 22 pixels, or smaller for a text that would be wider than `width`."""
    axes = tuple(low for low, _ in font.axes)
    length = load(font.path, 22, axes).getlength(text)
    return load(font.path, 22 if length <= width else max(8, int(22 * width / length)), axes)


def specimen(fonts: Sequence[Font], texts: Sequence[str], width: int = 1600) -> np.ndarray:
    """A page with `texts` in every font, each text it covers, its family in front: uint8 grey (H, width)."""
    rows = []
    label = next(font for font in fonts if font.covers("Az"))
    for font in fonts:
        row, x = np.full((76, width), 255, np.uint8), 260
        stamp(row, draw(font.path.rsplit("/", 1)[-1].rsplit(".", 1)[0][:26], load(label.path, 14)), 4)
        face = load(font.path, 34, tuple(low for low, _ in font.axes))
        for text in (text for text in texts if font.covers(text)):
            ink = draw(text, face)
            stamp(row, ink, x)
            x += ink.shape[1] + 40
        rows.append(row)
    return np.concatenate(rows)


def stamp(row: np.ndarray, ink: np.ndarray, x: int) -> None:
    """Ink onto a row, centred in height, cut at its edges."""
    ink = ink[: row.shape[0], : max(0, row.shape[1] - x)]
    top = (row.shape[0] - ink.shape[0]) // 2
    row[top : top + ink.shape[0], x : x + ink.shape[1]] -= ink
