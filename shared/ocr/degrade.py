"""What happens to a line between the font and the camera: paper, light, ink, crop; the rest is albumentations."""

from collections.abc import Mapping
from typing import Any

import cv2
import numpy as np
from numpy.random import Generator

from shared.data.images import Augment


def compose_clear(ink: np.ndarray, rng: Generator) -> np.ndarray:
    """Dark ink on plain light paper with small margins: uint8 (H, W)."""
    padded = pad(ink, rng, 0.03, 0.25)
    paper, tone = rng.uniform(225, 255), rng.uniform(0, 60)
    return (paper + (tone - paper) * (padded / 255.0)).round().astype(np.uint8)


class Degrade:
    """Ink -> a line as a phone or a scanner sees it.

    `transforms` are albumentations by name with their options, applied to the composed line; `contrast` is the
    range of the distance between ink and paper in grey levels.
    """

    def __init__(self, transforms: Mapping[str, Mapping[str, Any]], contrast: tuple[float, float]) -> None:
        self.augment = Augment(transforms)
        self.contrast = contrast

    def __call__(self, ink: np.ndarray, rng: Generator) -> np.ndarray:
        if rng.random() < 0.25:
            ink = bleed(ink, rng)
        ink = pad(ink, rng, -0.04, 0.5)
        line = paint(ink, ground(ink.shape, rng), rng.uniform(*self.contrast), rng)
        return self.augment(line[:, :, None], rng)[:, :, 0]


def pad(ink: np.ndarray, rng: Generator, low: float, high: float) -> np.ndarray:
    """Margins of `low` to `high` times the line's height on each side; a negative one cuts into the line."""
    height = ink.shape[0]
    top, bottom, left, right = (
        round(height * low + height * (high - low) * rng.beta(1, 2.5)) for _ in range(4)
    )
    ink = ink[max(0, -top) : height - max(0, -bottom), max(0, -left) : ink.shape[1] - max(0, -right)]
    return np.pad(ink, ((max(0, top), max(0, bottom)), (max(0, left), max(0, right))))


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
