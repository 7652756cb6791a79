"""Training on a folder of every odd recording: no crash, each is read, or named once with its reason, or counted."""

import json
import re
import shutil

import pytest

from shared.command.cli import train
from tests.projects.voxceleb.sounds import encode
from tests.projects.voxceleb.test_formats import AS_READ, CODECS, REFUSED


@pytest.mark.parametrize("workers", [0, 2])
def test_every_file_is_accounted_for(command, speech, tmp_path, workers):
    root = tmp_path / "speech"
    shutil.copytree(speech, root)
    (root / "generated.json").unlink()
    names = {}
    for number, (case, (data, _)) in enumerate(REFUSED.items()):
        place = root / "train" / "id00000" / "odd" / f"{number}.wav"
        place.parent.mkdir(exist_ok=True)
        place.write_bytes(data)
        names[str(place)] = case
    for number, data in enumerate(AS_READ.values()):
        (root / "train" / "id00001" / f"{number}.wav").write_bytes(data)
    for codec in CODECS:
        encode(root / "train" / "id00002" / f"{codec}.WAV", codec)
    encode(root / "train" / "id00002" / "a.flac", "flac", container="flac")
    (root / "train" / "id00003" / "a.m4a").touch()
    (root / "train" / "id00003" / ".hidden.wav").touch()
    ended = command(
        train, "voxceleb", "hardware=cpu", f"hardware.workers={workers}", "logger=csv", "model.embedding=8",
        "data=voxceleb", f"data.root={root}", "data.train=train", "data.val=val", "data.trials=trials.txt",
        "data.max_frames=20", "data.augment=null", "data.n_per_speaker=1", "data.max_corrupt=100",
        "effective_batch_size=1", "trainer.max_epochs=1", "optimizer.lr=1e-6", f"run_dir={tmp_path / 'run'}",
    )  # fmt: skip
    assert ended.code == 0, ended.err[-3000:]
    skipped = re.findall(r"skipped (\S+?): (.+) \(\d+ unreadable", (ended.run_dir / "train.log").read_text())
    assert sorted(path for path, _ in skipped) == sorted(names)
    for path, reason in skipped:
        assert re.search(REFUSED[names[path]][1], f"{path}: {reason}"), (path, reason)
    plan = json.loads((ended.run_dir / "summary.json").read_text())["plan"]
    assert f"left out of {root / 'train'}: 1 .m4a, 1 hidden" in plan["warnings"]
    files = sum(path.is_file() for path in (root / "train").rglob("*"))
    assert plan["train_samples"] == files - 2
