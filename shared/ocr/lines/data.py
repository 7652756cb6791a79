"""Lines for training and validation: rendered on the fly, or labelled images in a folder."""

from collections.abc import Mapping, Sequence
from functools import cached_property
from pathlib import Path
from typing import Any

from shared.errors import UserError
from shared.ocr.lines.batch import STRIDE
from shared.ocr.lines.degrade import Degrade
from shared.ocr.lines.fonts import Font, find_fonts, require_shaping
from shared.ocr.lines.labelled import FolderLines, split_by_text, usable
from shared.ocr.lines.rendered import GeneratedLines
from shared.ocr.lines.tables import Line, find_table, read_table
from shared.ocr.script.charset import Charset, is_of
from shared.ocr.script.language import find_language
from shared.ocr.script.text import LineText, read_words


class GeneratedData:
    """Lines from `words` and `phrases` in the fonts below `fonts` and, if given, `extra_fonts`.

    Families named in `val_families` and the words kept for validation never appear in training. `count` lines are an
    epoch, `val_count` are validated, always the same, in the typefaces as they are; `stride` is the network's, in
    pixels of width a frame; see GeneratedLines and Degrade for the rest.
    """

    def __init__(
        self,
        charset: str,
        words: str,
        phrases: str,
        fonts: str,
        val_families: Sequence[str],
        transforms: Mapping[str, Mapping[str, Any]],
        height: int,
        count: int,
        val_count: int,
        max_length: int = 42,
        first_length: int | None = None,
        clear_share: float = 0.3,
        changed_faces: float = 0.0,
        contrast: tuple[float, float] = (50, 255),
        tilt: float = 0.15,
        extra_fonts: str | None = None,
        stride: int = STRIDE,
        seed: int = 0,
    ) -> None:
        self.charset = Charset.load(charset)
        self.words, self.phrases, self.fonts, self.extra_fonts = words, phrases, fonts, extra_fonts
        self.val_families = set(val_families)
        self.degrade = Degrade(transforms, tuple(contrast), tilt, height)
        self.max_length = max_length
        self.count, self.val_count, self.first_length = count, val_count, first_length
        self.clear_share, self.changed_faces = clear_share, changed_faces
        self.height, self.stride, self.seed = height, stride, seed

    def prepare(self) -> None:
        """Check the engine, the fonts and the words before anything long begins."""
        require_shaping()
        _ = self.train, self.val

    @cached_property
    def families(self) -> tuple[list[Font], list[Font]]:
        """Fonts for training and for validation."""
        language = find_language(self.charset.language)
        own = {c for c in self.charset.characters if is_of(c, language.script)} - set(language.rare)
        found = [
            font for folder in (self.fonts, self.extra_fonts) if folder for font in find_fonts(folder, own)
        ]
        known = {font.family for font in found}
        if missing := self.val_families - known:
            what = f"no font of the family {min(missing)} in {self.fonts}"
            raise UserError(what, "data.val_families", f"choose from {', '.join(sorted(known))}")
        if not known - self.val_families:
            raise UserError("no font is left to train with", "data.val_families", "name fewer, or add fonts")
        held = [font for font in found if font.family in self.val_families]
        return [font for font in found if font.family not in self.val_families], held

    @cached_property
    def train(self) -> GeneratedLines:
        return self._lines(
            self.count,
            "lines-train",
            seed=self.seed,
            clear_share=self.clear_share,
            changed_faces=self.changed_faces,
            first_length=self.first_length,
        )

    @cached_property
    def val(self) -> GeneratedLines:
        return self._lines(self.val_count, "lines-val", seed=0, clear_share=0.5)

    def _lines(self, count: int, purpose: str, **how: Any) -> GeneratedLines:
        validation = purpose == "lines-val"
        return GeneratedLines(
            count,
            LineText(read_words(self.words, validation), self.phrases),
            self.families[validation],
            self.charset,
            self.degrade,
            purpose=purpose,
            height=self.height,
            max_length=self.max_length,
            stride=self.stride,
            **how,
        )

    def model_arguments(self) -> dict[str, Any]:
        """What the network has to know about the data."""
        return model_arguments(self.charset, self.height)


class FolderData:
    """Labelled lines below `root`: train and val label files, or one for all that is split 80/20 by text.

    labels.tsv (file, text), PaddleOCR's label files, or LMDBs: see `tables`. `transforms` are albumentations
    on training images; up to `max_corrupt` unreadable images are passed over.
    """

    def __init__(
        self,
        root: str,
        charset: str,
        height: int,
        transforms: Mapping[str, Mapping[str, Any]],
        max_corrupt: int = 10,
        stride: int = STRIDE,
        seed: int = 0,
    ) -> None:
        self.root, self.charset, self.height = Path(root).expanduser(), Charset.load(charset), height
        self.transforms, self.max_corrupt, self.seed = transforms, max_corrupt, seed
        self.stride = stride

    def prepare(self) -> None:
        """Read the labels and check that they can be used."""
        _ = self.train, self.val

    @cached_property
    def splits(self) -> tuple[list[Line], list[Line]]:
        train, val, both = (find_table(self.root, split) for split in ("train", "val", "all"))
        if train and val:
            return tuple(usable(read_table(path), self.charset, str(path)) for path in (train, val))
        if not both:
            what = f"no labels in {self.root}"
            raise UserError(
                what, "data.root", "put labels.tsv (file<TAB>text) there, or train.tsv and val.tsv"
            )
        found = split_by_text(usable(read_table(both), self.charset, str(both)))
        if not all(found):
            raise UserError(
                "too few different texts to split", str(both), "add lines, or write train.tsv and val.tsv"
            )
        return found

    @cached_property
    def train(self) -> FolderLines:
        return self._lines(self.splits[0], self.transforms)

    @cached_property
    def val(self) -> FolderLines:
        return self._lines(self.splits[1], {})

    def _lines(self, lines: Sequence[Line], transforms: Mapping[str, Mapping[str, Any]]) -> FolderLines:
        return FolderLines(
            lines, self.charset, self.height, transforms, self.max_corrupt, self.seed, self.stride
        )

    def model_arguments(self) -> dict[str, Any]:
        """What the network has to know about the data."""
        return model_arguments(self.charset, self.height)


def model_arguments(charset: Charset, height: int) -> dict[str, Any]:
    """Arguments of every network that reads lines."""
    return {"num_classes": len(charset), "height": height, "characters": charset.characters}
