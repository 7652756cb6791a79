"""Videos for training and validation: UCF101, HMDB51, class folders, or the embedded moving digits."""

import logging
from collections.abc import Callable, Mapping
from functools import cached_property
from pathlib import Path
from typing import Any

from projects.video_lstm.videos.cache import ClipCache
from projects.video_lstm.videos.clips import CenterClip, ClipDataset, TrainClip
from projects.video_lstm.videos.splits import read_splits
from shared.data.folder import Split
from shared.errors import UserError

log = logging.getLogger(__name__)


class VideoData:
    """`root` with UCF101's or HMDB51's official lists (`split` 1 to 3), {train,val}/<class>/, or <class>/ alone.

    The network sees `frames` frames of `size` pixels, in training chosen at random from clips decoded to
    `stored_frames` of `stored_size`. `augment` names albumentations transforms; up to `max_corrupt` unreadable files a
    split are skipped; `generate` writes an embedded data set into the root when there is none.
    """

    def __init__(
        self,
        root: str,
        cache: ClipCache,
        frames: int = 16,
        size: int = 112,
        stored_frames: int = 32,
        stored_size: int = 128,
        split: int = 1,
        augment: Mapping[str, Mapping[str, Any]] | None = None,
        max_corrupt: int = 50,
        seed: int = 0,
        generate: Callable[[Path], None] | None = None,
    ) -> None:
        for name, used, stored in (("frames", frames, stored_frames), ("size", size, stored_size)):
            if not 1 <= used <= stored:
                raise UserError(f"{used} of {stored}", f"data.{name}", f"choose 1 to data.stored_{name}")
        self.root, self.cache, self.split = Path(root).expanduser(), cache, split
        self.stored = stored_frames, stored_size
        self.views = TrainClip(frames, size, augment or {}, seed), CenterClip(frames, size)
        self.max_corrupt, self.generate = max_corrupt, generate

    def prepare(self) -> None:
        """Write the embedded data set where it is missing, and check folders and lists."""
        if self.generate is not None:
            self.generate(self.root)
        clips = sum(len(split.paths) for split in self.splits)
        self.cache.open(self.root, *self.stored)
        log.info(
            "cache        %d of %d clips in %s", min(clips, self.cache.capacity), clips, self.cache.place
        )

    @cached_property
    def splits(self) -> tuple[Split, Split]:
        return read_splits(self.root, self.split)

    @cached_property
    def train(self) -> ClipDataset:
        return self._dataset(0)

    @cached_property
    def val(self) -> ClipDataset:
        return self._dataset(1)

    def _dataset(self, side: int) -> ClipDataset:
        found, first = self.splits[side], side * len(self.splits[0].paths)
        return ClipDataset(found.paths, found.labels, self.views[side], self.max_corrupt, self.cache, first)

    @property
    def class_names(self) -> list[str]:
        return self.splits[0].classes

    def model_arguments(self) -> dict[str, int]:
        """What the network has to know about the data."""
        return {"num_classes": len(self.class_names)}
