"""Images for training and validation: ImageNet in the layouts people have, its shards, or the embedded digits."""

from collections.abc import Callable, Mapping
from functools import cached_property
from pathlib import Path
from typing import Any

from projects.imagenet_resnet.layouts import scan_folders
from shared.data.folder import Split
from shared.data.generated import make_embedded
from shared.data.image_dataset import Files, ImageDataset
from shared.data.shards.reader import Shards, are_shards
from shared.data.views import CenterView, TrainView
from shared.errors import UserError
from shared.files import local_path, refuse_url


class ImageFolderData:
    """`root`/{train,val}/<class>/*.jpg, `root`/<class>/*.jpg, Kaggle's ILSVRC tree, a flat val/ with a ground truth, or
    their shards.

    Sizes in pixels; `crop_fraction` of the shorter side is what validation sees; `augment` names
    albumentations transforms and their options; up to `max_corrupt` unreadable files a split are
    skipped; `generate` writes an embedded data set, in the folder `embedded` alone. Shards may lie
    behind a URL; up to `cache_gb` (10^9 bytes) of each split are then kept in the folder `cache`.
    `remarks` are what a person should know about the files before training.
    """

    def __init__(
        self,
        root: str,
        train_size: int = 224,
        val_size: int = 224,
        scale: tuple[float, float] = (0.08, 1.0),
        ratio: tuple[float, float] = (3 / 4, 4 / 3),
        augment: Mapping[str, Mapping[str, Any]] | None = None,
        crop_fraction: float = 0.875,
        max_corrupt: int = 10,
        seed: int = 0,
        generate: Callable[[Path], None] | None = None,
        embedded: str | None = None,
        cache: str | None = None,
        cache_gb: float = 0.0,
    ) -> None:
        for name, size in (("train_size", train_size), ("val_size", val_size)):
            if size < 1:
                raise UserError(f"images of {size} pixels", f"data.{name}", "give a side of 1 or more")
        self.root, self.cache, self.cache_gb, self.seed = str(root), cache, cache_gb, seed
        self.train_view = TrainView(train_size, tuple(scale), tuple(ratio), augment or {}, seed)
        self.val_view = CenterView(val_size, crop_fraction)
        self.max_corrupt = max_corrupt
        self.generate, self.embedded = generate, embedded
        self.remarks: list[str] = []

    def prepare(self) -> None:
        """Write the embedded data set where it is missing, and check the folders."""
        if self.generate is not None:
            make_embedded(self.root, self.embedded, self.generate, "data=imagenet")
        _ = self.splits

    @cached_property
    def splits(self) -> tuple[Split, Split] | tuple[Shards, Shards]:
        if are_shards(f"{self.root}/train"):
            train, val = self.open_shards()
        else:
            train, val, self.remarks = scan_folders(local_path(self.root, "data.root"), self.seed)
        odd = sorted(set(train.classes) ^ set(val.classes))
        if odd:
            what = f"train/ and val/ differ in {len(odd)} classes, such as {odd[0]}"
            raise UserError(what, str(self.root), "give both the same classes")
        return train, val

    def open_shards(self) -> tuple[Shards, Shards]:
        if self.cache:
            refuse_url(str(self.cache), "data.cache")
        train, val = (Shards(f"{self.root}/{name}", self.cache, self.cache_gb) for name in ("train", "val"))
        return train, val

    @cached_property
    def train(self) -> ImageDataset:
        return self.dataset(self.splits[0], self.train_view)

    @cached_property
    def val(self) -> ImageDataset:
        return self.dataset(self.splits[1], self.val_view)

    def dataset(self, split: Split | Shards, view: TrainView | CenterView) -> ImageDataset:
        source = split if isinstance(split, Shards) else Files(split.paths)
        return ImageDataset(source, split.labels, view, self.max_corrupt)

    @property
    def class_names(self) -> list[str]:
        return self.splits[0].classes

    def model_arguments(self) -> dict[str, int]:
        """What the network has to know about the data."""
        return {"num_classes": self.num_classes}

    @property
    def num_classes(self) -> int:
        return len(self.class_names)
