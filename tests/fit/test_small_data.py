"""A default batch fits itself to little data, on both sockets, and says so; of a given one the loss is said."""

import json

import numpy as np
import pytest
from PIL import Image

from shared.command.cli import train
from shared.policy.batching import batch_for
from tests.conftest import start


@pytest.mark.parametrize(
    "samples, wanted, devices, batch",
    [
        (120, 64, 1, 60),
        (100, 64, 1, 50),
        (48, 64, 1, 48),
        (1, 64, 1, 1),
        (64, 64, 1, 64),
        (70, 64, 1, 64),  # 6 of 70 are less than a tenth
        (72, 64, 1, 36),
        (1437, 64, 1, 64),
        (1_281_167, 1024, 8, 1024),
        (120, 64, 8, 56),
        (63, 64, 4, 60),
        (5, 64, 4, 4),
        (3, 64, 4, 64),  # not even one a device: refused where the batch is drawn
    ],
)
def test_the_batch_for_a_number_of_samples(samples, wanted, devices, batch):
    assert batch_for(samples, wanted, devices) == batch


@pytest.mark.parametrize("wanted", [1, 7, 64, 256])
@pytest.mark.parametrize("devices", [1, 2, 8])
def test_little_is_left_out_whatever_the_number(wanted, devices):
    for samples in range(devices, 700):
        batch = batch_for(samples, wanted * devices, devices)
        assert 1 <= batch <= wanted * devices and batch % devices == 0
        steps = samples // batch
        assert steps and (samples - steps * batch <= max(0.1 * samples, steps * devices + steps))


TINY = ["model.depth=18", "data.train_size=16", "data.val_size=16", "trainer.max_epochs=1", "hardware=cpu"]


def images(root, count):
    for split in ("train", "val"):
        for label in ("cat", "dog"):
            (root / split / label).mkdir(parents=True)
            for number in range(count // 2 if split == "train" else 2):
                Image.fromarray(np.full((20, 20, 3), number % 256, np.uint8)).save(
                    root / split / label / f"{number}.png"
                )
    return root


@pytest.mark.parametrize(
    "given, steps, said",
    [
        ([], 2, "64 leaves out 56 of 120 samples each epoch; trains with 60"),
        (["effective_batch_size=64"], 1, "64 leaves out 56 of 120 samples each epoch; 60 would leave out 0"),
        (["micro_batch_size=62"], 2, "trains with 60"),
        (["samples_per_epoch=128"], 2, None),  # the rest of an epoch is the next one's beginning
    ],
)
def test_120_images(command, tmp_path, given, steps, said):
    root = images(tmp_path / "images", 120)
    ended = command(
        train, "imagenet_resnet", *TINY, "data=imagenet", f"data.root={root}", f"run_dir={tmp_path / 'run'}", *given
    )  # fmt: skip
    assert ended.code == 0, ended.err[-3000:]
    assert ended.summary["steps"] == steps
    assert (said or "leaves out") in ended.out or said is None


LINES = ["hardware=cpu", "hardware.workers=0", "trainer.max_epochs=1", "logger=csv"]
SMALL = {
    "khmer_ocr": ["model=khmer_ocr_tiny"],
    "thai_ocr": ["model.channels=[8,16,32]", "model.blocks=[0,1,1]", "model.layers=1", "model.heads=2"],
}


@pytest.mark.parametrize("project, letters", [("khmer_ocr", "កខគឃ"), ("thai_ocr", "กขคง")])
def test_48_lines(tmp_path, project, letters):
    pytest.importorskip("paddle" if project == "thai_ocr" else "torch")
    draw, rows = np.random.default_rng(0), []
    for number in range(60):
        pixels = draw.integers(0, 255, (40, 120), dtype=np.uint8)
        Image.fromarray(pixels).save(tmp_path / f"{number}.png")
        rows.append(f"{number}.png\t{''.join(draw.choice(list(letters), 6))}")
    (tmp_path / "labels.tsv").write_text("file\ttext\n" + "\n".join(rows) + "\n", encoding="utf-8")
    process = start(
        f"{project}/train.py", f"data={project}_folder", f"data.root={tmp_path}", *LINES, *SMALL[project],
        f"run_dir={tmp_path / 'run'}",
    )  # fmt: skip
    out, err = process.communicate(timeout=300)
    assert process.returncode == 0, err[-3000:]
    summary = json.loads((tmp_path / "run" / "summary.json").read_text())
    seen = summary["plan"]["train_samples"]
    assert (
        30 <= seen < 60 and f"leaves out {seen} of {seen} samples each epoch; trains with {seen}" in out + err
    )
    assert summary["steps"] == 1
