"""Lines rendered on the fly as a data set: each a function of (seed, epoch, index) alone."""

from collections.abc import Sequence
from typing import Any

import cv2
import numpy as np
from numpy.random import Generator

from shared.data.draws import SampleKey, keyed_generator
from shared.errors import ImageError
from shared.ocr.lines.batch import STRIDE, frames_needed, pad_lines, sample
from shared.ocr.lines.degrade import Degrade, another_face, compose_clear
from shared.ocr.lines.fonts import Font, draw, load
from shared.ocr.lines.image import prepare
from shared.ocr.script.charset import Charset
from shared.ocr.script.normalise import fold
from shared.ocr.script.text import LineText

SIZES = (20, 26, 34, 46)


class GeneratedLines:
    """Maps a SampleKey to a rendered line; `lengths` (characters) tell the sampler how wide lines will be.

    `clear_share` of the lines are not degraded; `changed_faces` of them are drawn as `another_face` would. In epoch e
    (0-based) no line is longer than `first_length` * (e + 1) characters: short lines first teach CTC where characters
    are.
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
        changed_faces: float = 0.0,
        first_length: int | None = None,
        stride: int = STRIDE,
    ) -> None:
        self.text, self.fonts, self.charset, self.degrade = text, fonts, charset, degrade
        self.purpose, self.seed, self.height = purpose, seed, height
        self.clear_share, self.changed_faces = clear_share, changed_faces
        self.first_length, self.stride = first_length, stride
        self.families = sorted({font.family for font in fonts})
        self.lengths = draw_lengths(keyed_generator(seed, f"{purpose}-lengths"), count, max_length)

    collate = staticmethod(pad_lines)

    def __len__(self) -> int:
        return len(self.lengths)

    def __getitem__(self, key: SampleKey) -> dict[str, Any]:
        rng = keyed_generator(self.seed, self.purpose, key.epoch, key.index)
        length = int(self.lengths[key.index])
        if self.first_length is not None:
            length = min(length, self.first_length * (key.epoch + 1))
        clear = rng.random() < self.clear_share
        while True:
            text = fold(self.text(rng, length), self.charset.language)
            font = self.choose_font(text, rng)
            if not text or not font or self.charset.missing(text):
                continue
            if not (ink := self.render(text, font, rng)).size:
                continue
            line = compose_clear(ink, rng) if clear else self.degrade(ink, rng)
            label = self.charset.encode(text)
            try:
                image = prepare(line, self.height, self.stride * (frames_needed(label) + 1))
            except ImageError:  # a lone letter with subscripts can come out too tall for a line
                continue
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
        if ink.size and self.changed_faces and rng.random() < self.changed_faces:
            ink = another_face(ink, size, rng)
        return ink


def draw_lengths(rng: Generator, count: int, max_length: int) -> np.ndarray:
    """Characters per line: a third of the lines short, the others evenly up to `max_length`."""
    short = rng.random(count) < 0.33
    return np.where(short, rng.integers(1, 13, count), rng.integers(8, max_length + 1, count))
