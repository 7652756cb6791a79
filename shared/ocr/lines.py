"""Lines rendered on the fly as a data set: each a function of (seed, epoch, index) alone."""

from collections.abc import Sequence
from itertools import pairwise
from typing import Any

import cv2
import numpy as np
from numpy.random import Generator

from shared.data.draws import keyed_generator
from shared.data.sampler import SampleKey
from shared.ocr.charset import Charset
from shared.ocr.degrade import Degrade, compose_clear
from shared.ocr.fonts import Font, draw, load
from shared.ocr.line_image import prepare
from shared.ocr.normalise import fold
from shared.ocr.text import LineText

STRIDE = 4  # pixels of width behind one CTC frame
SIZES = (20, 26, 34, 46)


class GeneratedLines:
    """Maps a SampleKey to a rendered line; `lengths` (characters) tell the sampler how wide lines will be.

    `clear_share` of the lines are not degraded. In epoch e (0-based) no line is longer than
    `first_length` * (e + 1) characters: short lines first teach CTC where characters are.
    """

    def __init__(
        self,
        count: int,
        text: LineText,
        fonts: Sequence[Font],
        charset: Charset,
        degrade: Degrade,
        *,
        purpose: str,
        seed: int,
        height: int,
        max_length: int,
        clear_share: float = 0.3,
        first_length: int | None = None,
    ) -> None:
        self.text, self.fonts, self.charset, self.degrade = text, fonts, charset, degrade
        self.purpose, self.seed, self.height = purpose, seed, height
        self.clear_share, self.first_length = clear_share, first_length
        self.families = sorted({font.family for font in fonts})
        self.lengths = draw_lengths(keyed_generator(seed, f"{purpose}-lengths"), count, max_length)

    def __len__(self) -> int:
        return len(self.lengths)

    def __getitem__(self, key: SampleKey) -> dict[str, Any]:
        rng = keyed_generator(self.seed, self.purpose, key.epoch, key.index)
        length = int(self.lengths[key.index])
        if self.first_length is not None:
            length = min(length, self.first_length * (key.epoch + 1))
        clear = rng.random() < self.clear_share
        while True:
            text = fold(self.text(rng, length), self.charset.script)
            font = self.choose_font(text, rng)
            if (
                text
                and font
                and not self.charset.missing(text)
                and (ink := self.render(text, font, rng)).size
            ):
                break
        line = compose_clear(ink, rng) if clear else self.degrade(ink, rng)
        label = self.charset.encode(text)
        image = prepare(line, self.height, STRIDE * (frames_needed(label) + 1))
        return sample(image, label, text, key.index, int(not clear))

    def choose_font(self, text: str, rng: Generator) -> Font | None:
        """One of the fonts that cover the text, families equally often."""
        for family in rng.permutation(self.families):
            fonts = [font for font in self.fonts if font.family == family and font.covers(text)]
            if fonts:
                return fonts[int(rng.integers(len(fonts)))]
        return None

    def render(self, text: str, font: Font, rng: Generator) -> np.ndarray:
        axes = tuple(float(round(rng.uniform(*span), -1)) for span in font.axes)
        size = SIZES[int(rng.integers(len(SIZES)))]
        ink = draw(text, load(font.path, size, axes))
        if ink.size and rng.random() < 0.5:  # faces narrower and wider than the fonts at hand
            width = max(8, round(ink.shape[1] * rng.uniform(0.8, 1.25)))
            ink = cv2.resize(ink, (width, ink.shape[0]), interpolation=cv2.INTER_LINEAR)
        return ink


def draw_lengths(rng: Generator, count: int, max_length: int) -> np.ndarray:
    """Characters per line: a third of the lines short, the others evenly up to `max_length`."""
    short = rng.random(count) < 0.33
    return np.where(short, rng.integers(1, 13, count), rng.integers(8, max_length + 1, count))


def frames_needed(label: Sequence[int]) -> int:
    """CTC frames that a label takes: one a character, and a blank between equal neighbours."""
    return len(label) + sum(a == b for a, b in pairwise(label))


def sample(image: np.ndarray, label: list[int], text: str, index: int, group: int) -> dict[str, Any]:
    return {"image": image, "label": label, "text": text, "index": index, "group": group}


def pad_lines(samples: Sequence[dict[str, Any]]) -> dict[str, Any]:
    """A batch: `image` uint8 (N, 1, H, W) padded with white to a multiple of STRIDE, `width` (N,) in pixels,
    `label` int64 (N, L) padded with 0, `label_length`, `frames_needed`, `index`, `group` int64 (N,), `text`."""
    widths = np.array([line["image"].shape[1] for line in samples])
    lengths = np.array([len(line["label"]) for line in samples])
    label = np.zeros((len(samples), max(1, int(lengths.max()))), np.int64)
    for row, line in enumerate(samples):
        label[row, : lengths[row]] = line["label"]
    numbers = {name: np.array([line[name] for line in samples]) for name in ("index", "group")}
    numbers["frames_needed"] = np.array([frames_needed(line["label"]) for line in samples])
    texts = [line["text"] for line in samples]
    image = stack([line["image"] for line in samples])
    return {
        "image": image,
        "width": widths,
        "label": label,
        "label_length": lengths,
        "text": texts,
        **numbers,
    }


def stack(images: Sequence[np.ndarray]) -> np.ndarray:
    """Lines of one height as uint8 (N, 1, H, W), padded with white to a multiple of STRIDE."""
    height, width = images[0].shape[0], max(image.shape[1] for image in images)
    stacked = np.full((len(images), 1, height, -(-width // STRIDE) * STRIDE), 255, np.uint8)
    for row, image in enumerate(images):
        stacked[row, 0, :, : image.shape[1]] = image
    return stacked
