"""Runs of the version before the modules moved to their rooms: resumed exactly, extended, evaluated.

Each was trained for two epochs; kept are its checkpoint after the first and all of its metrics.
"""

import gzip
import json
from pathlib import Path

import pytest

from projects.video_lstm.videos.motions import write_motions
from projects.voxceleb.generated.speech import write_speech
from shared.command.cli import evaluate, train
from tests.conftest import rows

OLD = Path(__file__).parent / "old_runs"
LINES = ["model.channels=[8,8,8]", "model.blocks=[0,1,1]", "model.layers=1", "model.heads=2", "data.count=32"]
LINES += ["data.val_count=16", "effective_batch_size=8"]
SETTINGS = {
    "imagenet_resnet": [
        *("optimizer=sgd", "optimizer.momentum=0", "optimizer.nesterov=false", "optimizer.lr=1e-30"),
        *("optimizer.weight_decay=0", "model.depth=18", "data.train_size=16", "data.val_size=16"),
        *("effective_batch_size=16", "trainer.limit_train_batches=3", "trainer.limit_val_batches=2"),
    ],
    "khmer_ocr": LINES,
    "thai_ocr": LINES,
    "video_lstm": [
        *("model.width=2", "model.spatial=8", "model.temporal=4", "model.layers=1", "data.frames=4"),
        *("data.size=28", "data.stored_size=32", "data.stored_frames=8", "trainer.limit_train_batches=2"),
        *("trainer.limit_val_batches=2", "effective_batch_size=8"),
        *("data.generate.train=1", "data.generate.val=1"),
    ],
    "voxceleb": [
        *("model=voxceleb_resnetse34v2_narrow", "model.n_mels=40", "model.embedding=16"),
        *("model.widths=[8,8,8,8]", "model.blocks=[1,1,1,1]", "data.max_frames=40"),
        *("effective_batch_size=3", "trainer.limit_train_batches=2", "+data.generate.speakers=6"),
        *("+data.generate.val_speakers=4", "+data.generate.utterances=4"),
        *("+data.generate.seconds=0.8", "+data.generate.trials=40"),
    ],
}
ROUGH = {"train/loss", "train/grad_norm", "val/loss"}  # sums whose order depends on the processor


@pytest.fixture
def old(tmp_path, request):
    """The run folder as it was after its first epoch, and the settings of its command."""
    project = request.param
    folder = tmp_path / "run"
    (folder / "checkpoints").mkdir(parents=True)
    packed = (OLD / project / "epoch_1.ckpt.gz").read_bytes()
    (folder / "checkpoints/last.ckpt").write_bytes(gzip.decompress(packed))
    (folder / "metrics.csv").write_bytes((OLD / project / "metrics.csv").read_bytes())

    data = []
    if project == "video_lstm":
        write_motions(tmp_path / "motions", train=1, val=1)
        data = [f"data.root={tmp_path / 'motions'}", f"data.cache.folder={tmp_path / 'cache'}"]
    if project == "voxceleb":
        write_speech(tmp_path / "speech", speakers=6, val_speakers=4, utterances=4, seconds=0.8, trials=40)
        data = [f"data.root={tmp_path / 'speech'}"]
    common = [f"run_dir={folder}", "hardware=cpu", "logger=csv", "hardware.workers=0", *data]
    return project, folder, [*SETTINGS[project], *common]


@pytest.mark.parametrize("old", SETTINGS, indirect=True)
def test_an_old_run_resumes_exactly(old, command):
    project, folder, settings = old
    done = command(train, project, *settings, "trainer.max_epochs=2")
    assert done.code == 0, done.err
    assert done.summary["resumed_from"] and done.summary["status"] == "completed"

    expected = {"run": OLD / project}["run"]
    before, after = rows(expected), rows(folder)
    assert len(after) == len(before)
    # Video encoders do not give the same bytes twice: there only the schedule is the same.
    measured = {name for name in before[0] if "/" in name and not name.startswith("lr/")}
    for was, now in zip(before, after, strict=True):
        for name in was.keys() - (measured if project == "video_lstm" else set()):
            expected = pytest.approx(float(was[name]), rel=1e-3) if name in ROUGH else float(was[name])
            assert float(now[name]) == expected, name


@pytest.mark.parametrize("old", SETTINGS, indirect=True)
def test_an_old_run_is_extended_and_evaluated(old, command):
    project, folder, settings = old
    more = command(train, project, *settings, "trainer.max_epochs=3", "resume_mode=extend")
    assert more.code == 0, more.err
    assert more.summary["epochs"] == 3

    packed = (OLD / project / "epoch_1.ckpt.gz").read_bytes()
    (folder / "old.ckpt").write_bytes(gzip.decompress(packed))
    places = [each for each in settings if each.startswith(("data.root=", "data.cache.folder="))]
    scored = command(evaluate, project, f"checkpoint={folder / 'old.ckpt'}", "hardware=cpu", *places)
    assert scored.code == 0, scored.err
    assert json.loads(scored.out.splitlines()[-1])["split"] == "val"
