"""Khmer lines as tensors."""

from collections.abc import Sequence
from typing import Any

import torch

from shared.ocr.lines import data
from shared.ocr.lines.batch import pad_lines
from shared.ocr.lines.labelled import FolderLines
from shared.ocr.lines.rendered import GeneratedLines


class TensorBatches:
    """Batches of `pad_lines` as tensors."""

    def collate(self, samples: Sequence[dict[str, Any]]) -> dict[str, Any]:
        batch = pad_lines(samples).items()
        return {key: value if isinstance(value, list) else torch.from_numpy(value) for key, value in batch}


class Rendered(TensorBatches, GeneratedLines):
    """Lines rendered on the fly."""


class Labelled(TensorBatches, FolderLines):
    """Labelled line images."""


class GeneratedData(data.GeneratedData):
    """Rendered Khmer lines."""

    rendered = Rendered


class FolderData(data.FolderData):
    """Labelled Khmer lines below a folder."""

    labelled = Labelled
