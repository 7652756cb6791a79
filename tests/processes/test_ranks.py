"""Real processes on imagenet_resnet's digits: two are as good as one, and the death of one is not that of the run."""

import json
import signal
import subprocess
import sys
import time

import psutil
import pytest
import torch

from tests.conftest import ROOT, TINY, rows

pytestmark = [pytest.mark.slow, pytest.mark.timeout(1800)]
SCRIPT = str(ROOT / "projects" / "imagenet_resnet" / "train.py")
TORCHRUN = [sys.executable, "-m", "torch.distributed.run", "--nproc-per-node=2"]
SETTINGS = [*TINY, "trainer.limit_train_batches=6", "trainer.limit_val_batches=1.0", "micro_batch_size=8"]
SETTINGS += ["trainer.log_every_n_steps=1"]
TOLERANCE = 1e-5  # of a loss: sums of floats in another order


def begin(folder, *settings, launcher=(sys.executable,)):
    command = [*launcher, SCRIPT, *SETTINGS, *settings, f"run_dir={folder}"]
    pipe = subprocess.PIPE
    return subprocess.Popen(command, stdout=pipe, stderr=pipe, text=True)


def train(folder, *settings, **launcher):
    process = begin(folder, *settings, **launcher)
    out, err = process.communicate()
    assert process.returncode == 0, out + err
    return out


def summary(folder):
    return json.loads((folder / "summary.json").read_text())


def same(one, other):
    """The metrics of two runs, and their final weights and statistics, within TOLERANCE."""
    for mine, theirs in zip(rows(one), rows(other), strict=True):
        for name in ("step/loss", "train/loss", "val/loss", "lr"):
            if mine[name]:
                assert float(mine[name]) == pytest.approx(float(theirs[name]), rel=TOLERANCE), name
    weights = [
        torch.load(each / "checkpoints/last.ckpt", weights_only=True)["state_dict"] for each in (one, other)
    ]
    gap = max((weights[0][name].double() - weights[1][name].double()).abs().max() for name in weights[0])
    print("largest difference of a weight or statistic:", float(gap))
    assert gap < 1e-3


def test_two_processes_are_as_good_as_one(tmp_path):
    """Started by Lightning; the same samples in micro batches of 8, on one process after each other, on two at once."""
    train(tmp_path / "one")
    train(tmp_path / "two", "trainer.devices=2")
    same(tmp_path / "one", tmp_path / "two")
    assert "8 x 1 accumulation x 2 devices" in summary(tmp_path / "two")["plan"]["effective_batch"]
    text = (tmp_path / "two" / "train.log").read_text()
    assert text.count("parameters ") == 1


def rank_one(folder):
    """The process of rank 1, once the run has saved its first epoch."""
    while not (folder / "metrics.csv").exists() or "val/loss" not in (folder / "metrics.csv").read_text():
        time.sleep(0.1)
    for process in psutil.process_iter(["cmdline", "environ"]):
        if (
            f"run_dir={folder}" in (process.info["cmdline"] or [])
            and (process.info["environ"] or {}).get("LOCAL_RANK") == "1"
        ):
            return process


@pytest.mark.parametrize("launcher", [[sys.executable], TORCHRUN], ids=["lightning", "torchrun"])
def test_the_death_of_one_ends_both_and_one_goes_on_alone(tmp_path, launcher):
    more = ["trainer.max_epochs=8"]
    process = begin(tmp_path / "run", *more, "trainer.devices=2", launcher=launcher)
    victim = rank_one(tmp_path / "run")
    killed = time.monotonic()
    victim.send_signal(signal.SIGKILL)
    out, err = process.communicate()
    took = time.monotonic() - killed
    print(f"ended {took:.1f} s after the kill\n{err}")
    assert (
        process.returncode != 0 and took < 120
    )  # seconds of a busy machine; docs/distributed.md has the times
    assert "error: " in err and "goes on from the last checkpoint" in err
    assert summary(tmp_path / "run")["status"] == "failed"
    assert not [
        p
        for p in psutil.process_iter(["cmdline"])
        if f"run_dir={tmp_path / 'run'}" in (p.info["cmdline"] or [])
    ]

    out = train(tmp_path / "run", *more)
    assert "2 -> 1 devices, now 16 = 8 x 2 accumulation x 1 device" in out
    train(tmp_path / "whole", *more)
    same(tmp_path / "whole", tmp_path / "run")


def test_ranks_agree_on_going_on_from_what_began_with_a_path(tmp_path):
    """Only rank 0 looks: the others, told of the checkpoint, must not take its weights alone."""
    train(tmp_path / "first")
    path = tmp_path / "first/checkpoints/best.ckpt"
    more = [f"resume={path}", "resume_mode=weights", "trainer.max_epochs=8", "trainer.devices=2"]
    process = begin(tmp_path / "run", *more, launcher=TORCHRUN)
    rank_one(tmp_path / "run")
    process.terminate()
    process.communicate()
    out = train(tmp_path / "run", *more, launcher=TORCHRUN)
    assert "goes on from where it is" in out and "resume=exact: on with epoch" in out
    assert summary(tmp_path / "run")["epochs"] == 8 and not (tmp_path / "run/earlier-1").exists()
    train(tmp_path / "whole", *more[:3])
    same(tmp_path / "whole", tmp_path / "run")
