"""Images for training and validation: ImageNet in the layouts people have, its shards, or the embedded digits."""

from collections.abc import Callable, Mapping
from functools import cached_property
from pathlib import Path
from typing import Any

from projects.imagenet_resnet.ilsvrc import DEVKIT_FOLDER, scan_flat
from shared.data.folder import Split, class_folders, scan_classes
from shared.data.image_dataset import Files, ImageDataset
from shared.data.shards.reader import Shards, are_shards
from shared.data.views import CenterView, TrainView
from shared.errors import UserError

LAYOUTS = ("", "ILSVRC/Data/CLS-LOC", "Data/CLS-LOC")  # class folders at the root; Kaggle's archive


class ImageFolderData:
    """`root`/{train,val}/<class>/*.jpg, Kaggle's ILSVRC tree, a flat val/ with a ground-truth file, or their shards.

    Sizes in pixels; `crop_fraction` of the shorter side is what validation sees; `augment` names
    albumentations transforms and their options; up to `max_corrupt` unreadable files a split are
    skipped; `generate` writes an embedded data set into the root when there is none. Shards may lie
    behind a URL; up to `cache_gb` (10^9 bytes) of each split are then kept in the folder `cache`.
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
        cache: str | None = None,
        cache_gb: float = 0.0,
    ) -> None:
        for name, size in (("train_size", train_size), ("val_size", val_size)):
            if size < 1:
                raise UserError(f"images of {size} pixels", f"data.{name}", "give a side of 1 or more")
        self.root, self.cache, self.cache_gb = root, cache, cache_gb
        self.train_view = TrainView(train_size, tuple(scale), tuple(ratio), augment or {}, seed)
        self.val_view = CenterView(val_size, crop_fraction)
        self.max_corrupt = max_corrupt
        self.generate = generate

    def prepare(self) -> None:
        """Write the embedded data set where it is missing, and check the folders."""
        if self.generate is not None:
            self.generate(Path(self.root).expanduser())
        _ = self.splits

    @cached_property
    def splits(self) -> tuple[Split, Split] | tuple[Shards, Shards]:
        packed = are_shards(f"{self.root}/train")
        train, val = self.open_shards() if packed else scan_folders(Path(self.root).expanduser())
        odd = sorted(set(train.classes) ^ set(val.classes))
        if odd:
            what = f"train/ and val/ differ in {len(odd)} classes, such as {odd[0]}"
            raise UserError(what, str(self.root), "give both the same classes")
        return train, val

    def open_shards(self) -> tuple[Shards, Shards]:
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


def scan_folders(root: Path) -> tuple[Split, Split]:
    """Training and validation files of an image folder in any of its layouts."""
    base = find_layout(root)
    train, val = scan_classes(base / "train"), base / "val"
    if val.is_dir() and not class_folders(val):
        places = [root, base, val, root / DEVKIT_FOLDER, root / "ILSVRC" / DEVKIT_FOLDER]
        return train, scan_flat(val, train.classes, places)
    return train, scan_classes(val)


def find_layout(root: Path) -> Path:
    """The folder that holds train/ and val/."""
    for layout in LAYOUTS:
        if (root / layout / "train").is_dir():
            return root / layout
    problem = "has no train/ folder" if root.is_dir() else "does not exist"
    raise UserError(f"{root} {problem}", "data.root", "point it at a folder with train/ and val/ in it")
