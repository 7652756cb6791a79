"""Labelled line images as people have them: labels.tsv, PaddleOCR's label files, LMDBs, shards."""

import os
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

from shared.data.shards.index import ABOUT
from shared.data.shards.reader import open_sample, sample_paths
from shared.errors import UserError

NAMES = {  # label files that a folder may hold, for all of it or for one split
    "all": ("labels.tsv", "labels.txt", "rec_gt.txt"),
    "train": ("train.tsv", "train_list.txt", "rec_gt_train.txt", "train/labels.tsv", "train/data.mdb"),
    "val": ("val.tsv", "val_list.txt", "rec_gt_val.txt", "rec_gt_test.txt", "val/labels.tsv", "val/data.mdb"),
}
NAMES = {split: (*names, f"{split}/{ABOUT}") for split, names in NAMES.items()}


class Line(NamedTuple):
    """An image and its text: a file, an LMDB's record (`folder#image-N`) or a sample in shards (`folder#sample-N`)."""

    image: str
    text: str


def find_table(root: Path, split: str) -> Path | None:
    """The label file of `split` (all, train, val) below `root`, if there is one."""
    return next((root / name for name in NAMES[split] if (root / name).is_file()), None)


def read_table(path: Path) -> list[Line]:
    """Lines of a label file; image paths are relative to its folder. UserError names the first malformed row."""
    if path.name == "data.mdb":
        return list(read_lmdb(path.parent))
    if path.name == ABOUT:
        return [Line(*row) for row in sample_paths(path.parent)]
    try:
        rows = path.read_text(encoding="utf-8-sig").splitlines()
    except (OSError, UnicodeDecodeError) as error:
        raise UserError(f"cannot read the labels: {error}", str(path), "save them as UTF-8") from error
    lines = []
    for number, row in enumerate(rows, start=1):
        if not row.strip() or (number == 1 and row.split("\t")[0] in ("file", "filename", "image")):
            continue
        image, tab, text = row.partition("\t")
        if not tab:
            raise UserError("a row without a tab", f"{path}, line {number}", "write file<TAB>text")
        lines += [Line(str(path.parent / name), text.strip()) for name in image_names(image)]
    return lines


def image_names(field: str) -> list[str]:
    """PaddleOCR lists several images of one text as ["a.jpg", "b.jpg"]."""
    if not field.startswith("["):
        return [field.strip()]
    return [name.strip(" \"'") for name in field.strip(" []").split(",")]


def read_lmdb(folder: Path) -> Iterator[Line]:
    """Records `image-%09d` and `label-%09d`, counted by `num-samples`, from 1."""
    with open_lmdb(folder).begin() as records:
        for number in range(1, int(records.get(b"num-samples", b"0")) + 1):
            label = records.get(f"label-{number:09d}".encode())
            if label is not None:
                yield Line(f"{folder}#image-{number:09d}", label.decode("utf-8"))


def open_lmdb(folder: Path):
    """The environment, read-only; UserError if it is none or lmdb is not installed."""
    try:
        import lmdb
    except ImportError as error:
        raise UserError("lmdb is not installed", str(folder), "pip install lmdb") from error
    try:
        return lmdb.open(str(folder), readonly=True, lock=False, readahead=False, max_readers=64)
    except lmdb.Error as error:
        raise UserError(f"not an LMDB: {error}", str(folder), "point at the folder with data.mdb") from error


def image_bytes(image: str) -> bytes:
    """The encoded image of a Line; OSError if it is not there."""
    folder, mark, key = image.partition("#image-")
    if not mark:
        with open_sample(image) as file:
            return file.read()
    with environment(folder).begin() as records:
        data = records.get(f"image-{key}".encode())
    if data is None:
        raise FileNotFoundError(2, "no such record", image)
    return bytes(data)


ENVIRONMENTS: dict[str, object] = {}
os.register_at_fork(before=ENVIRONMENTS.clear)  # closes them


def environment(folder: str):
    """One open environment a process: LMDB must not be opened twice in one, nor carried over a fork."""
    if folder not in ENVIRONMENTS:
        ENVIRONMENTS[folder] = open_lmdb(Path(folder))
    return ENVIRONMENTS[folder]
