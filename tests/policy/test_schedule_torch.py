"""Schedules against torch's own, over thousands of steps."""

import warnings
from collections.abc import Callable

import pytest
import torch
from torch.optim import SGD, Optimizer, lr_scheduler

from shared.policy.schedule import Cosine, CosineRestarts, Linear, OneCycle
from shared.policy.schedule_base import Schedule

STEPS = 4000
PEAK = 0.05


def torch_lrs(build: Callable[[Optimizer], lr_scheduler.LRScheduler], steps: int = STEPS) -> list[float]:
    optimizer = SGD([torch.zeros(1, requires_grad=True)], lr=PEAK)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # SequentialLR calls a deprecated form of step
        scheduler = build(optimizer)
        lrs = []
        for _ in range(steps):
            lrs.append(optimizer.param_groups[0]["lr"])
            optimizer.step()
            scheduler.step()
    return lrs


def assert_same(schedule: Schedule, lrs: list[float], rel: float = 1e-8) -> None:
    assert [schedule.lr(step) for step in range(len(lrs))] == pytest.approx(lrs, rel=rel, abs=1e-12)


def after_warmup(steps: int, main: Callable[[Optimizer], lr_scheduler.LRScheduler]):
    def build(optimizer: Optimizer) -> lr_scheduler.SequentialLR:
        warmup = lr_scheduler.LinearLR(optimizer, start_factor=1 / (steps + 1), total_iters=steps)
        return lr_scheduler.SequentialLR(optimizer, [warmup, main(optimizer)], milestones=[steps])

    return build


def test_cosine():
    ours = Cosine(peak=PEAK, epochs=40, steps_per_epoch=100, eta_min=1e-5)
    theirs = torch_lrs(lambda o: lr_scheduler.CosineAnnealingLR(o, T_max=STEPS, eta_min=1e-5))
    assert_same(ours, theirs, rel=1e-6)  # theirs is a recurrence, and drifts


def test_cosine_after_warmup():
    ours = Cosine(peak=PEAK, epochs=40, steps_per_epoch=100, warmup_epochs=2.5, eta_min=1e-5)
    main = lambda o: lr_scheduler.CosineAnnealingLR(o, T_max=STEPS - 250, eta_min=1e-5)  # noqa: E731
    assert_same(ours, torch_lrs(after_warmup(250, main)), rel=1e-6)


@pytest.mark.parametrize("t_mult", [1, 2, 3])
def test_cosine_restarts(t_mult: int):
    ours = CosineRestarts(peak=PEAK, epochs=40, steps_per_epoch=100, t_0=3, t_mult=t_mult, eta_min=1e-5)
    assert_same(
        ours,
        torch_lrs(lambda o: lr_scheduler.CosineAnnealingWarmRestarts(o, 300, t_mult, eta_min=1e-5)),
    )


def test_cosine_restarts_stepped_once_an_epoch():
    ours = CosineRestarts(
        peak=PEAK, epochs=1000, steps_per_epoch=4, t_0=30, t_mult=2, eta_min=1e-5, interval="epoch"
    )
    theirs = torch_lrs(lambda o: lr_scheduler.CosineAnnealingWarmRestarts(o, 30, 2, eta_min=1e-5), 1000)
    assert_same(ours, [lr for lr in theirs for _ in range(4)])


def test_cosine_restarts_after_warmup():
    ours = CosineRestarts(peak=PEAK, epochs=40, steps_per_epoch=100, t_0=3, warmup_epochs=1.5, eta_min=1e-5)
    main = lambda o: lr_scheduler.CosineAnnealingWarmRestarts(o, 300, eta_min=1e-5)  # noqa: E731
    assert_same(ours, torch_lrs(after_warmup(150, main)))


@pytest.mark.parametrize("pct_start", [0.0, 0.1, 0.3, 0.55])
def test_one_cycle(pct_start: float):
    ours = OneCycle(peak=PEAK, epochs=40, steps_per_epoch=100, pct_start=pct_start)
    theirs = torch_lrs(
        lambda o: lr_scheduler.OneCycleLR(o, PEAK, total_steps=STEPS, pct_start=pct_start), STEPS - 1
    )
    assert_same(ours, theirs)


def test_linear_after_warmup():
    ours = Linear(peak=PEAK, epochs=40, steps_per_epoch=100, warmup_epochs=2)
    main = lambda o: lr_scheduler.LinearLR(o, 1.0, 0.0, total_iters=STEPS - 200)  # noqa: E731
    assert_same(ours, torch_lrs(after_warmup(200, main)))
