"""Image folders for training and validation: ImageNet in the layouts people have, or the embedded digits."""

from collections.abc import Callable, Mapping
from functools import cached_property
from pathlib import Path
from typing import Any

from projects.imagenet_resnet.ilsvrc import DEVKIT_FOLDER, scan_flat
from shared.data.folder import Split, class_folders, scan_classes
from shared.data.image_dataset import ImageDataset
from shared.data.views import CenterView, TrainView
from shared.errors import UserError

LAYOUTS = ("", "ILSVRC/Data/CLS-LOC", "Data/CLS-LOC")  # class folders at the root; Kaggle's archive


class ImageFolderData:
    """`root`/{train,val}/<class>/*.jpg, Kaggle's ILSVRC tree, or a flat val/ with a ground-truth file.

    Sizes in pixels; `crop_fraction` of the shorter side is what validation sees; `augment` names
    albumentations transforms and their options; up to `max_corrupt` unreadable files a split are
    skipped; `generate` writes an embedded data set into the root when there is none.
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
    ) -> None:
        for name, size in (("train_size", train_size), ("val_size", val_size)):
            if size < 1:
                raise UserError(f"images of {size} pixels", f"data.{name}", "give a side of 1 or more")
        self.root = Path(root).expanduser()
        self.train_view = TrainView(train_size, tuple(scale), tuple(ratio), augment or {}, seed)
        self.val_view = CenterView(val_size, crop_fraction)
        self.max_corrupt = max_corrupt
        self.generate = generate

    def prepare(self) -> None:
        """Write the embedded data set where it is missing, and check the folders."""
        if self.generate is not None:
            self.generate(self.root)
        _ = self.splits

    @cached_property
    def splits(self) -> tuple[Split, Split]:
        base = find_layout(self.root)
        train = scan_classes(base / "train")
        if (base / "val").is_dir() and not class_folders(base / "val"):
            places = [
                self.root,
                base,
                base / "val",
                self.root / DEVKIT_FOLDER,
                self.root / "ILSVRC" / DEVKIT_FOLDER,
            ]
            return train, scan_flat(base / "val", train.classes, places)
        val = scan_classes(base / "val")
        odd = sorted(set(train.classes) ^ set(val.classes))
        if odd:
            what = f"train/ and val/ differ in {len(odd)} classes, such as {odd[0]}"
            raise UserError(what, str(base), "give both the same class folders")
        return train, val

    @cached_property
    def train(self) -> ImageDataset:
        return self._dataset(self.splits[0], self.train_view)

    @cached_property
    def val(self) -> ImageDataset:
        return self._dataset(self.splits[1], self.val_view)

    def _dataset(self, split: Split, view: TrainView | CenterView) -> ImageDataset:
        return ImageDataset(split.paths, split.labels, view, self.max_corrupt)

    @property
    def class_names(self) -> list[str]:
        return self.splits[0].classes

    def model_arguments(self) -> dict[str, int]:
        """What the network has to know about the data."""
        return {"num_classes": self.num_classes}

    @property
    def num_classes(self) -> int:
        return len(self.class_names)


def find_layout(root: Path) -> Path:
    """The folder that holds train/ and val/."""
    for layout in LAYOUTS:
        if (root / layout / "train").is_dir():
            return root / layout
    problem = "has no train/ folder" if root.is_dir() else "does not exist"
    raise UserError(f"{root} {problem}", "data.root", "point it at a folder with train/ and val/ in it")
