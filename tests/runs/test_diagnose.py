"""Diagnosis of the stories it was made for, and silence on healthy runs."""

import csv
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import nn

from shared.errors import UserError
from shared.runs.diagnosis.diagnose import as_json, as_text, check_run, diagnose
from shared.runs.diagnosis.finding import exit_code
from shared.runs.reading.readers import read_run

DATA = Path(__file__).parents[1] / "policy" / "tables"
LIBRARY = Path(__file__).resolve().parents[2] / "shared" / "runs" / "library"


def by_code(findings):
    return {finding.code: finding for finding in findings}


@pytest.fixture(scope="module")
def video(tmp_path_factory):
    """Fifteen checkpoints with the numbers of a real run: a stranger at epoch 7, NaN from 600 on."""
    folder = tmp_path_factory.mktemp("video")
    with (DATA / "video_lstm_checkpoints.csv").open() as file:
        for row in csv.DictReader(file):
            epoch, width = int(row["epoch"]), 8 if row["epoch"] == "7" else 16
            model = nn.ModuleDict(
                {"lstm": nn.LSTM(8, width, 3, bidirectional=True), "head": nn.Linear(2 * width, 5)}
            )
            optimizer = torch.optim.AdamW(model.parameters(), lr=float(row["learning_rate"]))
            if epoch >= 600:
                with torch.no_grad():
                    model["lstm"].weight_hh_l2_reverse[:2] = float("nan")
            numbers = {k: float(row[k]) for k in ("val_accuracy", "best_val_accuracy", "train_loss")}
            state = {"epoch": epoch, "model": model.state_dict(), "optimizer": optimizer.state_dict()}
            torch.save(state | numbers, folder / f"checkpoint_epoch_{epoch}.pt")
    return folder


def test_the_video_story_from_its_checkpoints_alone(video):
    findings = diagnose(video)
    codes = by_code(findings)
    weights = next(f for f in findings if f.code == "non_finite" and f.file.endswith(".pt"))
    assert weights.epoch == 600 and weights.file == "checkpoint_epoch_600.pt"
    assert "lstm.weight_hh_l2_reverse (32 of 1,024 non-finite)" in weights.message
    assert "checkpoint_epoch_500.pt (epoch 500) is the last good one" in weights.evidence
    assert any(
        f.code == "non_finite" and "train_loss is not finite from epoch 600" in f.message for f in findings
    )
    assert codes["metric_frozen"].epoch == 600 and "7.41 %" in codes["metric_frozen"].message
    assert codes["overfitting"].epoch == 33 and "96%" in codes["overfitting"].message
    assert codes["foreign_checkpoint"].epoch == 7
    assert codes["worse_than_trivial"].epoch == 7 and "ln(100)" in codes["worse_than_trivial"].message
    assert exit_code(findings) == 2
    assert "verdict" in as_json(findings) and "next:" in as_text(findings)


def test_bisection_reads_few_of_many(video, monkeypatch):
    from shared.runs.diagnosis import weights

    read = []
    real = weights.bad_tensors
    monkeypatch.setattr(weights, "bad_tensors", lambda c, **k: read.append(c.path) or real(c, **k))
    weights.check_weights(weights.read_rows(video))
    assert len(set(read)) <= 5


def test_one_bad_file(video):
    findings = diagnose(video / "checkpoint_epoch_700.pt")
    assert [f.code for f in findings] == ["non_finite"] and exit_code(findings) == 2
    assert diagnose(video / "checkpoint_epoch_33.pt") == []


def test_the_restart_of_the_imagenet_table():
    findings = diagnose(DATA / "imagenet_resnet50_run.csv")
    assert [f.code for f in findings] == ["lr_restart"]
    assert findings[0].epoch == 31 and "x340" in findings[0].message
    assert "69.07 % -> 48.55 %" in findings[0].message and exit_code(findings) == 1


KHMER = [(41, 3.48, 3.81, 110.20), (42, 3.44, 3.9, 105.1), (43, 3.40, 4.02, 102.82), (44, 3.36, 4.2, 101.3),
         (45, 3.33, 4.3, 99.0), (46, 3.31, 4.35, 97.40)]  # fmt: skip


def khmer_log(folder, copies):
    lines = [f"Epoch {e}/100 - train_loss: {t} - val_loss: {v} - CER: {c}%" for e, t, v, c in KHMER]
    (folder / "train.log").write_text("\n".join(line for line in lines for _ in range(copies)))
    return folder / "train.log"


def test_the_khmer_log(tmp_path):
    codes = by_code(diagnose(khmer_log(tmp_path, copies=2)))
    assert "empty output" in codes["worse_than_trivial"].message
    assert codes["confidence_vs_accuracy"].severity == "info"
    assert (
        "12 lines" not in codes["duplicate_log_lines"].message
        and codes["duplicate_log_lines"].severity == "warning"
    )
    assert "duplicate_log_lines" not in by_code(diagnose(khmer_log(tmp_path, copies=1)))


def run_of(tmp_path, header, rows, config=""):
    (tmp_path / "metrics.csv").write_text("\n".join([header, *(",".join(map(str, r)) for r in rows)]))
    (tmp_path / "config.yaml").write_text(config)
    return check_run(read_run(tmp_path))


def test_a_training_metric_that_is_always_zero(tmp_path):
    rows = [(e, 10.86 - e / 4, 0.0, 0.4925 - e / 400) for e in range(1, 21)]
    codes = by_code(run_of(tmp_path, "epoch,train/loss,train/acc,val/eer", rows))
    assert "train/acc is 0 in all 20 epochs" in codes["flat_zero_metric"].message


def test_an_unplanned_jump_is_told_from_a_restart(tmp_path):
    rows = [
        (e, 0.1 * 0.9**e if e < 20 else 0.1 * 0.9 ** (e - 12), 0.5 + e / 100 if e < 20 else 0.4)
        for e in range(1, 25)
    ]
    codes = by_code(run_of(tmp_path, "epoch,lr,val/acc", rows))
    assert codes["lr_jump_unplanned"].epoch == 20 and "lr_restart" not in codes


def test_throughput_that_halves(tmp_path):
    rows = [(e, 0.5 + e / 100, 400 if e < 15 else 180) for e in range(1, 31)]
    codes = by_code(run_of(tmp_path, "epoch,val/acc,time/samples_per_second", rows))
    assert "45%" in codes["throughput_drop"].message


def test_a_plateau_at_full_learning_rate(tmp_path):
    noise = np.random.default_rng(0).normal(0, 0.001, 60)
    rows = [(e, 0.1, 2.0 + noise[e - 1], 0.4 + min(e, 10) / 100 + noise[e - 1] / 10) for e in range(1, 61)]
    codes = by_code(run_of(tmp_path, "epoch,lr,train/loss,val/acc", rows))
    assert "plateau" in codes and "100% of its peak" in " ".join(codes["plateau"].evidence)


@pytest.mark.parametrize(
    ("config", "words"),
    [
        ("schedule: {_target_: x.Cosine, t_max: 50}\ntrainer: {max_epochs: 90}", "t_max=50"),
        ("model: {_target_: projects.v.BiLSTM}\nclip_norm: null", "clipping"),
        ("trainer: {precision: 16-true}", "gradient scaler"),
        ("nPerSpeaker: 2\nloss: aamsoftmax\nbatch_size: 200\nnClasses: 140", "never be filled"),
        ("nPerSpeaker: 2\nloss: aamsoftmax\nbatch_size: 100\nnClasses: 1211", "repeated"),
    ],
)
def test_config_smells(tmp_path, config, words):
    found = run_of(tmp_path, "epoch,val/acc", [(e, 0.1 * e) for e in range(1, 9)], config)
    assert [f.code for f in found] == ["config_smell"] and words in found[0].message


def test_our_own_cosine_may_end_before_the_run(tmp_path):
    config = "schedule: {_target_: shared.policy.schedule.Cosine, t_max: 10}\ntrainer: {max_epochs: 12}"
    assert run_of(tmp_path, "epoch,val/acc", [(e, 0.08 * e) for e in range(1, 13)], config) == []


@pytest.mark.parametrize(
    "file", sorted(LIBRARY.glob("made/*.csv")) + sorted(LIBRARY.glob("real/ffcv*.csv")), ids=lambda f: f.stem
)
def test_healthy_runs_raise_no_alarm(file):
    assert [f for f in diagnose(file) if f.severity != "info"] == []


def test_nothing_to_look_at_is_a_users_error(tmp_path):
    with pytest.raises(UserError):
        diagnose(tmp_path)
    with pytest.raises(UserError, match="no such"):
        diagnose(tmp_path / "nowhere")
