"""Labelled line images as a data set, and how a set without a split of its own is divided."""

import logging
import zlib
from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from shared.data.draws import SampleKey, keyed_generator
from shared.data.images import Augment
from shared.data.unreadable import Unreadable
from shared.errors import ImageError, UserError
from shared.ocr.lines.batch import STRIDE, frames_needed, pad_lines, sample
from shared.ocr.lines.image import MIN_WIDTH, decode, prepare
from shared.ocr.lines.tables import Line, image_bytes
from shared.ocr.script.charset import Charset
from shared.ocr.script.normalise import fold

log = logging.getLogger(__name__)
MEND = "repair them (scripts/audit_ocr.py lists all), or allow more"
SHOWN = 20  # unknown characters that a warning counts
VAL_SHARE = 5  # one group in so many is validated: 80/20


class FolderLines:
    """Maps a SampleKey to a line; an unreadable image is replaced by the next one, up to `max_corrupt` different ones.

    Workers only say so in the batch; `check` counts, in the main process, what all of them have passed over.
    `transforms` are albumentations by name, drawn from (seed, epoch, index).
    """

    def __init__(
        self,
        lines: Sequence[Line],
        charset: Charset,
        height: int,
        transforms: Mapping[str, Mapping[str, Any]],
        max_corrupt: int,
        seed: int,
        stride: int = STRIDE,
    ) -> None:
        self.lines, self.charset, self.height = lines, charset, height
        self.augment = Augment(transforms, "data.transforms") if transforms else None
        self.seed, self.stride = seed, stride
        self.unreadable = Unreadable(max_corrupt, len(lines), MEND)
        self.lengths = np.array([len(line.text) for line in lines])

    collate = staticmethod(pad_lines)

    def __len__(self) -> int:
        return len(self.lines)

    def __getitem__(self, key: SampleKey) -> dict[str, Any]:
        for skipped in range(min(self.unreadable.allowed + 1, len(self))):
            index = (key.index + skipped) % len(self)
            try:
                return self.load(index, key, key.index if skipped else -1)
            except (ImageError, OSError):
                continue
        blank = np.full((self.height, MIN_WIDTH), 255, np.uint8)  # never trained on: `check` ends the run
        return sample(blank, [], "", -1, 0, key.index)

    def load(self, index: int, key: SampleKey, corrupt: int = -1) -> dict[str, Any]:
        line = self.lines[index]
        label = self.charset.encode(line.text)
        image = prepare(self.pixels(line, key), self.height, self.stride * (frames_needed(label) + 1))
        return sample(image, label, line.text, index, 0, corrupt)

    def pixels(self, line: Line, key: SampleKey) -> np.ndarray:
        image = decode(image_bytes(line.image))
        if self.augment is None:
            return image
        rng = keyed_generator(self.seed, "augment-lines", key.epoch, key.index)
        return self.augment(image[:, :, None], rng)[:, :, 0]

    def check(self, batch: Mapping[str, Any]) -> None:
        """Name each unreadable image once, in the main process; too many of them end the run."""
        for index, stand_in in zip(batch["corrupt"].tolist(), batch["index"].tolist(), strict=True):
            while index not in (-1, stand_in):
                if index not in self.unreadable:
                    self.unreadable.add(index, f"{self.lines[index].image}: {self.complaint(index)}")
                index = (index + 1) % len(self)

    def complaint(self, index: int) -> str:
        """Why an image could not be used."""
        try:
            self.load(index, SampleKey(0, index))
        except (ImageError, OSError) as error:
            return str(error)
        return "it can be read now, but not then"


def first_lines(dataset: Any, count: int) -> list[dict[str, Any]]:
    """The first samples of a data set of lines as they are; UserError where too many cannot be read."""
    lines = [dataset[SampleKey(0, index)] for index in range(min(count, len(dataset)))]
    if hasattr(dataset, "check"):
        dataset.check(dataset.collate(lines))
    return lines


def usable(lines: Sequence[Line], charset: Charset, where: str) -> list[Line]:
    """Lines with their text folded, without those that are empty or hold characters that the charset lacks."""
    folded = [Line(line.image, fold(line.text, charset.language)) for line in lines]
    kept = [line for line in folded if line.text and not charset.missing(line.text)]
    unknown = Counter(c for line in folded for c in line.text if c not in charset.index)
    if len(kept) < len(folded):
        empty = sum(not line.text for line in folded)
        log.warning(
            "%s: left out %d of %d lines: %d are empty, %d have characters outside the charset%s",
            where,
            len(folded) - len(kept),
            len(folded),
            empty,
            len(folded) - len(kept) - empty,
            in_words(unknown, charset) if unknown else "",
        )
    if not kept:
        raise UserError(
            "no usable line", where, "run scripts/audit_ocr.py on it, or choose another data.charset"
        )
    return kept


def in_words(unknown: Counter[str], charset: Charset) -> str:
    """How often each unknown character occurs, most frequent first, and how to learn them."""
    most = unknown.most_common(SHOWN)
    counts = ", ".join(f"{c} U+{ord(c):04X} x{count}" for c, count in most)
    more = f" and {len(unknown) - SHOWN} more" if len(unknown) > SHOWN else ""
    added = "".join(c for c, _ in most)
    return f""" ({counts}{more}); to learn them, too, say 'data.charset="{charset.name}+{added}"'"""


def split_by_text(lines: Sequence[Line]) -> tuple[list[Line], list[Line]]:
    """80/20 by what the lines say, so that no text is both trained on and validated."""
    held = [zlib.crc32(line.text.encode()) % VAL_SHARE == 0 for line in lines]
    train = [line for line, out in zip(lines, held, strict=True) if not out]
    return train, [line for line, out in zip(lines, held, strict=True) if out]
