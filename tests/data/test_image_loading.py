"""Loaders over image files: the same batches for any number of workers; unreadable files are counted."""

import logging

import numpy as np
import pytest
import torch

from shared.data.image_dataset import Files, ImageDataset
from shared.data.images import encode_jpeg
from shared.data.views import CenterView, TrainView
from shared.errors import UserError
from shared.lightning.loader import make_loader

FLIP_AND_JITTER = {"HorizontalFlip": {"p": 0.5}, "ColorJitter": {"p": 0.8}}


@pytest.fixture
def files(tmp_path, photo):
    """24 different crops of a photograph, their label being their number."""
    paths = [tmp_path / f"{number:02d}.jpg" for number in range(24)]
    for number, path in enumerate(paths):
        path.write_bytes(encode_jpeg(photo[number * 8 : number * 8 + 90, 20 * number : 20 * number + 120]))
    return paths


def dataset(files, max_corrupt=2):
    view = TrainView(32, (0.08, 1), (0.75, 1.33), FLIP_AND_JITTER, seed=1)
    return ImageDataset(Files([str(path) for path in files]), range(len(files)), view, max_corrupt)


def batches(loader, epochs=2):
    out = []
    for epoch in range(epochs):
        loader.sampler.set_epoch(epoch)
        out += list(loader)
    return out


def same(first, second):
    return len(first) == len(second) and all(
        torch.equal(a[key], b[key]) for a, b in zip(first, second, strict=True) for key in a
    )


def test_batches_do_not_depend_on_workers(files):
    runs = []
    for workers in (0, 1, 2):
        torch.manual_seed(7)
        loader = make_loader(dataset(files), 5, train=True, seed=3, workers=workers)
        runs.append((batches(loader), torch.rand(1)))
    assert len(runs[0][0]) == 8  # the incomplete last batch is dropped
    for run, following_draw in runs[1:]:
        assert same(run, runs[0][0])
        assert following_draw == runs[0][1]  # loading leaves the global generator alone


def test_every_sample_of_every_epoch_is_augmented_differently(files):
    loader = make_loader(dataset([files[0]] * 24), 24, train=True, workers=2)
    images = torch.cat([batch["image"] for batch in batches(loader, epochs=3)])
    assert len({image.numpy().tobytes() for image in images}) == 72


def test_resuming_in_the_middle_of_an_epoch_yields_the_same_rest(files):
    whole = batches(make_loader(dataset(files), 5, train=True, seed=3))
    resumed = make_loader(dataset(files), 5, train=True, seed=3, workers=1)
    resumed.sampler.resume_at(1, position=10)
    assert same(list(resumed), whole[4 + 2 :])


def test_batch_layout(files):
    batch = next(iter(make_loader(dataset(files), 6, train=False)))
    assert batch["image"].shape == (6, 3, 32, 32) and batch["image"].dtype == torch.uint8
    assert batch["image"].is_contiguous(memory_format=torch.channels_last)
    assert batch["label"].tolist() == batch["index"].tolist() == [0, 1, 2, 3, 4, 5]
    assert batch["corrupt"].tolist() == [-1] * 6


def test_evaluation_sees_every_sample_once_and_the_centre(files, photo):
    data = ImageDataset(Files([str(path) for path in files]), range(24), CenterView(90, 1.0), 0)
    seen = list(make_loader(data, 7, train=False))
    assert torch.cat([batch["index"] for batch in seen]).tolist() == list(range(24))
    error = seen[0]["image"][0].permute(1, 2, 0).numpy().astype(float) - photo[:90, 15:105]
    assert np.sqrt((error**2).mean()) < 12


def test_the_image_size_may_change_while_workers_live(files):
    loader = make_loader(dataset(files), 8, train=True, workers=2)
    for epoch, size in enumerate((16, 48)):
        loader.sampler.set_epoch(epoch)
        loader.sampler.image_size = size
        assert {batch["image"].shape[-1] for batch in loader} == {size}


@pytest.mark.parametrize("workers", [0, 2])
def test_unreadable_files_are_replaced_named_once_and_counted(files, workers, caplog):
    files[3].write_bytes(b"")
    files[4].write_bytes(files[4].read_bytes()[:500])
    data = dataset(files, max_corrupt=2)
    seen = batches(make_loader(data, 4, train=True, workers=workers), epochs=2)
    stand_ins = {
        int(c): int(i) for b in seen for c, i in zip(b["corrupt"], b["index"], strict=True) if c >= 0
    }
    assert stand_ins == {3: 5, 4: 5}
    assert data.unreadable.samples == {3, 4}
    warnings = [record.message for record in caplog.records if record.levelno == logging.WARNING]
    assert len(warnings) == 2 and "03.jpg: empty file" in warnings[0] + warnings[1]


@pytest.mark.parametrize("broken", [range(3), range(24), (1, 9, 17)])
@pytest.mark.parametrize("workers", [0, 2])
def test_too_many_unreadable_files_end_the_run_naming_one(files, workers, broken):
    for number in broken:
        files[number].unlink()
    with pytest.raises(UserError, match=r"\d\d\.jpg: No such file.*data\.max_corrupt"):
        batches(make_loader(dataset(files, max_corrupt=2), 4, train=True, workers=workers))


def test_no_readable_file_at_all_ends_the_run(tmp_path):
    files = [tmp_path / "a.jpg", tmp_path / "b.jpg"]
    with pytest.raises(UserError, match=r"unreadable files: 2, allowed: 10.*data\.max_corrupt"):
        batches(make_loader(dataset(files, max_corrupt=10), 2, train=True))


@pytest.mark.parametrize("workers", [0, 1])
def test_nothing_is_trained_on_in_the_place_of_too_many_unreadable_files(files, workers):
    for path in files[:3]:
        path.write_bytes(b"")
    loader = make_loader(dataset(files, max_corrupt=2), 1, train=False, workers=workers)
    with pytest.raises(UserError, match=r"02\.jpg: empty file"):
        next(iter(loader))


@pytest.mark.parametrize("batch_size", [0, 25])
def test_a_batch_larger_than_the_data_is_refused(files, batch_size):
    with pytest.raises(UserError, match="effective_batch_size"):
        make_loader(dataset(files), batch_size, train=True)


def test_file_names_need_not_be_ascii_nor_even_text(tmp_path, photo):
    odd = tmp_path / "ស្រី \udcff.jpg"
    odd.write_bytes(encode_jpeg(photo))
    assert next(iter(make_loader(dataset([odd]), 1, train=True)))["corrupt"].tolist() == [-1]
