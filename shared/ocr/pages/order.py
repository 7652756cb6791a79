"""From boxes to lines in the order in which a person reads them: columns, then rows, left to right."""

from collections.abc import Sequence

import numpy as np

from shared.ocr.pages.boxes import Box, around, skew

OVERLAP = 0.5  # boxes of one line share this part of the lower one's height
JOINT = 2.5  # and lie at most so many heights apart
GUTTER = 0.7  # a gap between columns is at least so many heights of a line wide
FILLED = 0.62  # lines of running text fill this share of their column; cells of a table do not
LONG = 8  # and are so many times as wide as high, at least
FEWEST = 3  # lines on each side of a gutter
CROSSED = 0.34  # share of the boxes that may cross a gutter, such as headings over two columns


def reading_order(boxes: Sequence[Box]) -> list[Box]:
    """Lines of a page, each one box around the boxes of it, first to last."""
    if not boxes:
        return []
    angle = skew(boxes)
    flat = [box.turned(-angle) for box in boxes]
    return [line.turned(angle) for line in _region(flat)]


def _region(boxes: list[Box]) -> list[Box]:
    """Lines of a part of an upright page: its columns one after the other, headings across them in between."""
    gutter = _gutter(boxes)
    if gutter is None:
        return [line for row in rows(boxes) for line in joined(row)]

    across = sorted((box for box in boxes if _left(box) < gutter < _right(box)), key=lambda box: box.y)
    found: list[Box] = []
    bands = np.digitize([box.y for box in boxes], [box.y for box in across])
    for band in range(len(across) + 1):
        inside = [b for b, n in zip(boxes, bands, strict=True) if n == band and b not in across]
        for side in ([b for b in inside if b.x < gutter], [b for b in inside if b.x >= gutter]):
            found += _region(side) if side else []
        found += across[band : band + 1]
    return found


def _gutter(boxes: list[Box]) -> float | None:
    """Where a white column parts running text, as its x; None where there is none, as in a table."""
    if len(boxes) < 2 * FEWEST:
        return None
    height = float(np.median([box.height for box in boxes]))
    edges = sorted({_right(box) + 0.5 for box in boxes})
    best, most = None, 0.0
    for edge in edges:
        left = [box for box in boxes if _right(box) <= edge]
        right = [box for box in boxes if _left(box) > edge]
        crossing = len(boxes) - len(left) - len(right)
        if min(len(left), len(right)) < FEWEST or crossing > CROSSED * len(boxes):
            continue
        gap = min(map(_left, right)) - max(map(_right, left))
        worth = len(left) + len(right) - 3 * crossing + min(gap / height, 5.0)
        if gap >= GUTTER * height and worth > most and _is_column(left) and _is_column(right):
            best, most = max(map(_right, left)) + gap / 2, worth
    return best


def _is_column(boxes: list[Box]) -> bool:
    """Whether boxes are lines of running text one below the other, not cells side by side."""
    lines = [around(row) for row in rows(boxes)]
    if len(lines) < FEWEST:
        return False
    width = max(map(_right, boxes)) - min(map(_left, boxes))
    usual = float(np.median([line.width for line in lines]))
    return usual >= FILLED * width and usual >= LONG * float(np.median([line.height for line in lines]))


def rows(boxes: Sequence[Box]) -> list[list[Box]]:
    """Boxes of an upright region in rows from top to bottom, each from left to right."""
    found: list[list[Box]] = []
    for box in sorted(boxes, key=lambda each: each.y):
        row = next((row for row in reversed(found[-3:]) if _same_row(around(row), box)), None)
        if row is None:
            found.append([box])
        else:
            row.append(box)
    found.sort(key=lambda row: float(np.mean([box.y for box in row])))
    return [sorted(row, key=_left) for row in found]


def joined(row: list[Box]) -> list[Box]:
    """Boxes of a row, those that stand close together made one."""
    parts = [[row[0]]]
    for box in row[1:]:
        last = around(parts[-1])
        if _left(box) - _right(last) <= JOINT * min(box.height, last.height):
            parts[-1].append(box)
        else:
            parts.append([box])
    return [around(part) if len(part) > 1 else part[0] for part in parts]


def _same_row(one: Box, other: Box) -> bool:
    shared = min(_bottom(one), _bottom(other)) - max(_top(one), _top(other))
    return shared >= OVERLAP * min(one.height, other.height)


def _left(box: Box) -> float:
    return box.x - box.width / 2


def _right(box: Box) -> float:
    return box.x + box.width / 2


def _top(box: Box) -> float:
    return box.y - box.height / 2


def _bottom(box: Box) -> float:
    return box.y + box.height / 2
