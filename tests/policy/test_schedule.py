"""Schedules: the two recorded runs to their last digit, and what must hold for any setting."""

import csv
import math
import re
from pathlib import Path

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from shared.policy.schedule import Constant, Cosine, CosineRestarts, Linear, OneCycle
from shared.policy.schedule_base import Schedule

TABLES = Path(__file__).parent / "tables"


def read(name: str) -> list[dict[str, str]]:
    with (TABLES / name).open() as file:
        return list(csv.DictReader(file))


def resnet50_run(**changes: object) -> CosineRestarts:
    settings = {"peak": 0.05, "epochs": 90, "steps_per_epoch": 10, "t_0": 30, "eta_min": 1e-5}
    return CosineRestarts(**{**settings, "interval": "epoch", **changes})


def test_resnet50_table_holds_the_lr_used_in_each_epoch():
    schedule = resnet50_run(steps_per_epoch=5005)
    for row in read("imagenet_resnet50_run.csv"):
        first = (int(row["epoch"]) - 1) * 5005
        assert {f"{schedule.lr(first + i):.6f}" for i in (0, 1, 5004)} == {row["learning_rate"]}


def test_video_table_holds_the_lr_logged_after_the_epochs_scheduler_step():
    schedule = Cosine(peak=1e-3, eta_min=1e-5, epochs=800, steps_per_epoch=300, t_max=1000, interval="epoch")
    for row in read("video_lstm_checkpoints.csv"):
        after = int(row["epoch"]) * 300  # the first step of the epoch that follows
        assert f"{schedule.lr(after):.8f}" == row["learning_rate"]


def test_restarts_are_announced_in_words():
    schedule = resnet50_run()
    assert schedule.restarts(900) == [300, 600]
    assert schedule.describe(900) == (
        "cosine with warm restarts: LR 0.05 -> 1e-05 every 30 epochs; "
        "LR restarts at epochs 31, 61 (x340 each)"
    )
    assert schedule.describe(310).endswith("LR restarts at epoch 31 (x340)")
    assert schedule.describe(300).endswith("no restart in this run")
    assert resnet50_run(epochs=900).describe(9000).endswith("121, 151 and 24 more times (x340 each)")
    doubling = resnet50_run(t_0=10, t_mult=2, warmup_epochs=5).describe(900)
    assert doubling == (
        "linear warm-up over 5 epochs, then cosine with warm restarts: LR 0.05 -> 1e-05 in cycles of "
        "10 epochs, each 2 times longer; LR restarts at epochs 16, 36, 76 (x41, x157, x574)"
    )


@pytest.mark.parametrize(
    ("schedule", "words"),
    [
        (Constant(peak=0.1, epochs=2, steps_per_epoch=4), "constant LR 0.1"),
        (
            Linear(peak=1.7, epochs=16, steps_per_epoch=4, warmup_epochs=2),
            "linear warm-up over 2 epochs, then linear: LR 1.7 -> 0 at the end of epoch 16",
        ),
        (
            Cosine(peak=1e-3, epochs=8, steps_per_epoch=4, t_max=6, eta_min=1e-5),
            "cosine: LR 0.001 -> 1e-05 at the end of epoch 6",
        ),
        (
            OneCycle(peak=0.5, epochs=10, steps_per_epoch=4),
            "one cycle: LR 0.02 -> 0.5 over 3 epochs, then -> 2e-06 at the end of epoch 10",
        ),
    ],
)
def test_single_cycle_words(schedule: Schedule, words: str):
    assert schedule.describe(schedule.total_steps) == words
    assert schedule.restarts(schedule.total_steps) == []
    assert schedule.mid_cycle_warning(schedule.total_steps) is None


def test_cosine_holds_eta_min_where_torch_would_rise_again():
    schedule = Cosine(peak=0.05, epochs=60, steps_per_epoch=10, t_max=30, eta_min=1e-5)
    assert {schedule.lr(step) for step in (300, 301, 450, 600)} == {1e-5}


def test_linear_ends_near_zero():
    schedule = Linear(peak=1.7, epochs=16, steps_per_epoch=100, warmup_epochs=2)
    assert schedule.lr(0) == pytest.approx(1.7 / 201)
    assert schedule.lr(200) == 1.7
    assert 0 < schedule.lr(1599) <= 1.7 / 1400 * 1.001
    assert schedule.lr(1600) == 0


def test_mid_cycle_warning_says_where_and_what_to_set():
    warning = resnet50_run(epochs=100).mid_cycle_warning(1000)
    assert warning == (
        "the run ends in the middle of cycle 4, after 10 of its 30 epochs, at LR 0.0397; "
        "set trainer.max_epochs=90 or trainer.max_epochs=120 or schedule.t_0=25 or schedule.t_0=100"
    )
    by_steps = resnet50_run(epochs=100).mid_cycle_warning(333)
    assert by_steps is not None and "trainer.max_steps=300 or trainer.max_steps=600" in by_steps
    video = Cosine(peak=1e-3, epochs=800, steps_per_epoch=3, t_max=1000).mid_cycle_warning(2400)
    assert video is not None and video.endswith("set trainer.max_epochs=1000 or schedule.t_max=800")


@pytest.mark.parametrize(
    ("field", "changes"),
    [
        ("peak", {"peak": 0.0}),
        ("peak", {"peak": math.nan}),
        ("epochs", {"epochs": 0}),
        ("steps_per_epoch", {"steps_per_epoch": 0}),
        ("interval", {"interval": "batch"}),
        ("warmup_epochs", {"warmup_epochs": -1}),
        ("warmup_epochs", {"warmup_epochs": 0.5}),
        ("eta_min", {"eta_min": 0.06}),
        ("eta_min", {"eta_min": -1e-9}),
        ("t_0", {"t_0": 0}),
        ("t_0", {"t_0": 2.5}),
        ("t_0", {"t_0": 0.01, "interval": "step"}),
        ("t_mult", {"t_mult": 0}),
        ("t_mult", {"t_mult": 1.5}),
    ],
)
def test_a_wrong_field_is_named(field: str, changes: dict[str, object]):
    with pytest.raises(ValueError, match=f"^{field} must"):
        resnet50_run(**changes)


def test_wrong_fields_of_the_other_schedules_are_named():
    run = {"peak": 0.1, "epochs": 10, "steps_per_epoch": 5}
    for build, field, value in [
        (Cosine, "t_max", 0),
        (OneCycle, "warmup_epochs", 1),
        (OneCycle, "pct_start", 1.0),
        (OneCycle, "div_factor", 0.5),
        (OneCycle, "final_div_factor", 0),
    ]:
        with pytest.raises(ValueError, match=f"^{field} must"):
            build(**run, **{field: value})


runs = st.fixed_dictionaries(
    {
        "peak": st.floats(1e-6, 10),
        "epochs": st.integers(1, 50),
        "steps_per_epoch": st.integers(1, 40),
        "interval": st.sampled_from(["step", "epoch"]),
    }
)
warmups = st.integers(0, 8)


@st.composite
def restarting(draw: st.DrawFn) -> CosineRestarts:
    run = draw(runs)
    t_0 = draw(st.integers(1, 20) if run["interval"] == "epoch" else st.floats(0.2, 20))
    assume(t_0 * run["steps_per_epoch"] >= 1)
    return CosineRestarts(
        **run, t_0=t_0, t_mult=draw(st.integers(1, 3)), warmup_epochs=draw(warmups), eta_min=run["peak"] / 1e4
    )


@st.composite
def any_schedule(draw: st.DrawFn) -> Schedule:
    kind = draw(st.sampled_from([Constant, Linear, Cosine, OneCycle, CosineRestarts]))
    if kind is CosineRestarts:
        return draw(restarting())
    return kind(**draw(runs), **({} if kind is OneCycle else {"warmup_epochs": draw(warmups)}))


@given(any_schedule())
def test_lr_stays_between_zero_and_the_peak_and_progress_below_one(schedule: Schedule):
    for step in range(schedule.total_steps + 1):
        assert 0 <= schedule.lr(step) <= schedule.peak * (1 + 1e-12)
        assert 0 <= schedule.cycle_progress(step) < 1
        start, end = schedule.cycle_span(step)
        assert start <= min(step, end - 1) < end
    assert all(schedule.lr(step) > 0 for step in range(schedule.total_steps))


@given(any_schedule())
def test_interval_epoch_holds_the_lr_within_each_epoch(schedule: Schedule):
    assume(schedule.interval == "epoch")
    per_epoch = schedule.steps_per_epoch
    for step in range(schedule.total_steps):
        assert schedule.lr(step) == schedule.lr(step // per_epoch * per_epoch)


@given(restarting())
def test_cycles_partition_the_run_at_its_restarts(schedule: CosineRestarts):
    restarts = schedule.restarts(schedule.total_steps)
    cycles = [schedule.cycle(step) for step in range(schedule.total_steps)]
    assert cycles[0] == 1
    assert [i for i in range(1, len(cycles)) if cycles[i] != cycles[i - 1]] == restarts
    for step in restarts:
        assert schedule.lr(step) == pytest.approx(schedule.peak)
        assert schedule.cycle_progress(step) == 0
        assert schedule.cycle_span(step - 1)[1] == schedule.cycle_span(step)[0] == step


@given(any_schedule())
def test_whatever_the_warning_proposes_ends_on_a_cycle(schedule: Schedule):
    warning = schedule.mid_cycle_warning(schedule.total_steps)
    for name, value in re.findall(r"\w+\.(\w+)=([\d.e+]+)", warning or ""):
        field = "epochs" if name == "max_epochs" else name
        number = int(value) if field == "epochs" else float(value)
        changed = type(schedule)(**{**schedule.__dict__, field: number})
        assert changed.mid_cycle_warning(changed.total_steps) is None
