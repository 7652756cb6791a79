"""Thai lines as NumPy arrays; the task makes tensors of them."""

from collections.abc import Sequence
from typing import Any

from shared.ocr.lines import data
from shared.ocr.lines.batch import pad_lines
from shared.ocr.lines.labelled import FolderLines
from shared.ocr.lines.rendered import GeneratedLines


class ArrayBatches:
    """Batches of `pad_lines` as they are."""

    def collate(self, samples: Sequence[dict[str, Any]]) -> dict[str, Any]:
        return pad_lines(samples)


class Rendered(ArrayBatches, GeneratedLines):
    """Lines rendered on the fly."""


class Labelled(ArrayBatches, FolderLines):
    """Labelled line images."""


class GeneratedData(data.GeneratedData):
    """Rendered Thai lines."""

    rendered = Rendered

    def model_arguments(self) -> dict[str, Any]:
        return super().model_arguments() | {"characters": self.charset.characters}


class FolderData(data.FolderData):
    """Labelled Thai lines below a folder."""

    labelled = Labelled

    def model_arguments(self) -> dict[str, Any]:
        return super().model_arguments() | {"characters": self.charset.characters}
