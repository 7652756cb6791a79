"""Labelled line images as people have them: label files, tesstrain's pairs, LMDBs, shards."""

import os
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

from shared.data.shards.index import ABOUT
from shared.data.shards.reader import open_sample, sample_paths
from shared.errors import UserError
from shared.ocr.lines.label_files import GROUND_TRUTH, ground_truths, read_pairs

FILES = ("labels.tsv", "labels.txt", "labels.csv", "metadata.jsonl", "metadata.csv", "gt.txt")
NAMES = {  # label files that a folder may hold, for all of it or for one split
    "all": (*FILES, "rec_gt.txt"),
    "train": ("train.tsv", "train.csv", "train_list.txt", "rec_gt_train.txt", "train/data.mdb"),
    "val": ("val.tsv", "val.csv", "val_list.txt", "rec_gt_val.txt", "rec_gt_test.txt", "val/data.mdb"),
}
FOLDERS = {
    "all": (),
    "train": ("train",),
    "val": ("val", "validation", "test"),
}  # that hold a label file of their own
NAMES = {
    split: (*names, *(f"{folder}/{name}" for folder in FOLDERS[split] for name in FILES), f"{split}/{ABOUT}")
    for split, names in NAMES.items()
}


class Line(NamedTuple):
    """An image and its text: a file, an LMDB's record (`folder#image-N`) or a sample in shards (`folder#sample-N`)."""

    image: str
    text: str


def find_table(root: Path, split: str) -> Path | None:
    """The label file of `split` (all, train, val) below `root`, or a folder of tesstrain's pairs, if there is one."""
    if found := next((root / name for name in NAMES[split] if (root / name).is_file()), None):
        return found
    if split == "all" and find_table(root, "train") and find_table(root, "val"):
        return None
    folder = root if split == "all" else root / split
    return folder if next(folder.rglob(f"*{GROUND_TRUTH}"), None) else None


def read_table(path: Path) -> list[Line]:
    """Lines of a label file; image paths are relative to its folder. UserError names the first malformed row."""
    if path.name == "data.mdb":
        return list(read_lmdb(path.parent))
    if path.name == ABOUT:
        return [Line(*row) for row in sample_paths(path.parent)]
    if path.is_dir():
        return [Line(str(path / image), text) for image, text in ground_truths(path)]
    return [Line(str(path.parent / image), text) for image, text in read_pairs(path)]


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
