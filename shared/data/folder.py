"""Image files in class folders: <split>/<class>/**/*.jpg."""

import os
from pathlib import Path
from typing import NamedTuple

from shared.errors import UserError

EXTENSIONS = (".jpg", ".jpeg", ".png", ".webp", ".bmp", ".tif", ".tiff", ".ppm", ".pgm")


class Split(NamedTuple):
    """Files and their labels, which index `classes`."""

    classes: list[str]
    paths: list[str]
    labels: list[int]


def is_image(name: str) -> bool:
    return name.lower().endswith(EXTENSIONS) and not name.startswith(".")


def class_folders(folder: Path) -> list[str]:
    with os.scandir(folder) as entries:
        return sorted(entry.name for entry in entries if entry.is_dir() and not entry.name.startswith("."))


def image_files(folder: str | Path) -> list[str]:
    """Images anywhere below a folder, sorted; links are followed, files are not touched."""
    walk = os.walk(folder, followlinks=True)
    return sorted(f"{parent}/{name}" for parent, _, names in walk for name in names if is_image(name))


def scan_classes(folder: Path) -> Split:
    """Every class folder's images; a split without classes or a class without images is refused."""
    if not folder.is_dir():
        raise UserError(f"no folder {folder}", "data.root", "point it at a folder with train/ and val/ in it")
    classes, paths, labels = class_folders(folder), [], []
    if not classes:
        raise UserError("no class folders", str(folder), "put each class's images into a folder of its name")
    for label, name in enumerate(classes):
        files = image_files(folder / name)
        if not files:
            raise UserError("a class folder without images", str(folder / name), "fill it, or delete it")
        paths += files
        labels += [label] * len(files)
    return Split(classes, paths, labels)
