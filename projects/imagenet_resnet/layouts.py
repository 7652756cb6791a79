"""Where training and validation images lie: the layouts people have, and a split by seed where there is none."""

import hashlib
import os
from collections import Counter
from itertools import groupby
from pathlib import Path
from typing import NamedTuple

from projects.imagenet_resnet.ilsvrc import DEVKIT_FOLDER, scan_flat
from shared.data.folder import Split, advice, class_folders, in_words, is_image, scan_classes
from shared.errors import UserError

LAYOUTS = ("", "ILSVRC/Data/CLS-LOC", "Data/CLS-LOC")  # class folders at the root; Kaggle's archive
TRAIN = ("train", "training")
VAL = ("val", "valid", "validation", "dev", "test", "testing")  # the first of these that is there
VAL_SHARE = 0.2
MEND = "point it at a folder with train/ and val/ in it, or at class folders"


class Folders(NamedTuple):
    """Both splits, and in `remarks` what a person should know about how they were found."""

    train: Split
    val: Split
    remarks: list[str]


def scan_folders(root: Path, seed: int = 0) -> Folders:
    """Training and validation files of an image folder in any of its layouts."""
    base = find_layout(root)
    if base is None:
        return split_flat(root, seed)
    left_out: dict[str, Counter[str]] = {"train": Counter(), "val": Counter()}
    places = {"train": find_split(base, TRAIN), "val": find_split(base, VAL)}
    train = scan_classes(base / places["train"][0], left_out["train"])
    if not places["val"]:
        mend = "add val/ (or valid, validation, test) beside it, or point data.root at it to split it 80/20"
        raise UserError(f"{base / places['train'][0]} without a validation folder", "data.root", mend)
    val = scan_val(root, base, base / places["val"][0], train, left_out["val"])
    remarks = [f"{name}/ is not used" for found in places.values() for name in found[1:]]
    remarks += [f"validates on {places['val'][0]}/"] * (places["val"][0] != "val")
    remarks += [
        f"left out of {places[name][0]}/: {in_words(kinds)}{advice(kinds)}"
        for name, kinds in left_out.items()
        if kinds
    ]
    if os.path.realpath(base / places["train"][0]) == os.path.realpath(base / places["val"][0]):
        remarks.append("train and val are one folder: validation shows what was learned by heart")
    return Folders(train, val, remarks + one_class(train))


def scan_val(root: Path, base: Path, folder: Path, train: Split, left_out: Counter[str]) -> Split:
    if class_folders(folder):
        return scan_classes(folder, left_out)
    places = [root, base, folder, root / DEVKIT_FOLDER, root / "ILSVRC" / DEVKIT_FOLDER]
    return scan_flat(folder, train.classes, places)


def find_layout(root: Path) -> Path | None:
    """The folder that holds train/; None where class folders lie in the root itself."""
    if not root.is_dir():
        problem = "is a file, not a folder" if root.exists() else "does not exist"
        raise UserError(f"{root} {problem}", "data.root", MEND)
    for layout in LAYOUTS:
        if (root / layout).is_dir() and find_split(root / layout, TRAIN):
            return root / layout
    inside = class_folders(root)
    if deeper := next((name for name in inside if find_split(root / name, TRAIN)), None):
        raise UserError(
            f"{root} has no train/ folder, but {deeper}/ has", "data.root", f"point it at {root / deeper}"
        )
    if inside and not find_split(root, VAL):
        return None
    has = (
        "images, but no class folders"
        if any(is_image(path.name) for path in root.iterdir())
        else "no train/ folder"
    )
    raise UserError(f"{root} has {has}", "data.root", MEND)


def find_split(base: Path, names: tuple[str, ...]) -> list[str]:
    """Folders that may be meant by a split, in any case, the likeliest first."""
    there = [path.name for path in base.iterdir() if path.is_dir()]
    return sorted(
        (each for each in there if each.lower() in names),
        key=lambda each: (names.index(each.lower()), each.lower() != each),
    )


def split_flat(root: Path, seed: int) -> Folders:
    """A fifth of each class's images for validation, in an order that hashes of (seed, class, file) give.

    A hash, not a shuffle: images that are added later change few of the others' sides.
    """
    left_out: Counter[str] = Counter()
    every = scan_classes(root, left_out)
    sides = Split(every.classes, [], []), Split(every.classes, [], [])
    for label, pairs in groupby(zip(every.labels, every.paths, strict=True), key=lambda pair: pair[0]):
        own, name = [path for _, path in pairs], every.classes[label]
        if len(own) < 2:
            raise UserError(f"class {name} has a single image", str(root / name), "add more, or delete it")
        ranked = sorted(own, key=lambda path: digest(seed, os.path.relpath(path, root)))
        held_out = set(ranked[: max(1, round(VAL_SHARE * len(own)))])
        for path in own:
            side = sides[path in held_out]
            side.paths.append(path)
            side.labels.append(label)
    counts = f"{len(sides[1].paths):,} of {len(every.paths):,} images"
    remark = f"no train/ in {root}: {counts}, a fifth of each class by data.seed={seed}, are validated"
    remarks = [remark] + [f"left out of {root}: {in_words(left_out)}{advice(left_out)}"] * bool(left_out)
    deeper = f"; if its folders are the classes, point data.root at {root / every.classes[0]}"
    return Folders(*sides, remarks + [text + deeper for text in one_class(every)])


def digest(seed: int, name: str) -> bytes:
    return hashlib.sha256(f"{seed} {name}".encode(errors="surrogateescape")).digest()


def one_class(split: Split) -> list[str]:
    return [f"one class only, {split.classes[0]}: there is nothing to tell apart"] * (len(split.classes) == 1)
