"""The contracts of a run: its folder, its summary, its last line, its exit code."""

import json
import signal
import time
from pathlib import Path

import pytest
import torch
import yaml

from shared.command.cli import train
from tests.conftest import TINY, rows, start

KEYS = {
    "project",
    "status",
    "monitor",
    "epochs",
    "steps",
    "samples_per_second",
    "seconds",
    "restarts",
    "events",
}
KEYS |= {"checkpoints", "seed", "git_commit", "versions", "resumed_from", "parameters", "plan"}


def test_a_run_explains_itself(tiny):
    outcome = tiny(
        "schedule=cosine_restarts", "schedule.t_0=1", "schedule.eta_min=1e-4", "logger=tensorboard"
    )
    assert outcome.code == 0, outcome.err
    assert outcome.out.splitlines()[-1] == f"run: {outcome.run_dir}"
    summary = outcome.summary
    assert summary.keys() >= KEYS
    assert (summary["status"], summary["epochs"], summary["steps"]) == ("completed", 2, 6)
    assert summary["monitor"]["name"] == "val/top1"
    assert summary["monitor"]["best"] == max(float(row["val/top1"]) for row in rows(outcome.run_dir))
    assert summary["restarts"][0]["epoch"] == 2
    assert "LR restarts at epoch 2" in summary["plan"]["schedule"]
    assert [event["kind"] for event in summary["events"]] == ["restart_ahead", "restart"]
    config = yaml.safe_load((outcome.run_dir / "config.yaml").read_text())
    assert config["schedule"]["t_0"] == 1 and config["run_dir"] == str(outcome.run_dir)
    assert (outcome.run_dir / "report.png").stat().st_size > 10_000
    assert list((outcome.run_dir / "tensorboard").glob("events.*"))
    for name in ("best", "last"):
        assert torch.load(summary["checkpoints"][name], weights_only=True)["state_dict"]


def test_metrics_hold_one_row_a_logged_step_and_the_lr_that_was_used(tiny):
    outcome = tiny("trainer.log_every_n_steps=1", "schedule=linear", "optimizer.lr=0.06")
    found = rows(outcome.run_dir)
    assert list(found[0])[:3] == ["step", "epoch", "lr"]
    steps = [row for row in found if row["step/loss"]]
    assert [int(row["step"]) for row in steps] == [1, 2, 3, 4, 5, 6]
    assert [float(row["lr"]) for row in steps] == pytest.approx([0.06, 0.05, 0.04, 0.03, 0.02, 0.01])
    epochs = [row for row in found if row["val/top1"]]
    assert [row["epoch"] for row in epochs] == ["1", "2"]
    mean = sum(float(row["step/loss"]) for row in steps[:3]) / 3
    assert float(epochs[0]["train/loss"]) == pytest.approx(mean, rel=1e-5)


def test_train_log_has_each_line_once_and_the_frameworks_lines(tiny):
    outcome = tiny()
    lines = (outcome.run_dir / "train.log").read_text().splitlines()
    assert len(lines) == len(set(lines))
    assert sum("Trainer.fit` stopped" in line for line in lines) == 1
    assert sum("epoch 1/2" in line for line in lines) == 1
    assert outcome.out.count("epoch 1/2") == 1


def test_one_seed_gives_identical_metrics_whatever_the_workers(command, tmp_path):
    found = []
    for workers in (0, 1, 2):
        folder = tmp_path / f"workers-{workers}"
        settings = [*TINY, f"run_dir={folder}", f"hardware.workers={workers}", "trainer.log_every_n_steps=1"]
        assert command(train, "imagenet_resnet", *settings).code == 0
        found.append(rows(folder))
    assert found[0] == found[1] == found[2]
    assert len(found[0]) == 8


def test_another_seed_gives_other_metrics(command, tmp_path):
    for seed in (1, 2):
        command(train, "imagenet_resnet", *TINY, f"run_dir={tmp_path / str(seed)}", f"seed={seed}")
    assert rows(tmp_path / "1") != rows(tmp_path / "2")


def test_best_and_last_share_one_file_when_the_last_epoch_is_the_best(tiny):
    checkpoints = tiny("trainer.max_epochs=1").run_dir / "checkpoints"
    assert (checkpoints / "best.ckpt").samefile(checkpoints / "last.ckpt")
    assert not list(checkpoints.glob(".*"))


def test_last_is_the_last_and_best_the_best(tiny):
    outcome = tiny("trainer.max_epochs=3", "optimizer.lr=1.0")
    best, last = (
        torch.load(outcome.summary["checkpoints"][name], weights_only=True)["trainyard"]["epoch"]
        for name in ("best", "last")
    )
    assert (best, last) == (outcome.summary["monitor"]["best_epoch"], 3)


@pytest.mark.parametrize(("number", "code"), [(signal.SIGINT, 130), (signal.SIGTERM, 143)])
def test_one_signal_saves_and_ends_the_run(number, code, tmp_path: Path):
    settings = [*TINY, f"run_dir={tmp_path / 'run'}", "trainer.max_epochs=500"]
    process = start("imagenet_resnet/train.py", *settings)
    metrics = tmp_path / "run" / "metrics.csv"
    deadline = time.monotonic() + 120
    while not metrics.exists() and process.poll() is None and time.monotonic() < deadline:
        time.sleep(0.1)
    process.send_signal(number)
    out, err = process.communicate(timeout=60)
    assert process.returncode == code, out + err
    summary = json.loads((tmp_path / "run" / "summary.json").read_text())
    assert summary["status"] == "interrupted"
    saved = torch.load(summary["checkpoints"]["last"], weights_only=True)["trainyard"]
    assert saved["step"] == summary["steps"] > 0
    assert out.splitlines()[-1] == f"run: {tmp_path / 'run'}"
    assert "Traceback" not in err


def test_validation_every_other_epoch(tiny):
    found = rows(tiny("trainer.max_epochs=4", "trainer.check_val_every_n_epoch=2").run_dir)
    assert [bool(row["val/top1"]) for row in found if row["train/loss"]] == [False, True, False, True]


def test_no_least_number_of_epochs(tiny):
    outcome = tiny("trainer.min_epochs=null", "callbacks.early_stopping.patience=1", "optimizer.lr=1e-9")
    assert outcome.code == 0, outcome.err
