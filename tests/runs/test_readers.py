"""Every kind of log a run may leave, written by the real writers where they are installed."""

import math
import os
import subprocess
import sys

import numpy as np
import pytest

from shared.errors import UserError
from shared.runs.reading.readers import read_run

EPOCHS = range(1, 11)


def check(run, epochs=10, lr=True):
    assert list(run.epochs) == list(range(1, epochs + 1))
    name, values = run.metric()
    np.testing.assert_allclose(values, [1 - 1 / (e + 1) for e in EPOCHS][:epochs], rtol=1e-5)
    if lr:
        np.testing.assert_allclose(run.lr, [0.1 / e for e in EPOCHS][:epochs], rtol=1e-5)
    return name


def test_our_own_folder(tmp_path):
    rows = ["step,epoch,lr,train/loss,val/top1"]
    for e in EPOCHS:
        rows += [f"{e * 2 - 1},{e},{0.1 / e},{2 / e},", f"{e * 2},{e},{0.1 / e},,{1 - 1 / (e + 1)}"]
    (tmp_path / "metrics.csv").write_text("\n".join(rows))
    (tmp_path / "config.yaml").write_text("monitor: val/top1\n")
    assert check(read_run(tmp_path)) == "val/top1"


def test_lightning_counts_from_zero(tmp_path):
    folder = tmp_path / "lightning_logs" / "version_3"
    folder.mkdir(parents=True)
    rows = ["epoch,lr-SGD,step,val_acc"]
    for e in EPOCHS:
        rows += [f"{e - 1},{0.1 / e},{e},", f"{e - 1},,{e},{1 - 1 / (e + 1)}"]
    (folder / "metrics.csv").write_text("\n".join(rows))
    run = read_run(tmp_path)
    check(run)
    assert any("from 0" in w for w in run.warnings) and any("version_3" in w for w in run.warnings)


def test_timm_summary(tmp_path):
    rows = ["epoch,train_loss,eval_loss,eval_top1,eval_top5,lr"]
    rows += [f"{e - 1},{3 / e},{2 / e},{100 * (1 - 1 / (e + 1))},{99},{0.1 / e}" for e in EPOCHS]
    (tmp_path / "summary.csv").write_text("\n".join(rows))
    run = read_run(tmp_path)
    assert check(run) == "eval_top1"
    assert any("percent" in w for w in run.warnings)


@pytest.mark.parametrize("with_epoch", [True, False])
def test_tensorboard(tmp_path, with_epoch):
    writer = pytest.importorskip("torch.utils.tensorboard").SummaryWriter(str(tmp_path))
    for e in EPOCHS:
        writer.add_scalar("train/loss", 2 / e, e * 50 - 10)
        writer.add_scalar("lr", 0.1 / e, e * 50)
        writer.add_scalar("val/top1", 1 - 1 / (e + 1), e * 50)
        if with_epoch:
            writer.add_scalar("epoch", e - 1, e * 50)
    writer.add_histogram("weights", np.arange(10), 500)
    writer.close()
    check(read_run(tmp_path))


def test_a_cut_off_event_file_gives_what_it_has(tmp_path):
    test_tensorboard(tmp_path, True)
    (file,) = tmp_path.glob("*tfevents*")
    file.write_bytes(file.read_bytes()[:1000])
    run = read_run(tmp_path)
    assert 3 <= len(run.epochs) < 10
    assert any("cut short" in w for w in run.warnings)


def test_wandb_offline(tmp_path):
    pytest.importorskip("wandb")
    write = f"""
import wandb
with wandb.init(mode="offline", dir={str(tmp_path)!r}, project="x", settings=wandb.Settings(console="off")) as live:
    for e in range(1, 11):
        live.log({{"epoch": e, "lr": 0.1 / e, "val/top1": 1 - 1 / (e + 1), "note": "x" * 9000}})
"""
    subprocess.run(
        [sys.executable, "-c", write], check=True, capture_output=True, timeout=120
    )  # flushed when it ends
    check(read_run(tmp_path))


def test_plain_text(tmp_path):
    lines = ["2026-11-01 10:00:00 INFO starting, batch size: 96"]
    for e in EPOCHS:
        lines += [f"10:{e:02d}:00 Epoch [{e}/10] lr: {0.1 / e:.6g} train loss: {2 / e:.4f}"] * 2
        lines += [f"Val Accuracy: {100 - 100 / (e + 1):.5f} % time=3.2s"]
    (tmp_path / "train.log").write_text("\n".join(lines))
    assert check(read_run(tmp_path)) == "val/accuracy"


def test_json_lines(tmp_path):
    lines = [
        f'{{"epoch": {e - 1}, "train_lr": {0.1 / e}, "test_acc1": {100 - 100 / (e + 1)}}}' for e in EPOCHS
    ]
    (tmp_path / "log.txt").write_text("\n".join(lines))
    check(read_run(tmp_path))


def test_own_pattern(tmp_path):
    (tmp_path / "x.log").write_text("\n".join(f"#{e} -> {1 - 1 / (e + 1)}" for e in EPOCHS))
    check(read_run(tmp_path / "x.log", r"#(?P<epoch>\d+) -> (?P<acc>\S+)"), lr=False)
    with pytest.raises(UserError, match="regular expression"):
        read_run(tmp_path / "x.log", "(")


@pytest.mark.parametrize(
    ("encode", "delimiter", "comma"),
    [("utf-8", ",", "."), ("utf-16", ",", "."), ("utf-8-sig", ";", ","), ("latin-1", "\t", ".")],
)
def test_dialects(tmp_path, encode, delimiter, comma):
    rows = [("epoch", "lr", "val_acc", "größe")]
    rows += [(str(e), f"{0.1 / e:.8f}", f"{1 - 1 / (e + 1):.8f}", "ä") for e in EPOCHS]
    text = "\r\n".join(delimiter.join(c.replace(".", comma) for c in row) for row in rows)
    (tmp_path / "r.csv").write_bytes(text.encode(encode))
    check(read_run(tmp_path / "r.csv"))


def write(tmp_path, epochs, values):
    text = "\n".join(f"{e},{v},{0.1}" for e, v in zip(epochs, values, strict=True))
    (tmp_path / "r.csv").write_text("epoch,val_acc,lr\n" + text)
    return read_run(tmp_path / "r.csv")


def test_resumed_epochs_replace_the_earlier_ones(tmp_path):
    run = write(tmp_path, [1, 2, 3, 4, 3, 4, 5], [0.1, 0.2, 0.3, 0.4, 0.33, 0.44, 0.55])
    np.testing.assert_allclose(run.columns["val_acc"], [0.1, 0.2, 0.33, 0.44, 0.55])
    assert any("again" in w for w in run.warnings)


def test_renumbered_epochs_go_on_when_the_metric_does(tmp_path):
    run = write(tmp_path, [1, 2, 3, 1, 2], [0.1, 0.5, 0.6, 0.62, 0.65])
    assert list(run.epochs) == [1, 2, 3, 4, 5]
    run = write(tmp_path, [1, 2, 3, 1, 2], [0.1, 0.5, 0.6, 0.11, 0.48])
    np.testing.assert_allclose(run.columns["val_acc"], [0.11, 0.48])


@pytest.mark.parametrize(
    ("name", "content"),
    [
        ("a.csv", b""),
        ("a.csv", b"\n\n\n"),
        ("a.csv", b"epoch,val_acc\n"),
        ("a.csv", b"epoch,val_acc\nx,y\n"),
        ("a.csv", bytes(range(256)) * 50),
        ("a.csv", b"epoch,val_acc\n" + b"nan,nan\n" * 5),
        ("a.log", b"\x00" * 5000),
        ("a.log", b"hello world\n" * 50),
        ("a.wandb", b"junk" * 99),
        ("events.out.tfevents.1", b"junk" * 99),
        ("events.out.tfevents.1", b"\xff" * 99),
        ("log.txt", b"{" * 100_000),
    ],
)
def test_no_log_is_a_users_error(tmp_path, name, content):
    (tmp_path / name).write_bytes(content)
    with pytest.raises(UserError):
        read_run(tmp_path / name)


def test_folders_without_end(tmp_path):
    (tmp_path / "loop").symlink_to(tmp_path, target_is_directory=True)
    (tmp_path / "gone.csv").symlink_to(tmp_path / "nowhere")
    os.mkfifo(tmp_path / "metrics.csv")
    with pytest.raises(UserError, match="no training log"):
        read_run(tmp_path)


def test_a_percent_error_rate_above_one_hundred(tmp_path):
    (tmp_path / "r.csv").write_text("epoch,val_cer\n41,110.20\n42,102.82\n43,97.40\n")
    run = read_run(tmp_path / "r.csv")
    np.testing.assert_allclose(run.columns["val_cer"], [1.1020, 1.0282, 0.9740])
    assert run.mode("val_cer") == "min" and math.isclose(run.epochs[0], 41)
