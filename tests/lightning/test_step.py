"""Gradients of one batch: the same however it is cut and on however many ranks, and after running out of memory."""

import subprocess
import sys
from dataclasses import replace
from functools import partial

import lightning
import pytest
import torch

from shared.errors import UserError
from shared.lightning.callbacks.poison import Poison
from shared.policy.batching import Batching
from tests.fit.small_run import BATCH, STEPS, Regression, equal, events, fit, kinds, network

SGD = {"optimizer": partial(torch.optim.SGD, lr=0.05)}


class MemoryLimit(lightning.Callback):
    """Forward passes of more than `samples` samples run out of memory from step `since` on; on one rank, if given."""

    def __init__(self, samples, since=0, rank=None):
        self.samples, self.since, self.rank = samples, since, rank

    def on_train_start(self, trainer, task):
        def check(module, given):
            here = self.rank in (None, trainer.global_rank) and trainer.global_step >= self.since
            if task.training and here and len(given[0]) > self.samples:
                raise torch.OutOfMemoryError("out of memory (by the test)")

        task.model[-1].register_forward_pre_hook(check)


class CutAt(lightning.Callback):
    """Changes the micro batch before step `step`, with nobody running out of anything."""

    def __init__(self, step, micro):
        self.step, self.micro = step, micro

    def on_train_batch_start(self, trainer, task, batch, batch_idx):
        if trainer.global_step == self.step:
            task.rails.batching = replace(task.rails.batching, micro_limit=self.micro)


def plain():
    return Regression(network(norm=False, dropout=0.0))


def gap(one, other):
    return max((one.state_dict()[name] - tensor).abs().max() for name, tensor in other.state_dict().items())


@pytest.mark.parametrize("micro", [1, 3, 4, 5])
def test_accumulated_gradients_are_those_of_the_large_batch(tmp_path, micro):
    """8 samples in threes are 2 + 3 + 3: each counts the same, ragged micro batch or not."""
    whole = fit(tmp_path / "a", task=plain(), epochs=1, **SGD)
    parts = fit(tmp_path / "b", task=plain(), epochs=1, batching=Batching(BATCH, micro_limit=micro), **SGD)
    assert gap(whole, parts) < 1e-6
    start = plain()
    assert gap(whole, start) > 1e-2


def test_running_out_of_memory_loses_nothing(tmp_path):
    """The same as if the batch had been cut from the start: dropout's draws, running statistics, gradients."""
    task = fit(tmp_path / "a", callbacks=[MemoryLimit(5, since=3)])
    expected = fit(tmp_path / "b", callbacks=[CutAt(3, 4)])
    assert equal(task.state_dict(), expected.state_dict())
    assert task.global_step == 2 * STEPS
    (event,) = events(tmp_path / "a")
    assert (event["kind"], event["step"]) == ("out_of_memory", 3)
    assert event["message"].startswith("out of memory with 8 samples at once")
    assert event["message"].endswith("now 8 = 4 x 2 accumulation x 1 device")
    assert task.rails.batching.effective == BATCH


def test_the_micro_batch_is_halved_until_it_fits(tmp_path):
    task = fit(tmp_path, callbacks=[MemoryLimit(1)], epochs=1, task=plain())
    assert kinds(tmp_path) == ["out_of_memory"] * 3
    assert (task.rails.batching.micro, task.rails.batching.accumulation) == (1, 8)


def test_the_decision_survives_a_resume(tmp_path):
    whole = fit(tmp_path / "a", callbacks=[MemoryLimit(4, since=STEPS - 2)])
    checkpoint = tmp_path / "a" / "checkpoints" / "previous.ckpt"  # of epoch 1
    resumed = fit(tmp_path / "b", resume=checkpoint, probe_memory=True)
    assert kinds(tmp_path / "b") == [
        "resumed"
    ]  # it neither ran out of memory again nor looked for the limit again
    assert resumed.rails.batching.micro == 4
    assert equal(whole.state_dict(), resumed.state_dict())


def test_auto_finds_what_fits_and_leaves_no_trace(tmp_path):
    task = fit(tmp_path / "a", callbacks=[MemoryLimit(5)], probe_memory=True)
    expected = fit(tmp_path / "b", batching=Batching(BATCH, micro_limit=4))
    (event,) = events(tmp_path / "a")
    assert event["message"] == "micro_batch_size=auto: 8 = 4 x 2 accumulation x 1 device"
    assert task.rails.batching.micro == 4
    assert equal(task.state_dict(), expected.state_dict())


@pytest.mark.parametrize("probe", [True, False])
def test_too_little_memory_for_one_sample_is_the_users_to_mend(tmp_path, probe):
    with pytest.raises(UserError, match="micro_batch_size"):
        fit(tmp_path, callbacks=[MemoryLimit(0)], task=plain(), probe_memory=probe)


def test_a_loss_that_compares_samples_is_never_cut_for_want_of_memory(tmp_path):
    task = plain()
    task.compares_samples = True
    with pytest.raises(UserError, match=r"with 8 samples at once.* would change it \(micro_batch_size\)"):
        fit(tmp_path, callbacks=[MemoryLimit(5, since=3)], task=task)
    assert task.rails.batching.micro == BATCH and not events(tmp_path)


def test_other_errors_are_not_taken_for_a_lack_of_memory(tmp_path):
    task = plain()
    task.model[0] = torch.nn.Linear(5, 16)
    with pytest.raises(RuntimeError, match="shapes"):
        fit(tmp_path, task=task)


@pytest.mark.slow
def test_a_real_allocator_that_refuses(tmp_path):
    """Each sample takes 64 MB, the process may have room for six of them."""
    script = """
import resource, sys, torch
from tests.fit.small_run import Regression, events, fit, network

class Hungry(Regression):
    def loss(self, batch):
        loss, means = super().loss(batch)
        room = torch.ones(len(batch["x"]) * self.training, 2**24)
        return loss + 0 * room.numel(), means

    def on_train_start(self):
        used = 1024 * int(next(line for line in open("/proc/self/status") if line.startswith("VmSize")).split()[1])
        resource.setrlimit(resource.RLIMIT_AS, (used + 6 * 2**26 + 2**25, resource.RLIM_INFINITY))

task = fit(sys.argv[1], task=Hungry(network()), epochs=1)
print(task.rails.batching.micro, task.global_step)
"""
    command = [sys.executable, "-c", script, str(tmp_path)]
    found = subprocess.run(command, capture_output=True, text=True, check=True, timeout=120)
    assert found.stdout.split() == ["4", "6"], found.stderr
    assert events(tmp_path)[0]["kind"] == "out_of_memory"


TWO = {"trainer": {"strategy": "ddp_fork", "devices": 2}, **SGD}


class Keep(lightning.Callback):
    """Leaves the final weights of each rank in a file."""

    def __init__(self, folder):
        self.folder = folder

    def on_train_end(self, trainer, task):
        torch.save(task.state_dict(), self.folder / f"rank-{trainer.global_rank}.pt")


def two_ranks(folder, *callbacks, **settings):
    """The weights that two processes (gloo) arrive at; both must arrive at the same."""
    settings = {"task": plain(), "epochs": 1, **TWO, **settings}
    fit(folder, callbacks=[*callbacks, Keep(folder)], **settings)
    zero, one = (torch.load(folder / f"rank-{rank}.pt", weights_only=True) for rank in (0, 1))
    assert equal(zero, one)
    return zero


def test_two_ranks_with_accumulation_train_as_one_with_the_large_batch(tmp_path):
    one = fit(tmp_path / "one", task=plain(), epochs=1, **SGD).state_dict()
    two = two_ranks(tmp_path / "two", batching=Batching(BATCH, devices=2, micro_limit=2))
    assert max((one[name] - two[name]).abs().max() for name in one) < 1e-6


def test_batch_norm_has_the_statistics_of_all_ranks(tmp_path):
    normed = [Regression(network(norm=True, dropout=0.0)) for _ in range(2)]
    cut = {"batching": Batching(BATCH, micro_limit=2)}
    one = fit(tmp_path / "one", task=normed[0], epochs=1, **cut, **SGD).state_dict()
    two = two_ranks(tmp_path / "two", task=normed[1], batching=Batching(BATCH, devices=2, micro_limit=2))
    assert max((one[name] - two[name]).abs().max() for name in one) < 1e-5
    assert one["model.1.num_batches_tracked"] == STEPS * BATCH // 2


def test_when_one_rank_runs_out_of_memory_both_halve(tmp_path):
    expected = two_ranks(tmp_path / "a", batching=Batching(BATCH, devices=2, micro_limit=2))
    found = two_ranks(tmp_path / "b", MemoryLimit(3, rank=1), batching=Batching(BATCH, devices=2))
    assert equal(found, expected)
    assert kinds(tmp_path / "b") == ["out_of_memory"]


def test_a_batch_that_is_poisoned_on_one_rank_is_skipped_on_both(tmp_path):
    """Even if only that rank can know: here the loss looks away."""

    class Tolerant(Regression):
        def loss(self, batch):
            return super().loss({**batch, "x": batch["x"].nan_to_num()})

    class OnRankOne(Poison):
        def on_train_batch_start(self, trainer, task, batch, batch_idx):
            if trainer.global_rank == 1:
                super().on_train_batch_start(trainer, task, batch, batch_idx)

    tasks = [Tolerant(network(norm=False, dropout=0.0)) for _ in range(2)]
    batching = Batching(BATCH, devices=2)
    poisoned = two_ranks(tmp_path / "a", OnRankOne([STEPS], "x"), task=tasks[0], batching=batching)
    shorter = {**TWO["trainer"], "limit_train_batches": STEPS - 1}
    clean = two_ranks(tmp_path / "b", task=tasks[1], batching=batching, trainer=shorter)
    assert equal(poisoned, clean)
    assert kinds(tmp_path / "a") == ["non_finite_skip"]
    assert "values on another rank" in events(tmp_path / "a")[0]["message"]
