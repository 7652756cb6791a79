"""Class folders as people have them: what is hidden, linked or of another kind is left out, and counted."""

from collections import Counter

import pytest

from shared.data.folder import class_folders, image_files, in_words, scan_classes
from shared.errors import UserError


@pytest.fixture
def split(tmp_path):
    """cat/ and dog/ with 16 files each, in train/."""
    for name in ("cat", "dog"):
        (tmp_path / "train" / name).mkdir(parents=True)
        for number in range(16):
            (tmp_path / "train" / name / f"{number:02d}.jpg").touch()
    return tmp_path / "train"


def found(split):
    left_out = Counter()
    scanned = scan_classes(split, left_out)
    return Counter(scanned.classes[label] for label in scanned.labels), dict(left_out)


WHOLE = {"cat": 16, "dog": 16}


@pytest.mark.parametrize("place", ["cat", "cat/deeper", "dog"])
@pytest.mark.parametrize("target", [".", "..", "cat", "../train/dog"])
def test_a_link_back_into_the_data_adds_nothing(split, place, target):
    (split / place).mkdir(exist_ok=True)
    (split / place / "again").symlink_to((split / target).resolve())
    assert found(split) == (WHOLE, {"link back into the data": 1})


def test_a_class_that_is_a_link_to_another_class_or_to_the_split_is_none(split):
    (split / "feline").symlink_to("cat")
    (split / "all").symlink_to(".")
    assert found(split) == (WHOLE, {"link back into the data": 2})


def test_links_to_elsewhere_are_followed_once(split, tmp_path):
    pool = tmp_path / "pool"
    (pool / "more").mkdir(parents=True)
    (pool / "x.jpg").touch()
    (pool / "more" / "round").symlink_to(pool)
    (pool / "more" / "home").symlink_to(split)
    (pool / "y.jpg").symlink_to(split / "cat" / "00.jpg")
    (split / "cat" / "pool").symlink_to(pool)
    (split / "cow").symlink_to(pool)
    numbers, left_out = found(split)
    assert numbers["dog"] == 16 and numbers["cat"] - 16 <= 4 and numbers["cow"] <= 4
    assert left_out["link back into the data"] >= 1


@pytest.mark.parametrize(
    "name", [".ipynb_checkpoints", "@eaDir", "__MACOSX", "#recycle", "$RECYCLE.BIN", ".git", "__pycache__"]
)
def test_hidden_folders_are_no_data(split, name):
    for folder in (split / name, split / "cat" / name):
        folder.mkdir()
        (folder / "00-checkpoint.jpg").touch()
    (split / "cat" / "._00.jpg").touch()
    (split / "cat" / "Thumbs.db").touch()
    assert found(split) == (WHOLE, {"hidden": 4})
    assert class_folders(split) == ["cat", "dog"]


def test_other_kinds_are_counted_by_suffix(split):
    for name in ("a.HEIC", "b.heic", "c.jp2", "notes", "d.psd"):
        (split / "dog" / name).touch()
    for name in ("e.JFIF", "f.Gif", "g.avif", "h.tga", "i.pbm", "j.WebP", "k.jpe"):
        (split / "dog" / name).touch()
    numbers, left_out = found(split)
    assert numbers["dog"] == 23
    assert left_out == {".heic": 2, ".jp2": 1, "without a suffix": 1, ".psd": 1}
    assert in_words(left_out) == "2 .heic, 1 .jp2, 1 .psd, 1 without a suffix"


def test_a_class_of_other_kinds_alone_is_told_which(split):
    (split / "cow").mkdir()
    for number in range(3):
        (split / "cow" / f"{number}.heic").touch()
    with pytest.raises(UserError, match=r"not.*|without images that are read: 3 \.heic .*convert them"):
        scan_classes(split)
    (split / "cow" / "3.jfif").touch()
    assert found(split)[0]["cow"] == 1


def test_one_folder_alone_can_be_listed(split):
    assert len(image_files(split)) == 32
    with pytest.raises(UserError, match="cannot be read"):
        image_files(split / "gone")
