"""The commands: training, the users' run, a NaN clip, evaluation with shuffled frames, hostile videos."""

import csv
import json
import re
from pathlib import Path

import pytest

from projects.video_lstm.videos.audit import audit
from projects.video_lstm.videos.motions import MOTIONS, places, write_motions
from projects.video_lstm.videos.splits import scan
from shared.command.cli import evaluate, train
from shared.config.root import ROOT
from shared.data.draws import keyed_generator
from shared.fit.build import build
from tests.conf.test_compose import compose
from tests.conftest import rows
from tests.projects.video_lstm.small_videos import write_hostile

TABLE = Path(__file__).resolve().parents[2] / "policy" / "tables" / "video_lstm_checkpoints.csv"
TINY = [
    "model.width=4",
    "model.spatial=16",
    "model.temporal=8",
    "logger=csv",
    "hardware=cpu",
    "data.frames=4",
]
TINY += ["trainer.limit_train_batches=2", "trainer.limit_val_batches=2", "effective_batch_size=8"]


@pytest.fixture(scope="module")
def place(tmp_path_factory):
    """One clip of each class, and a cache, for all runs of this file."""
    return tmp_path_factory.mktemp("video")


@pytest.fixture
def tiny(command, place, tmp_path):
    def run(*overrides):
        where = [f"data.root={place / 'motions'}", "data.generate.train=1", "data.generate.val=1"]
        where += [f"data.cache.folder={place / 'cache'}", f"run_dir={tmp_path / 'run'}"]
        return command(train, "video_lstm", *TINY, *where, *overrides)

    return run


def epoch_rows(run_dir):
    return [row for row in rows(run_dir) if row.get("val/top1")]


def test_the_users_run(tiny):
    """Their LR column, which was written after each epoch's scheduler step; and their ending, early."""
    settings = ["trainer.max_epochs=1000", "callbacks.early_stopping.patience=3", "monitor.name=val/macro_f1"]
    outcome = tiny("experiment=video_lstm_field_notes", *settings)
    assert outcome.code == 0 and outcome.summary["status"] == "early_stopped"
    found = {row["epoch"]: float(row["lr/after_epoch"]) for row in epoch_rows(outcome.run_dir)}
    with TABLE.open(newline="") as file:
        table = {row["epoch"]: row["learning_rate"] for row in csv.DictReader(file)}
    common = found.keys() & table.keys()
    assert common >= {"1", "2", "3", "4"}
    assert {epoch: f"{found[epoch]:.8f}" for epoch in common} == {epoch: table[epoch] for epoch in common}
    assert outcome.summary["checkpoints"].keys() >= {"best", "last", "milestone-1", "milestone-4"}


def test_the_users_run_takes_other_videos_as_its_head_says(place, tmp_path):
    head = (ROOT / "conf/experiment/video_lstm_field_notes.yaml").read_text()
    words = re.search(r"^# On videos of your own: (.*)$", head, re.MULTILINE)[1].split()
    write_motions(place / "motions", 1, 1)
    given = [word.replace("PATH", str(place / "motions")) for word in words]
    given += ["experiment=video_lstm_field_notes", f"run_dir={tmp_path}", f"data.cache.folder={tmp_path}"]
    cfg = compose("video_lstm", *given)
    data = build(cfg.data, "data")
    data.prepare()
    assert cfg.data.size == 112 and cfg.data.augment is None and len(data.train) == 100


def test_a_nan_clip_is_skipped_and_named(tiny):
    outcome = tiny("experiment=video_lstm_field_notes", "trainer.max_epochs=2", "callbacks.poison.steps=[2]")
    assert outcome.summary["status"] == "completed"
    event = next(event for event in outcome.summary["events"] if event["kind"].startswith("non_finite"))
    assert "clip" in event["message"] and "motions/train/" in event["message"]
    assert all(row["val/loss"] not in ("", "nan") for row in epoch_rows(outcome.run_dir))
    assert (outcome.run_dir / "nonfinite" / "step_2.pt").exists()


def test_nan_that_stays_stops_the_run(tiny):
    always = "callbacks.poison.steps=[" + ",".join(map(str, range(3, 40))) + "]"
    outcome = tiny("experiment=video_lstm_field_notes", "trainer.max_epochs=20", always)
    assert outcome.code == 1 and outcome.summary["status"] == "stopped_non_finite"


def test_training_reports_the_classes_and_evaluation_shuffles(tiny, command, tmp_path):
    outcome = tiny("trainer.max_epochs=1")
    assert {"classes.tsv", "confusion.png"} <= {path.name for path in outcome.run_dir.iterdir()}
    metrics = epoch_rows(outcome.run_dir)[0]
    assert metrics.keys() >= {"val/loss", "val/top1", "val/top5", "val/macro_f1", "train/top1_spatial"}
    checkpoint = f"checkpoint={outcome.run_dir / 'checkpoints' / 'last.ckpt'}"
    plain, mixed = (
        json.loads(command(evaluate, "video_lstm", checkpoint, *more).out.splitlines()[-1])
        for more in ([], ["shuffle_frames=true", f"report={tmp_path / 'report'}"])
    )
    assert plain["val/loss"] == pytest.approx(float(metrics["val/loss"]), rel=1e-4)
    assert mixed["val/loss"] != plain["val/loss"]
    assert (tmp_path / "report" / "classes.tsv").exists()


def test_a_folder_of_hostile_videos_is_audited_and_trained_on(command, tmp_path):
    count = write_hostile(tmp_path / "videos")
    found = audit(tmp_path / "videos", 1)
    assert count >= 30 and sum(found["videos"].values()) == count + 16
    assert found["problems"]["unreadable"] == 10 and found["problems"]["cut_short"] >= 2
    assert found["odd"]["turned"] == 3 and found["odd"]["variable_frame_rate"] == 2
    assert found["odd"]["suffix_of_another_container"] == 2 and found["odd"]["odd_size"] == 1
    where = [
        "data=video_lstm_folder",
        f"data.root={tmp_path / 'videos'}",
        f"data.cache.folder={tmp_path / 'cache'}",
    ]
    sizes = ["data.size=28", "data.stored_size=32", "data.stored_frames=8", "trainer.max_epochs=2"]
    limits = [
        "trainer.limit_train_batches=1.0",
        "trainer.limit_val_batches=1.0",
        f"run_dir={tmp_path / 'run'}",
    ]
    outcome = command(train, "video_lstm", *TINY, *where, *sizes, *limits)
    assert outcome.code == 0 and outcome.summary["status"] == "completed"
    assert (tmp_path / "run" / "train.log").read_text().count("skipped /") >= 5


def test_every_clip_visits_every_place_twice_whatever_its_motion():
    for motion in MOTIONS:
        angles = places(motion, keyed_generator(0, motion))
        turns = ((angles - angles[0]) / (2 * 3.14159265358979) * 16).round(6) % 16
        assert sorted(turns.tolist()) == sorted([*range(16)] * 2), motion


def test_the_embedded_set_is_whole(place):
    write_motions(place / "motions", 1, 1)
    train_split, val_split = scan(place / "motions" / "train"), scan(place / "motions" / "val")
    assert len(train_split.classes) == 100 and train_split.classes == val_split.classes
    assert len(train_split.paths) == len(val_split.paths) == 100
