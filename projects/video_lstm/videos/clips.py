"""Labelled videos as a data set, and what a network sees of a clip."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import torch
from torch import Tensor

from projects.video_lstm.videos.cache import ClipCache
from shared.data.draws import SampleKey, keyed_generator
from shared.data.image_dataset import NUMBERS, Files, ImageDataset
from shared.data.images import Augment


class TrainClip:
    """One frame at random of each part of the clip, a random crop, augmentation: drawn from (seed, epoch, index).

    Crop and augmentation are the same for all frames of a clip.
    """

    def __init__(self, frames: int, size: int, augment: Mapping[str, Mapping[str, Any]], seed: int) -> None:
        self.frames, self.size, self.seed = frames, size, seed
        self.augment = Augment(augment)

    def __call__(self, clip: np.ndarray, key: SampleKey) -> np.ndarray:
        rng = keyed_generator(self.seed, "augment", key.epoch, key.index)
        edges = np.arange(self.frames + 1) * len(clip) // self.frames
        top, left = rng.integers(clip.shape[1] - self.size + 1, size=2)
        crop = clip[rng.integers(edges[:-1], edges[1:]), top : top + self.size, left : left + self.size]
        return self.augment.clip(crop, rng)


class CenterClip:
    """The middle frame of each part of the clip, and the central square."""

    def __init__(self, frames: int, size: int) -> None:
        self.frames, self.size = frames, size

    def __call__(self, clip: np.ndarray, key: SampleKey) -> np.ndarray:
        middle = (2 * np.arange(self.frames) + 1) * len(clip) // (2 * self.frames)
        edge = (clip.shape[1] - self.size) // 2
        return clip[middle, edge : edge + self.size, edge : edge + self.size]


class ClipDataset(ImageDataset):
    """As ImageDataset; batches hold `clip`, uint8 (N, T, 3, H, W). `first`: its first clip's number in the cache."""

    def __init__(
        self,
        paths: Sequence[str],
        labels: Sequence[int],
        view: TrainClip | CenterClip,
        max_corrupt: int,
        cache: ClipCache,
        first: int,
    ) -> None:
        super().__init__(Files(paths), labels, view, max_corrupt)
        self.cache, self.first = cache, first

    def load(self, key: SampleKey) -> np.ndarray:
        return self.view(self.cache.read(self.path(key.index), self.first + key.index), key)

    def blank(self, key: SampleKey) -> np.ndarray:
        return np.zeros((self.view.frames, self.view.size, self.view.size, 3), np.uint8)

    def collate(self, samples: list[dict[str, Any]]) -> dict[str, Tensor]:
        clips = torch.from_numpy(np.stack([sample["image"] for sample in samples])).permute(0, 1, 4, 2, 3)
        numbers = {key: torch.tensor([int(s[key]) for s in samples]) for key in NUMBERS}
        return {"clip": clips, **numbers}
