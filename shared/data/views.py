"""What a network sees of an image: a random region in training, its centre in evaluation."""

import math
from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.random import Generator

from shared.data.draws import keyed_generator
from shared.data.images import Augment, Box, read_crop
from shared.data.sampler import SampleKey


class TrainView:
    """Random resized crop, then augmentation, both drawn from (seed, epoch, index) alone.

    `scale` is the range of the crop's share of the area, `ratio` that of its width / height.
    """

    def __init__(
        self,
        size: int,
        scale: tuple[float, float],
        ratio: tuple[float, float],
        augment: Mapping[str, Mapping[str, Any]],
        seed: int,
    ) -> None:
        self.size, self.scale, self.ratio, self.seed = size, scale, ratio, seed
        self.augment = Augment(augment)

    def __call__(self, data: bytes, name: str, key: SampleKey) -> np.ndarray:
        rng = keyed_generator(self.seed, "augment", key.epoch, key.index)
        size = key.size or self.size
        crop = read_crop(data, name, lambda h, w: random_box(h, w, self.scale, self.ratio, rng), size)
        return self.augment(crop, rng)


class CenterView:
    """The central square whose side is `fraction` of the shorter side."""

    def __init__(self, size: int, fraction: float) -> None:
        self.size, self.fraction = size, fraction

    def __call__(self, data: bytes, name: str, key: SampleKey) -> np.ndarray:
        return read_crop(data, name, lambda h, w: center_box(h, w, self.fraction), key.size or self.size)


def random_box(
    height: int, width: int, scale: tuple[float, float], ratio: tuple[float, float], rng: Generator
) -> Box:
    """A region of random area and aspect ratio (Szegedy et al. 2014, arXiv:1409.4842).

    Ten draws are tried; an image too long or too tall for all of them gives its central part.
    """
    for _ in range(10):
        area = height * width * rng.uniform(*scale)
        aspect = math.exp(rng.uniform(math.log(ratio[0]), math.log(ratio[1])))
        w, h = round(math.sqrt(area * aspect)), round(math.sqrt(area / aspect))
        if 0 < w <= width and 0 < h <= height:
            return Box(int(rng.integers(height - h + 1)), int(rng.integers(width - w + 1)), h, w)
    w = min(width, max(1, round(height * ratio[1])))
    h = min(height, max(1, round(width / ratio[0])))
    return Box((height - h) // 2, (width - w) // 2, h, w)


def center_box(height: int, width: int, fraction: float) -> Box:
    side = max(1, round(min(height, width) * fraction))
    return Box((height - side) // 2, (width - side) // 2, side, side)
