"""Boxes of text: rectangles at any angle, and what several of them have in common."""

import math
from collections.abc import Sequence
from typing import NamedTuple

import numpy as np


class Box(NamedTuple):
    """A rectangle in pixels: its centre, its sides along and across the text, and its angle in degrees, clockwise.

    `score`: how sure its finder is, in [0, 1].
    """

    x: float
    y: float
    width: float
    height: float
    angle: float = 0.0
    score: float = 1.0

    @property
    def corners(self) -> np.ndarray:
        """(4, 2): upper left, upper right, lower right, lower left, as the text is read."""
        along = np.array([math.cos(math.radians(self.angle)), math.sin(math.radians(self.angle))])
        down = np.array([-along[1], along[0]])
        half_width, half_height = along * self.width / 2, down * self.height / 2
        centre = np.array([self.x, self.y])
        return np.stack(
            [
                centre - half_width - half_height,
                centre + half_width - half_height,
                centre + half_width + half_height,
                centre - half_width + half_height,
            ]
        )

    @property
    def bounds(self) -> tuple[int, int, int, int]:
        """Left, top, right, bottom of the upright rectangle around it, whole pixels."""
        corners = self.corners
        left, top = np.floor(corners.min(axis=0)).astype(int)
        right, bottom = np.ceil(corners.max(axis=0)).astype(int)
        return int(left), int(top), int(right), int(bottom)

    def turned(self, degrees: float) -> "Box":
        """The box on a page that is turned clockwise about the origin."""
        cosine, sine = math.cos(math.radians(degrees)), math.sin(math.radians(degrees))
        x, y = self.x * cosine - self.y * sine, self.x * sine + self.y * cosine
        return self._replace(x=x, y=y, angle=self.angle + degrees)


def skew(boxes: Sequence[Box]) -> float:
    """The angle of most of the text, in degrees: the median over boxes, by their width; 0 without wide boxes."""
    wide = [box for box in boxes if box.width > 3 * box.height]
    if not wide:
        return 0.0
    order = np.argsort([box.angle for box in wide])
    weights = np.cumsum([wide[i].width for i in order])
    return float(wide[order[int(np.searchsorted(weights, weights[-1] / 2))]].angle)


def around(boxes: Sequence[Box]) -> Box:
    """The rectangle around boxes of one line, at the angle of the widest of them."""
    angle = max(boxes, key=lambda box: box.width).angle
    corners = np.concatenate([box.turned(-angle).corners for box in boxes])
    low, high = corners.min(axis=0), corners.max(axis=0)
    weights = np.array([box.width for box in boxes])
    score = float(np.dot(weights, [box.score for box in boxes]) / weights.sum())
    middle = (low + high) / 2
    flat = Box(
        float(middle[0]), float(middle[1]), float(high[0] - low[0]), float(high[1] - low[1]), 0.0, score
    )
    return flat.turned(angle)
