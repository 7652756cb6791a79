"""Shares of the weights on two processes (gloo): they train as one process does, and leave checkpoints like any."""

import ast
import subprocess
import sys
from functools import partial
from pathlib import Path

import lightning
import pytest
import torch

from shared.lightning.fsdp import FSDP
from shared.policy.batching import Batching
from tests.fit.small_run import BATCH, Regression, fit, network

# With Adam, a bias before BatchNorm, whose gradient is 0 but for rounding, would go its own way.
SGD = {"optimizer": partial(torch.optim.SGD, lr=0.05, momentum=0.9), "clip_norm": 0.5}


def two(folder, **settings):
    """Train on two ranks, real processes: they leave what they did on the disk."""
    torchrun = [sys.executable, "-m", "torch.distributed.run", "--nproc-per-node=2", "--standalone"]
    command = [*torchrun, "-m", "tests.lightning.test_fsdp", str(folder), repr(settings)]
    done = subprocess.run(command, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    return saved(folder)


class StopAfter(lightning.Callback):
    def __init__(self, epochs):
        self.epochs = epochs

    def on_train_epoch_end(self, trainer, task):
        trainer.should_stop = trainer.current_epoch + 1 == self.epochs


def rank_of_two(folder, stop_after=None, **settings):
    batching, trainer = Batching(BATCH, devices=2, micro_limit=2), {"strategy": FSDP(), "devices": 2}
    fit(
        folder,
        task=task(),
        batching=batching,
        trainer=trainer,
        callbacks=[StopAfter(stop_after)],
        **SGD,
        **settings,
    )


def one(folder, **settings):
    fit(folder, task=task(), batching=Batching(BATCH, micro_limit=2), **SGD, **settings)
    return saved(folder)


def task():
    return Regression(network(norm=True, dropout=0.0))


def saved(folder):
    return torch.load(folder / "checkpoints" / "last.ckpt", weights_only=True)


def gap(a, b):
    return max((a["state_dict"][name] - b["state_dict"][name]).abs().max() for name in a["state_dict"])


def test_it_trains_as_one_process_does(tmp_path):
    alone, shared = one(tmp_path / "one"), two(tmp_path / "two")
    assert gap(alone, shared) < 1e-5
    moments = [each["optimizer_states"][0]["state"] for each in (alone, shared)]
    for number, moment in moments[0].items():
        for name, value in moment.items():
            torch.testing.assert_close(moments[1][number][name], value, atol=1e-5, rtol=1e-4)


@pytest.mark.slow
@pytest.mark.parametrize("resumed", [one, two])
def test_it_goes_on_on_one_rank_or_on_two(tmp_path, resumed):
    whole = one(tmp_path / "whole", epochs=4)
    two(tmp_path / "run", epochs=4, stop_after=2)
    last = tmp_path / "run" / "checkpoints" / "last.ckpt"
    assert gap(resumed(tmp_path / "run", epochs=4, resume=str(last)), whole) < 1e-5


if __name__ == "__main__":
    rank_of_two(Path(sys.argv[1]), **ast.literal_eval(sys.argv[2]))
