"""Boxes become lines in the order in which a person reads them."""

import numpy as np
import pytest

from shared.ocr.pages.boxes import Box, around, skew
from shared.ocr.pages.order import reading_order


def lines(x: float, y: float, count: int, width: float = 400, step: float = 50) -> list[Box]:
    return [Box(x + width / 2, y + number * step, width, 30) for number in range(count)]


def places(boxes: list[Box]) -> list[tuple[int, int]]:
    return [(round(box.x), round(box.y)) for box in boxes]


@pytest.mark.parametrize("angle", [0, -4, 8])
def test_columns_are_read_one_after_the_other_with_a_heading_first(angle):
    title = [Box(500, 20, 700, 44)]
    expected = [*title, *lines(50, 120, 6), *lines(520, 120, 7)]
    shuffled = np.random.default_rng(1).permutation(len(expected))
    found = reading_order([expected[i].turned(angle) for i in shuffled])
    assert places([box.turned(-angle) for box in found]) == places(expected)


def test_a_heading_between_columns_parts_them():
    above, below = [lines(50, 100, 4), lines(520, 100, 4)], [lines(50, 500, 4), lines(520, 500, 4)]
    heading = Box(480, 420, 800, 40)
    expected = [*above[0], *above[1], heading, *below[0], *below[1]]
    assert places(reading_order(expected[::-1])) == places(expected)


def test_a_table_is_read_row_by_row():
    cells = [Box(100 + 300 * column, 100 + 60 * row, 120, 30) for row in range(8) for column in range(3)]
    assert places(reading_order(cells[::-1])) == places(cells)


def test_boxes_of_one_line_are_joined_and_distant_ones_are_not():
    near, far = [Box(100, 50, 150, 30), Box(270, 52, 150, 28)], Box(900, 50, 100, 30)
    found = reading_order([far, *near])
    assert len(found) == 2 and found[1] == far
    assert found[0].bounds == around(near).bounds == (25, 35, 345, 66)


def test_skew_is_that_of_the_wide_boxes():
    assert skew([Box(0, 0, 300, 30, 2.0), Box(0, 0, 280, 30, 2.2), Box(0, 0, 30, 30, 40.0)]) == pytest.approx(
        2.0
    )
    assert skew([]) == 0.0
