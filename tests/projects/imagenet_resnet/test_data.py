"""The layouts people have, and what is refused in them."""

from functools import partial

import numpy as np
import pytest
from scipy.io import savemat

from projects.imagenet_resnet.data import ImageFolderData
from projects.imagenet_resnet.digits import write_digits
from shared.data.images import encode_jpeg
from shared.errors import UserError
from shared.lightning.loader import make_loader

JPEG = encode_jpeg(np.full((40, 50, 3), 128, np.uint8))
WNIDS = ("n01", "n02", "n03")


def put(path):
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(JPEG)


def val_name(number):
    return f"ILSVRC2012_val_{number:08d}"


@pytest.fixture
def folder(tmp_path):
    """train/<wnid>/ with two files each."""
    for wnid in WNIDS:
        for number in range(2):
            put(tmp_path / "train" / wnid / f"{wnid}_{number}.JPEG")
    return tmp_path


@pytest.fixture
def flat(folder):
    """The same with four files in a flat val/, whose classes are n02, n01, n03, n03."""
    for number in range(1, 5):
        put(folder / "val" / f"{val_name(number)}.JPEG")
    return folder


FLAT_LABELS = [1, 0, 2, 2]


def write_kaggle(folder):
    rows = [
        f"{val_name(i)},{wnid} 1 2 3 4 {wnid} 5 6 7 8 "
        for i, wnid in ((3, "n03"), (1, "n02"), (4, "n03"), (2, "n01"))
    ]
    (folder / "LOC_val_solution.csv").write_text("\n".join(["ImageId,PredictionString", *rows]))


def write_plain(folder):
    wnids = ("n02", "n01", "n03", "n03")
    (folder / "val_labels.txt").write_text(
        "".join(f"{val_name(i)}.JPEG {w}\n" for i, w in enumerate(wnids, 1))
    )


def write_devkit(folder, meta=True):
    """ILSVRC ids are in an order of their own, and inner nodes of the hierarchy follow the classes."""
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "ILSVRC2012_validation_ground_truth.txt").write_text("3\n2\n1\n1\n")
    if meta:
        rows = [(1, "n03"), (2, "n01"), (3, "n02"), (4, "n99")]
        synsets = np.array(rows, dtype=[("ILSVRC2012_ID", "f8"), ("WNID", object)])
        savemat(folder / "meta.mat", {"synsets": synsets})


def test_class_folders(folder):
    for wnid in WNIDS:
        put(folder / "val" / wnid / "deeper" / "1.png")
    (folder / "train" / "n01" / "notes.txt").touch()
    (folder / "train" / ".hidden").mkdir()
    data = ImageFolderData(str(folder))
    data.prepare()
    assert data.class_names == list(WNIDS) and data.num_classes == 3
    assert data.train.labels.tolist() == [0, 0, 1, 1, 2, 2]
    assert data.val.labels.tolist() == [0, 1, 2]
    assert data.train.path(3).endswith("train/n02/n02_1.JPEG")


@pytest.mark.parametrize(
    "write, place", [(write_kaggle, "."), (write_plain, "val"), (write_devkit, "ILSVRC2012_devkit_t12/data")]
)
def test_flat_validation_with_a_ground_truth_file(flat, write, place):
    write(flat / place)
    assert ImageFolderData(str(flat)).val.labels.tolist() == FLAT_LABELS


def test_kaggles_tree(flat):
    inner = flat / "kaggle" / "ILSVRC" / "Data" / "CLS-LOC"
    inner.mkdir(parents=True)
    for split in ("train", "val"):
        (flat / split).rename(inner / split)
    write_kaggle(flat / "kaggle")
    data = ImageFolderData(str(flat / "kaggle"))
    assert (len(data.train), data.val.labels.tolist()) == (6, FLAT_LABELS)


def nowhere(folder):
    return folder / "nowhere", "data.root"


def no_train(folder):
    (folder / "train").rename(folder / "pictures")
    put(folder / "val" / "n01" / "1.jpg")
    return folder, "data.root"


def no_val(folder):
    return folder, "data.root"


def empty_class(folder):
    (folder / "train" / "n02x").mkdir()
    return folder, str(folder / "train" / "n02x")


def no_classes(folder):
    for wnid in WNIDS:
        (folder / "train" / wnid).rename(folder / wnid)
    return folder, str(folder / "train")


def other_classes(folder):
    for wnid in ("n01", "n02", "n04"):
        put(folder / "val" / wnid / "1.jpg")
    return folder, str(folder)


@pytest.mark.parametrize("harm", [nowhere, no_train, no_val, empty_class, no_classes, other_classes])
def test_a_wrong_folder_is_refused_by_name(folder, harm):
    root, where = harm(folder)
    with pytest.raises(UserError) as caught:
        ImageFolderData(str(root)).prepare()
    assert caught.value.where == where


def no_truth(flat):
    return flat / "val"


def devkit_without_meta(flat):
    write_devkit(flat, meta=False)
    return flat / "ILSVRC2012_validation_ground_truth.txt"


def too_few_ids(flat):
    write_devkit(flat)
    put(flat / "val" / f"{val_name(5)}.JPEG")
    return flat / "ILSVRC2012_validation_ground_truth.txt"


def missing_line(flat):
    write_kaggle(flat)
    put(flat / "val" / f"{val_name(5)}.JPEG")
    return flat / "LOC_val_solution.csv"


def unknown_class(flat):
    write_plain(flat)
    path = flat / "val_labels.txt"
    path.write_text(path.read_text().replace("n02", "n77"))
    return path


def not_a_table(flat):
    (flat / "LOC_val_solution.csv").write_bytes(b"\x89PNG\xff")
    return flat / "LOC_val_solution.csv"


def damaged_meta(flat):
    write_devkit(flat)
    (flat / "meta.mat").write_bytes(b"nothing")
    return flat / "ILSVRC2012_validation_ground_truth.txt"


@pytest.mark.parametrize(
    "harm",
    [no_truth, devkit_without_meta, too_few_ids, missing_line, unknown_class, not_a_table, damaged_meta],
)
def test_a_wrong_ground_truth_is_refused_by_name(flat, harm):
    where = harm(flat)
    with pytest.raises(UserError) as caught:
        ImageFolderData(str(flat)).prepare()
    assert caught.value.where == str(where)


def test_the_embedded_digits(tmp_path):
    generate = partial(write_digits, pixels=32)
    data = ImageFolderData(
        str(tmp_path / "digits"), 32, 32, scale=(0.7, 1), crop_fraction=1, generate=generate
    )
    data.prepare()
    assert data.class_names == [str(digit) for digit in range(10)]
    assert (len(data.train), len(data.val)) == (1437, 360)
    assert np.bincount(data.val.labels).min() >= 34  # stratified
    names = [{data.train.path(i)[-8:] for i in range(1437)}, {data.val.path(i)[-8:] for i in range(360)}]
    assert not names[0] & names[1]
    batch = next(iter(make_loader(data.val, 360, train=False)))
    assert batch["image"].shape == (360, 3, 32, 32) and batch["image"].max() > 250
