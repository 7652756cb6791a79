"""Training on a folder of everything: no crash, and every file is trained on, or named with its reason, or counted."""

import io
import re

import numpy as np
import pytest
from PIL import Image

from shared.data.images import encode_jpeg
from tests.data.test_decoding import FILES, READ_CASES
from tests.data.test_kinds import NAMED


@pytest.fixture
def everything(tmp_path):
    """Each case under its own name and all files of tests/data/files, in one class; another class is whole."""
    root = tmp_path / "everything"
    for name in ("train/odd", "train/even", "val/odd", "val/even"):
        (root / name).mkdir(parents=True)
        for number in range(4):
            pixels = np.random.default_rng(number).integers(0, 255, (40, 50, 3), dtype=np.uint8)
            (root / name / f"good{number}.jpg").write_bytes(encode_jpeg(pixels))
    for path in FILES.iterdir():
        (root / "train" / "odd" / path.name).write_bytes(path.read_bytes())
    for case, (data, _) in NAMED.items():
        (root / "train" / "odd" / f"{case.replace(' ', '_')}.png").write_bytes(data)
    for mode in ("1", "L", "LA", "P", "RGBA", "I;16"):
        buffer = io.BytesIO()
        Image.new("RGB", (30, 20), "orange").convert(mode).save(buffer, "PNG")
        (root / "train" / "even" / f"{mode.replace(';', '_')}.png").write_bytes(buffer.getvalue())
    (root / "train" / "even" / "photo.heic").touch()
    (root / "train" / "even" / ".DS_Store").touch()
    if len(list((root / "train").glob("*/*"))) % 2:  # whole batches of two
        (root / "train" / "even" / "more.jpg").write_bytes(encode_jpeg(pixels))
    return root


@pytest.mark.parametrize("workers", [0, 2])
def test_every_file_is_accounted_for(tiny, everything, workers):
    unread, odd = set(NAMED), {name for name in READ_CASES if READ_CASES[name]}
    ended = tiny(
        "data=imagenet", f"data.root={everything}", "data.max_corrupt=100", "trainer.max_epochs=1",
        "trainer.limit_train_batches=1.0", "effective_batch_size=2", "optimizer.lr=1e-6", f"hardware.workers={workers}",
        "trainer.limit_val_batches=1.0",
    )  # fmt: skip
    assert ended.code == 0, ended.err[-3000:]
    text = (ended.run_dir / "train.log").read_text()
    skipped = re.findall(r"skipped \S+/([^/ ]+): (.+) \((\d+) unreadable", text)
    assert len(skipped) == len({name for name, _, _ in skipped})
    assert {name for name, _, _ in skipped} == {f"{case.replace(' ', '_')}.png" for case in unread} | {
        "jpeg2000_named.jpg"
    }
    for name, reason, _ in skipped:
        case = name.removesuffix(".png").replace("_", " ")
        assert re.search(NAMED[case][1] if case in NAMED else "JPEG 2000", reason), (name, reason)
    remarked = set(re.findall(r"/([^/ ]+): .+ \(odd files so far", text))
    assert remarked == odd | {"rotten.jpg", "I_16.png"}
    left_out = ended.summary["plan"]["warnings"]
    assert any(text.startswith("left out of train/: 2 .jp2, 1 .heic, 1 hidden (to use") for text in left_out)
    files = sum(1 for path in (everything / "train").rglob("*") if path.is_file())
    assert ended.summary["plan"]["train_samples"] == files - 4
