"""A page read: its lines in order, each with its place, its text and how sure the reader is of it."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np

from shared.errors import ImageError
from shared.ocr.lines.image import prepare
from shared.ocr.pages.boxes import Box, skew
from shared.ocr.pages.crop import cut_line
from shared.ocr.pages.detect import find_boxes
from shared.ocr.pages.order import reading_order, rows
from shared.ocr.reading.reader import Reader

MODES = ("auto", "line", "page")
LEAST, LIKELY, UNSURE = 0.35, 0.6, 0.85
"""Scores: below the first nothing was read, above the second there is a line, below the third a person should look."""
STRAIGHT = 0.7  # degrees that a single line may be turned by before it is set upright
SLIVER = 0.5  # of the highest line: what is lower at the edge of a crop belongs to its neighbours
TRIED = 6  # lines that decide whether a page stands on its head


class Line(NamedTuple):
    """`box` in the pixels of the upright page; `score` in [0, 1] belongs to `text`."""

    text: str
    score: float
    box: Box

    @property
    def unsure(self) -> bool:
        return self.score < UNSURE


@dataclass(frozen=True)
class Page:
    """`image`: grey uint8 (H, W), turned clockwise by `turned` degrees (0, 90, 180 or 270) so that it stands upright.

    `mode`: `line` for an image of one line, else `page`.
    """

    image: np.ndarray
    lines: list[Line]
    turned: int
    mode: str

    @property
    def text(self) -> str:
        return "\n".join(line.text for line in self.lines)

    @property
    def score(self) -> float:
        """The mean over the lines, by their lengths; 0 where nothing was read."""
        total = sum(len(line.text) for line in self.lines)
        return sum(line.score * len(line.text) for line in self.lines) / total if total else 0.0


def read_image(image: np.ndarray, reader: Reader, mode: str = "auto") -> Page:
    """Read a grey image uint8 (H, W) as one line, as a page, or (`auto`) as what it looks like.

    Raises ImageError where `mode` is line and the image cannot be one.
    """
    if mode == "line":
        return _one_line(image, reader, [])
    boxes = find_boxes(image)
    if mode == "page":
        return _page(image, reader, boxes)
    if len(_lines_inside(boxes, image.shape)) > 1 or abs(skew(boxes)) > 45:
        page = _page(image, reader, boxes)
        if sum(line.score >= LIKELY for line in page.lines) > 1 or page.turned:
            return page
    return _one_line(image, reader, boxes)


def _one_line(image: np.ndarray, reader: Reader, boxes: Sequence[Box]) -> Page:
    """The whole image as one line or, if it is turned and then reads better, what its box holds, upright."""
    whole = Box(image.shape[1] / 2, image.shape[0] / 2, image.shape[1], image.shape[0])
    lines = read_lines([image], [whole], reader)
    for box in _lines_inside(boxes, image.shape):
        if abs(box.angle) > STRAIGHT:
            upright = read_lines([cut_line(image, box, boxes)], [box], reader)
            lines = max(lines, upright, key=lambda found: sum(line.score for line in found))
    return Page(image, lines, 0, "line")


def _page(image: np.ndarray, reader: Reader, boxes: list[Box]) -> Page:
    turned = 0
    if abs(skew(boxes)) > 45:  # the text runs from top to bottom or from bottom to top
        image, turned = np.ascontiguousarray(np.rot90(image, -1)), 90
        boxes = find_boxes(image)

    found = reading_order(boxes)
    lines = read_lines([cut_line(image, box, found) for box in found], found, reader, keep_empty=True)
    longest = sorted(lines, key=lambda line: -line.box.width)[:TRIED]
    if longest and np.mean([line.score for line in longest]) < UNSURE:
        head = np.ascontiguousarray(np.rot90(image, 2))
        others = [_on_its_head(line.box, image.shape) for line in longest]
        again = read_lines([cut_line(head, box, others) for box in others], others, reader, keep_empty=True)
        if np.mean([line.score for line in again]) > np.mean([line.score for line in longest]) + 0.1:
            image, turned = head, turned + 180
            found = reading_order([_on_its_head(box, image.shape) for box in boxes])
            lines = read_lines([cut_line(image, box, found) for box in found], found, reader)
    return Page(image, [line for line in lines if line.text], turned % 360, "page")


def read_lines(
    crops: Sequence[np.ndarray], boxes: Sequence[Box], reader: Reader, keep_empty: bool = False
) -> list[Line]:
    """The lines that the reader finds text on; with `keep_empty` the others too, without text."""
    prepared: list[np.ndarray] = []
    usable: list[Box] = []
    for crop, box in zip(crops, boxes, strict=True):
        try:
            prepared.append(prepare(crop, reader.height))
        except ImageError:
            if len(crops) == 1:
                raise
            continue
        usable.append(box)
    read = reader.read(prepared)
    lines = [
        Line(each.text if each.score >= LEAST else "", each.score if each.score >= LEAST else 0.0, box)
        for each, box in zip(read, usable, strict=True)
    ]
    return lines if keep_empty else [line for line in lines if line.text]


def _lines_inside(boxes: Sequence[Box], shape: tuple[int, ...]) -> list[Box]:
    """Lines, without the slivers of neighbours that a crop has at its upper and lower edge."""
    if not boxes:
        return []
    lines = reading_order(boxes)
    flat = [line.turned(-skew(boxes)) for line in lines]
    highest = max(line.height for line in lines)
    own = []
    for line, upright in zip(lines, flat, strict=True):
        _, top, _, bottom = line.bounds
        at_edge = top <= 0 or bottom >= shape[0]
        if not (at_edge and line.height < SLIVER * highest):
            own.append((line, upright))
    grouped = rows([upright for _, upright in own])
    return [line for line, _ in own] if len(grouped) > 1 else [line for line, _ in own][:1]


def _on_its_head(box: Box, shape: tuple[int, ...]) -> Box:
    """The box on the image turned by 180 degrees; `shape` of the image (either way)."""
    return box._replace(x=shape[1] - box.x, y=shape[0] - box.y)
