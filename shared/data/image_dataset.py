"""Labelled images as a data set: encoded bytes in, uint8 pixels out, unreadable files counted."""

import logging
import os
from collections.abc import Sequence
from contextlib import suppress
from typing import Any, Protocol

import numpy as np
import torch
from torch import Tensor
from torch.utils.data import Dataset

from shared.data.decoding import remarks
from shared.data.sampler import SampleKey
from shared.data.unreadable import Unreadable
from shared.errors import ImageError

log = logging.getLogger(__name__)

NUMBERS = ("label", "index", "corrupt", "odd")
SHOWN = 10  # remarks on the screen


class View(Protocol):
    """Encoded bytes, the file's name and the key -> uint8 (size, size, 3)."""

    size: int

    def __call__(self, data: bytes, name: str, key: SampleKey) -> np.ndarray: ...


class Source(Protocol):
    """Encoded images by number: files of a folder, or shared.data.shards.reader.Shards."""

    def __len__(self) -> int: ...

    def name(self, index: int) -> str: ...

    def read(self, index: int) -> bytes:
        """Raises OSError if it cannot be read."""


class Files:
    """Files by their paths, which become one array, not a list, so that workers share the parent's pages."""

    def __init__(self, paths: Sequence[str]) -> None:
        self.paths = np.array([os.fsencode(path) for path in paths])

    def __len__(self) -> int:
        return len(self.paths)

    def name(self, index: int) -> str:
        return os.fsdecode(self.paths[index])

    def read(self, index: int) -> bytes:
        with open(self.name(index), "rb") as file:  # noqa: PTH123 (a Path costs as much as the read)
            return file.read()


class ImageDataset(Dataset):
    """Maps a SampleKey to one image; a file that cannot be read is replaced by the next that can.

    Batches: `image` uint8 (N, 3, H, W) in channels_last layout, `label` and `index` int64 (N,), `corrupt` int64
    (N,): the index of the unreadable file that a sample stands in for, else -1, `odd` int64 (N,): 1 if the decoder
    had a remark on the file, else 0.
    """

    def __init__(self, source: Source, labels: Sequence[int], view: View, max_corrupt: int) -> None:
        self.source = source
        self.labels = np.array(labels, dtype=np.int64)
        self.view = view
        self.unreadable = Unreadable(max_corrupt, len(source))
        self.odd: set[int] = set()

    def __len__(self) -> int:
        return len(self.source)

    def path(self, index: int) -> str:
        return self.source.name(index)

    def load(self, key: SampleKey) -> np.ndarray:
        name = self.path(key.index)
        try:
            data = self.source.read(key.index)
        except OSError as error:
            raise ImageError(f"{name}: {error.strerror or error}") from error
        return self.view(data, name, key)

    def __getitem__(self, key: SampleKey) -> dict[str, Any]:
        for skipped in range(self.unreadable.allowed + 1):
            index = (key.index + skipped) % len(self)
            try:
                with remarks() as said:
                    image = self.load(key._replace(index=index))
            except ImageError:
                continue
            corrupt, odd = key.index if skipped else -1, len(said) > 0
            return {
                "image": image,
                "label": self.labels[index],
                "index": index,
                "corrupt": corrupt,
                "odd": odd,
            }
        return {"image": self.blank(key), "label": 0, "index": key.index, "corrupt": key.index, "odd": False}

    def blank(self, key: SampleKey) -> np.ndarray:
        """Stands in where nothing could be read; never trained on, since `check` ends the run."""
        size = key.size or self.view.size
        return np.zeros((size, size, 3), np.uint8)

    def collate(self, samples: list[dict[str, Any]]) -> dict[str, Tensor]:
        images = torch.from_numpy(np.stack([sample["image"] for sample in samples])).permute(0, 3, 1, 2)
        numbers = {key: torch.tensor([int(s[key]) for s in samples]) for key in NUMBERS}
        return {"image": images, **numbers}

    def check(self, batch: dict[str, Tensor]) -> None:
        """Name each odd or unreadable file once, in the main process; too many unreadable ones end the run."""
        for index in sorted(set(batch["index"][batch["odd"] > 0].tolist()) - self.odd):
            self.odd.add(index)
            self.remark(index)
        for index in batch["corrupt"][batch["corrupt"] >= 0].tolist():
            while self.is_corrupt(index):
                index = (index + 1) % len(self)

    def remark(self, index: int) -> None:
        """The first few on the screen, all of them in train.log."""
        with remarks() as said, suppress(ImageError):  # it may be gone by now
            self.load(SampleKey(0, index))
        for text in said:
            hidden = {"file_only": True} if len(self.odd) > SHOWN else {}
            log.warning("%s (odd files so far: %d)", text, len(self.odd), extra=hidden)
        if len(self.odd) == SHOWN:
            log.warning("further odd files are named in train.log only")

    def is_corrupt(self, index: int) -> bool:
        """Whether a file cannot be read; the first time, it is named and counted."""
        if index not in self.unreadable:
            try:
                with remarks():  # `remark` says them
                    self.load(SampleKey(0, index))
            except ImageError as error:
                self.unreadable.add(index, error)
        return index in self.unreadable
