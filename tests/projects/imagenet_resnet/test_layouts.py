"""Where the images lie: other names for the splits, no split at all, and what is said about it."""

import shutil
from pathlib import Path

import numpy as np
import pytest

from projects.imagenet_resnet.data import ImageFolderData
from projects.imagenet_resnet.layouts import scan_folders
from shared.data.images import encode_jpeg
from shared.errors import UserError

JPEG = encode_jpeg(np.full((40, 50, 3), 128, np.uint8))


def fill(folder, classes=("cat", "dog"), count=10):
    for name in classes:
        (folder / name).mkdir(parents=True)
        for number in range(count):
            (folder / name / f"{number:02d}.jpg").write_bytes(JPEG)


@pytest.mark.parametrize("train", ["train", "Train", "TRAIN", "training"])
@pytest.mark.parametrize("val", ["val", "Val", "valid", "validation", "dev", "test", "Testing"])
def test_splits_go_by_other_names(tmp_path, train, val):
    fill(tmp_path / train)
    fill(tmp_path / val, count=3)
    folders = scan_folders(tmp_path)
    assert (len(folders.train.paths), len(folders.val.paths)) == (20, 6)
    assert folders.remarks == ([] if val == "val" else [f"validates on {val}/"])


def test_of_several_the_likeliest_is_taken_and_the_others_are_named(tmp_path):
    for name in ("train", "test", "valid"):
        fill(tmp_path / name)
    assert scan_folders(tmp_path).remarks == ["test/ is not used", "validates on valid/"]
    assert "/valid/" in scan_folders(tmp_path).val.paths[0]


def test_class_folders_alone_are_split_by_seed(tmp_path):
    fill(tmp_path, count=20)
    folders = scan_folders(tmp_path, seed=1)
    train, val = set(folders.train.paths), set(folders.val.paths)
    assert len(train) == 32 and len(val) == 8 and not train & val
    assert np.bincount(folders.val.labels).tolist() == [4, 4]
    assert len(folders.remarks) == 1
    assert "8 of 40 images, a fifth of each class by data.seed=1, are validated" in folders.remarks[0]
    assert scan_folders(tmp_path, seed=1) == folders
    assert set(scan_folders(tmp_path, seed=2).val.paths) != val


def test_a_moved_or_grown_data_set_keeps_its_split(tmp_path):
    fill(tmp_path / "a", count=20)
    val = {path.removeprefix(f"{tmp_path}/a") for path in scan_folders(tmp_path / "a").val.paths}
    shutil.copytree(tmp_path / "a", tmp_path / "b")
    assert {path.removeprefix(f"{tmp_path}/b") for path in scan_folders(tmp_path / "b").val.paths} == val
    (tmp_path / "b" / "cat" / "new.jpg").write_bytes(JPEG)
    grown = {path.removeprefix(f"{tmp_path}/b") for path in scan_folders(tmp_path / "b").val.paths}
    assert len(grown ^ val) <= 2


def test_one_class_only_and_what_was_left_out_are_said(tmp_path):
    fill(tmp_path / "train", classes=("cat",))
    fill(tmp_path / "val", classes=("cat",))
    (tmp_path / "train" / "cat" / "a.heic").touch()
    (tmp_path / "val" / "cat" / ".DS_Store").touch()
    data = ImageFolderData(str(tmp_path))
    data.prepare()
    assert data.remarks == [
        "left out of train/: 1 .heic (to use them, convert: magick mogrify -format png *.heic)",
        "left out of val/: 1 hidden",
        "one class only, cat: there is nothing to tell apart",
    ]


def test_one_folder_for_both_is_said(tmp_path):
    fill(tmp_path / "train")
    (tmp_path / "val").symlink_to("train")
    assert "one folder" in scan_folders(tmp_path).remarks[0]


@pytest.mark.parametrize(
    "make, why",
    [
        (lambda root: fill(root, count=1), "class cat has a single image"),
        (lambda root: fill(root / "train"), "train without a validation folder .*valid, validation, test"),
        (lambda root: fill(root / "val"), "has no train/ folder"),
        (lambda root: (root / "1.jpg").write_bytes(JPEG), "has images, but no class folders"),
        (lambda root: root.rmdir() or root.touch(), "is a file, not a folder"),
    ],
)
def test_what_is_no_layout_is_refused(tmp_path, make, why):
    root = Path(tmp_path / "root")
    root.mkdir()
    make(root)
    with pytest.raises(UserError, match=why):
        scan_folders(root)


def test_a_folder_too_high_is_told_where_to_point(tmp_path):
    fill(tmp_path / "data" / "train")
    fill(tmp_path / "data" / "val")
    with pytest.raises(UserError, match=r"no train/ folder, but data/ has .*point it at .*/data$"):
        scan_folders(tmp_path)
    fill(tmp_path / "flat" / "animals")
    remarks = scan_folders(tmp_path / "flat").remarks
    assert "one class only, animals" in remarks[-1] and remarks[-1].endswith(
        "data.root at " + str(tmp_path / "flat/animals")
    )


def test_names_that_are_no_text_are_named_all_the_same(tiny, tmp_path):
    for split in ("train", "val"):
        for name in ("caf\udce9", "犬"):
            (tmp_path / "images" / split / name).mkdir(parents=True)
            for number in range(16):
                (tmp_path / "images" / split / name / f"\udcff{number}.jpg").write_bytes(
                    JPEG if number else b""
                )
    ended = tiny("data=imagenet", f"data.root={tmp_path / 'images'}", "hardware.workers=0")
    assert ended.code == 0 and "Logging error" not in ended.err and "Traceback" not in ended.err, ended.err[
        -2000:
    ]
    assert "skipped" in ended.out and "\\udcff0.jpg: empty file" in ended.out
    assert "\\udcff0.jpg: empty file" in (ended.run_dir / "train.log").read_text(encoding="utf-8")
