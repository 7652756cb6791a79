"""What happens to a line between the font and the camera: paper, light, ink, crop; the rest is albumentations."""

from collections.abc import Mapping
from typing import Any

import cv2
import numpy as np
from numpy.random import Generator

from shared.data.images import Augment
from shared.ocr.lines.image import resize

FINE = 40  # pixels of an em, at least, at which a typeface is changed


def compose_clear(ink: np.ndarray, rng: Generator) -> np.ndarray:
    """Dark ink on plain light paper with small margins: uint8 (H, W)."""
    padded = pad(ink, rng, 0.03, 0.25)
    paper, tone = rng.uniform(225, 255), rng.uniform(0, 60)
    return (paper + (tone - paper) * (padded / 255.0)).round().astype(np.uint8)


class Degrade:
    """Ink -> a line as a phone or a scanner sees it.

    `contrast` is the range of the distance between ink and paper in grey levels; the corners of half of the lines
    move by up to `tilt` times the line's height. Then the line is brought to `height` pixels, and `transforms`,
    albumentations by name with their options, follow: a blur of 2 pixels that a large line bears wipes a small one out.
    """

    def __init__(
        self,
        transforms: Mapping[str, Mapping[str, Any]],
        contrast: tuple[float, float],
        tilt: float = 0.0,
        height: int = 40,
    ) -> None:
        self.augment = Augment(transforms, "data.transforms")
        self.contrast, self.tilt, self.height = contrast, tilt, height

    def __call__(self, ink: np.ndarray, rng: Generator) -> np.ndarray:
        if rng.random() < 0.25:
            ink = bleed(ink, rng)
        ink = pad(ink, rng, -0.04, 0.5)
        line = paint(ink, ground(ink.shape, rng), rng.uniform(*self.contrast), rng)
        if rng.random() < 0.5:
            line = tilted(line, self.tilt, rng)
        return self.augment(scaled(line, self.height)[:, :, None], rng)[:, :, 0]


def another_face(ink: np.ndarray, size: int, rng: Generator) -> np.ndarray:
    """The line as a typeface of another slant, weight and outline would draw it: uint8 (H', W'), `size` pixels an em.

    There are some two dozen Khmer typefaces to learn from, and a reader meets others. Hairlines can wear off; where all
    of the ink does, the result is empty.
    """
    ink = cv2.copyMakeBorder(ink, *[size // 4] * 4, cv2.BORDER_CONSTANT)
    rows, columns = ink.shape
    fine = max(1.0, FINE / size)
    shape = round(columns * fine), round(rows * fine)
    x, y = (np.arange(pixels, dtype=np.float32) / fine for pixels in shape)
    slant = rng.uniform(-0.25, 0.25) * (rng.random() < 0.5)
    reach = rng.uniform(0, 0.07) * size
    # Points 0.4 em apart, about a letter's width, are moved on their own: letters bend, lines stay lines.
    cells = max(2, round(2.5 * rows / size)), max(2, round(2.5 * columns / size))
    bends = rng.uniform(-reach, reach, (*cells, 2)).astype(np.float32)
    moved = cv2.resize(bends, shape, interpolation=cv2.INTER_LINEAR)
    moved[..., 0] += x + np.float32(slant) * (y - rows / 2)[:, None]
    moved[..., 1] += y[:, None]
    large = cv2.GaussianBlur(cv2.remap(ink, moved, None, cv2.INTER_LINEAR), (0, 0), fine * size / 40)
    weight = rng.uniform(75, 145)  # the grey level at which a blurred stroke is cut: thick or thin
    steps = ((np.arange(256) - weight) * 4 + 128).clip(0, 255).astype(np.uint8)
    ink = cv2.resize(cv2.LUT(large, steps), (columns, rows), interpolation=cv2.INTER_AREA)
    left, top, width, height = cv2.boundingRect(ink)
    return ink[top : top + height, left : left + width]


def pad(ink: np.ndarray, rng: Generator, low: float, high: float) -> np.ndarray:
    """Margins of `low` to `high` times the line's height on each side; a negative one cuts into the line."""
    height = ink.shape[0]
    top, bottom, left, right = (
        round(height * low + height * (high - low) * rng.beta(1, 2.5)) for _ in range(4)
    )
    ink = ink[max(0, -top) : height - max(0, -bottom), max(0, -left) : ink.shape[1] - max(0, -right)]
    return np.pad(ink, ((max(0, top), max(0, bottom)), (max(0, left), max(0, right))))


def tilted(line: np.ndarray, reach: float, rng: Generator) -> np.ndarray:
    """A line seen askew: each corner moved by up to `reach` times the height, in a frame that holds all of it.

    albumentations measures such moves by width and height, so that the ends of a long line lie flat.
    """
    height, width = line.shape
    corners = np.array([(0, 0), (width, 0), (width, height), (0, height)], np.float32)
    moved = corners + rng.uniform(-reach, reach, (4, 2)).astype(np.float32) * height
    moved -= moved.min(axis=0)
    columns, rows = np.ceil(moved.max(axis=0)).astype(int)
    matrix = cv2.getPerspectiveTransform(corners, moved)
    return cv2.warpPerspective(line, matrix, (int(columns), int(rows)), borderMode=cv2.BORDER_REPLICATE)


def scaled(line: np.ndarray, height: int) -> np.ndarray:
    """A line at `height` pixels, as wide as it then is."""
    return resize(line, max(1, round(line.shape[1] * height / line.shape[0])), height)


def bleed(ink: np.ndarray, rng: Generator) -> np.ndarray:
    """Ink that spreads into the paper, or wears off."""
    side = max(2, round(ink.shape[0] / 24))
    kernel = cv2.getStructuringElement(cv2.MORPH_ELLIPSE, (side, side))
    changed = cv2.dilate(ink, kernel) if rng.random() < 0.6 else cv2.erode(ink, kernel)
    return cv2.addWeighted(ink, 0.4, changed, 0.6, 0)


def ground(shape: tuple[int, int], rng: Generator) -> np.ndarray:
    """Paper in [-1, 1]: plain, lit unevenly, mottled, or ruled; float32 of `shape`."""
    height, width = shape
    kind = rng.random()
    if kind < 0.35:
        return np.zeros(shape, np.float32)
    cells = (2, 3) if kind < 0.6 else (max(2, height // 8), max(2, width // 8))
    coarse = rng.uniform(-1, 1, cells).astype(np.float32)
    paper = cv2.resize(coarse, (width, height), interpolation=cv2.INTER_CUBIC)
    if kind > 0.9:
        paper = 0.3 * paper
        paper[int(rng.integers(height)) :: max(8, height // 2)] -= 0.8
    return paper


def paint(ink: np.ndarray, paper: np.ndarray, contrast: float, rng: Generator) -> np.ndarray:
    """Ink on paper, dark on light or (one in six) light on dark: uint8 of the ink's shape.

    Colours are drawn as their grey levels, since the recogniser reads grey.
    """
    amplitude = rng.uniform(0, 0.35) * contrast
    low = rng.uniform(0, 255 - contrast)
    tone, plain = (low + contrast, low) if rng.random() < 1 / 6 else (low, low + contrast)
    line = plain + paper * amplitude
    return (line + (tone - line) * (ink / 255.0)).clip(0, 255).astype(np.uint8)
