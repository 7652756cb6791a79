"""Wrong paths, wrong folders and wrong files, given to the real command: one line, exit code 2, nothing written."""

import re
import shutil
from pathlib import Path

import numpy as np
import pytest

from shared.data.images import encode_jpeg
from tests.data.test_kinds import NAMED

JPEG = encode_jpeg(np.full((40, 50, 3), 128, np.uint8))
GOOD = ["data=imagenet", "data.root={root}"]
# Overrides, and what the line says. {root} is a good image folder, {here} the folder of the test.
OVERRIDES = {
    "no root": (["data=imagenet"], "data.root"),
    "an empty root": (["data=imagenet", "data.root=''"], "no path is given"),
    "blanks": (["data=imagenet", "data.root='  '"], "no path is given"),
    "nowhere": (["data=imagenet", "data.root=/nowhere/at/all"], "/nowhere/at/all does not exist"),
    "a file": (["data=imagenet", "data.root={root}/train/cat/0.jpg"], "is a file, not a folder"),
    "a device": (["data=imagenet", "data.root=/dev/null"], "is a file, not a folder"),
    "a number": (["data=imagenet", "data.root=7"], "7 does not exist"),
    "one class": (["data=imagenet", "data.root={root}/train/cat"], "images, but no class folders"),
    "an empty bucket": (["data=imagenet", "data.root=memory://nowhere"], "no shards"),
    "an unknown protocol": (["data=imagenet", "data.root=nosuch://bucket/images"], "nosuch"),
    "a file URL": (["data=imagenet", "data.root=file:///nowhere"], "no shards"),
    "photos, but digits": (["data.root={root}"], "for data of your own add data=imagenet"),
    "a new folder, but digits": (["data.root={here}/new"], "for data of your own add data=imagenet"),
    "a URL, but digits": (["data.root=s3://bucket/photos"], "for data of your own add data=imagenet"),
    "a cache behind a URL": (["data=imagenet_shards", "data.root=memory://x", "data.cache=s3://b"], "is a URL"),
    "no pixels": ([*GOOD, "data.train_size=0"], "data.train_size"),
    "fewer than none": ([*GOOD, "data.val_size=-5"], "data.val_size"),
    "an unknown transform": ([*GOOD, "+data.augment.Spin={}"], "data.augment.Spin"),
    "an unknown option of one": ([*GOOD, "+data.augment.Blur={strength: 3}"], "data.augment.Blur"),
    "more than there is": ([*GOOD, "effective_batch_size=500"], "effective_batch_size"),
}  # fmt: skip


def fill(root):
    for split, count in (("train", 8), ("val", 4)):
        for name in ("cat", "dog"):
            (root / split / name).mkdir(parents=True)
            for number in range(count):
                (root / split / name / f"{number}.jpg").write_bytes(JPEG)
    return root


def each(pattern, change):
    """A change to all files of a pattern."""

    def work(root):
        for path in sorted(root.glob(pattern)):
            change(path)

    return work


def put(name, content=b""):
    """A change that adds a file, or a folder where the name ends with a slash."""

    def work(root):
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).mkdir() if name.endswith("/") else (root / name).write_bytes(content)

    return work


def flatten(split):
    def work(root):
        for path in sorted((root / split).glob("*/*")):
            path.rename(root / split / f"{path.parent.name}{path.name}")
        for path in [path for path in (root / split).iterdir() if path.is_dir()]:
            path.rmdir()

    return work


def become_a_folder(path):
    path.unlink()
    path.mkdir()


def become_a_dead_link(path):
    path.unlink()
    path.symlink_to("/gone")


FOLDERS = {
    "nothing": (each("*", shutil.rmtree), "no train/ folder"),
    "no images": (each("*/*/*", Path.unlink), "a class folder without images"),
    "an empty class": (put("train/cow/"), "without images .*train/cow"),
    "an empty class in val": (put("val/cow/"), "without images .*val/cow"),
    "a class of HEIC": (put("train/cow/1.HEIC"), r"1 \.heic .*convert them"),
    "a class of camera files": (put("train/cow/1.CR2"), r"1 \.cr2"),
    "a class of checkpoints": (put("train/cow/.ipynb_checkpoints/1.jpg", JPEG), "1 hidden"),
    "no val": (each("val", shutil.rmtree), "without a validation folder"),
    "no train": (each("train", shutil.rmtree), "no train/ folder"),
    "other classes": (each("val/cat", lambda path: path.rename(path.with_name("cow"))), "differ in 2 classes"),
    "a class less": (each("val/cat", shutil.rmtree), "differ in 1 classes"),
    "a flat val": (flatten("val"), "no ground truth for them"),
    "a flat train": (flatten("train"), "no class folders"),
    "a wrong ground truth": (lambda root: flatten("val")(root) or put("val_labels.txt", b"a b\n")(root), "no line"),
    "dead links": (each("train/*/*", become_a_dead_link), "No such file"),
    "folders named as images": (each("*/*/*", become_a_folder), "without images"),
    "shards that are none": (put("train/shards.json", b"{}"), "not a list of shards"),
}  # fmt: skip


@pytest.fixture
def refuse(tiny, tmp_path):
    """Run the command on a good folder that was changed: what it says, and that nothing came to be but the run."""

    def run(words, why, change=lambda root: None):
        root = fill(tmp_path / "photos")
        change(root)
        before = listing(tmp_path)
        words = [word.replace("{root}", str(root)).replace("{here}", str(tmp_path)) for word in words]
        ended = tiny("hardware.workers=0", *words)
        lines = [line for line in ended.err.splitlines() if line.startswith("error:")]
        assert ended.code == 2 and len(lines) == 1 and "Traceback" not in ended.err, ended.err[-3000:]
        assert re.search(why, lines[0]), lines[0]
        assert [path for path in listing(tmp_path) if not path.startswith(str(tmp_path / "run"))] == before

    return run


def listing(folder):
    return sorted(str(path) for path in folder.rglob("*"))


@pytest.mark.parametrize("case", OVERRIDES)
def test_wrong_settings(refuse, case):
    refuse(*OVERRIDES[case])


@pytest.mark.parametrize("case", FOLDERS)
def test_wrong_folders(refuse, case):
    change, why = FOLDERS[case]
    refuse(GOOD, why, change)


# Each takes a second: test_kinds goes through all of them in no time, here a tenth does unless -m slow is given.
CASES = [case if n % 10 == 0 else pytest.param(case, marks=pytest.mark.slow) for n, case in enumerate(NAMED)]


@pytest.mark.parametrize("case", CASES)
def test_wrong_files(refuse, case):
    data, why = NAMED[case]
    refuse([*GOOD, "data.max_corrupt=0"], f"0.jpg: .*({why}).*data.max_corrupt", put("train/cat/0.jpg", data))
