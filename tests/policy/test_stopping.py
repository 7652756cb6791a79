"""Restart-aware patience: the recorded runs replayed, and its relation to plain patience."""

import csv
import json
import math
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from shared.policy.schedule import Cosine, CosineRestarts
from shared.policy.schedule_base import Schedule
from shared.policy.stopping import Decision, Epoch, RestartAwarePatience

TABLES = Path(__file__).parent / "tables"


def restarts_every(t_0: int, epochs: int) -> CosineRestarts:
    return CosineRestarts(
        peak=0.05, eta_min=1e-5, epochs=epochs, steps_per_epoch=1, t_0=t_0, interval="epoch"
    )


def replay(policy: RestartAwarePatience, schedule: Schedule, values: list[float]) -> list[Decision]:
    """Decisions up to the one that stops the run."""
    decisions = []
    for number, value in enumerate(values, start=1):
        decisions.append(policy.observe(Epoch.of(schedule, number, schedule.total_steps), value))
        if decisions[-1].stop:
            break
    return decisions


def plain_stop(values: list[float], patience: int, direction: str, min_delta: float, min_epochs: int) -> int:
    """Epoch at which plain patience stops, 0 if never: the definition, not an algorithm."""
    for epoch in range(1, len(values) + 1):
        best, best_epoch = None, 0
        for i, value in enumerate(values[:epoch], start=1):
            gain = math.inf if best is None else (value - best if direction == "max" else best - value)
            if math.isfinite(value) and (best is None or gain > min_delta):
                best, best_epoch = value, i
        if epoch >= min_epochs and epoch - best_epoch >= patience:
            return epoch
    return 0


def resnet50_values() -> list[float]:
    """The recorded 31 epochs, then a recovery that passes the old peak only at epoch 54."""
    with (TABLES / "imagenet_resnet50_run.csv").open() as file:
        recorded = [float(row["test_accuracy_percent"]) / 100 for row in csv.DictReader(file)]
    peak = recorded[28]
    recovery = [0.4855 + (peak - 0.001 - 0.4855) * (e - 31) / 22 for e in range(32, 54)]
    return recorded + recovery + [peak + 0.003 * (e - 53) for e in range(54, 61)]


def test_the_recorded_restart_is_survived_and_the_reason_given():
    values = resnet50_values()
    assert plain_stop(values, 15, "max", 0, 0) == 44
    decisions = replay(RestartAwarePatience(15, "max"), restarts_every(30, 60), values)
    assert len(decisions) == 60 and not decisions[-1].stop
    assert decisions[53].is_best and [e for e in range(31, 61) if decisions[e - 1].paused] == [*range(31, 54)]
    assert decisions[43].waited == 1
    assert decisions[43].reason == (
        "cycle 2: patience pauses until LR 0.0302 is back at 0.0005562, where the best was reached "
        "(best 0.6907 at epoch 29); plain patience 15 would have stopped the run"
    )


def test_a_cycle_without_gain_is_charged_at_its_end():
    values = [*resnet50_values()[:31], *[0.6] * 60]
    decisions = replay(RestartAwarePatience(15, "max"), restarts_every(30, 90), values)
    assert len(decisions) == 60
    assert decisions[-1].status == "early_stopped" and decisions[-1].waited == 31
    assert decisions[-1].reason == (
        "cycle 2 brought nothing better, 31 epochs without improvement (best 0.6907 at epoch 29)"
    )


@pytest.mark.parametrize("patience", [15, 50])
def test_the_recorded_video_run_stops_after_its_best(patience: int):
    with (TABLES / "video_lstm_checkpoints.csv").open() as file:
        rows = {int(row["epoch"]): float(row["val_accuracy"]) for row in csv.DictReader(file)}
    values = [rows[max(e for e in rows if e <= epoch)] for epoch in range(1, 801)]
    values[33:99] = [0.1] * 66
    schedule = Cosine(peak=1e-3, eta_min=1e-5, epochs=800, steps_per_epoch=1, t_max=1000, interval="epoch")
    decisions = replay(RestartAwarePatience(patience, "max"), schedule, values)
    assert len(decisions) == 33 + patience
    assert decisions[-1].status == "early_stopped"
    assert decisions[-1].reason == f"{patience} epochs without improvement (best 0.1122 at epoch 33)"


def test_stops_before_a_restart_whose_cycle_the_budget_cannot_finish():
    rising = [e / 100 for e in range(1, 76)]
    policy = RestartAwarePatience(15, "max", stop_before_restart=True)
    decisions = replay(policy, restarts_every(30, 75), rising)
    assert (len(decisions), decisions[-1].status) == (60, "stopped_before_restart")
    assert decisions[-1].reason == (
        "cycle 2 is over and the epochs left cannot finish the next (best 0.6 at epoch 60)"
    )
    for epochs in (60, 90):  # the last cycle fits: nothing to stop
        policy = RestartAwarePatience(15, "max", stop_before_restart=True)
        assert not replay(policy, restarts_every(30, epochs), [e / 100 for e in range(1, epochs + 1)])[
            -1
        ].stop


def test_grace_as_a_number_of_epochs():
    values = [*[0.5] * 10, *[0.1] * 10]
    decisions = replay(RestartAwarePatience(12, "max", grace=3), restarts_every(10, 20), values)
    assert [number for number, d in enumerate(decisions, start=1) if d.paused] == [11, 12, 13]
    assert (len(decisions), decisions[-1].waited) == (16, 12)


def test_min_epochs_does_not_latch_an_earlier_verdict():
    values = [1.0, *[0.0] * 5, 2.0, *[0.0] * 9]
    schedule = Cosine(peak=0.1, epochs=16, steps_per_epoch=1)
    assert len(replay(RestartAwarePatience(3, "max", min_epochs=8), schedule, values)) == 10


def test_an_announced_cycle_pauses_after_a_resume_with_another_schedule():
    policy = RestartAwarePatience(2, "max")
    for number in range(1, 4):
        policy.observe(Epoch(number, lr=0.1 / number), value=number)
    policy.begin_cycle(1)
    decisions = [policy.observe(Epoch(number, lr=0.1), value=0.0) for number in range(4, 20)]
    assert all(decision.paused and not decision.stop for decision in decisions)


def test_wrong_settings_are_named():
    for field, settings in [
        ("patience", {"patience": 0}),
        ("direction", {"direction": "up"}),
        ("min_delta", {"min_delta": math.nan}),
        ("grace", {"grace": "soon"}),
        ("grace", {"grace": -1}),
    ]:
        with pytest.raises(ValueError, match=f"^{field} must"):
            RestartAwarePatience(**{"patience": 3, "direction": "max", **settings})


metric = st.floats(0, 1) | st.sampled_from([0.5, math.nan, math.inf])
curves = st.lists(metric, min_size=1, max_size=60)
settings = st.fixed_dictionaries(
    {
        "patience": st.integers(1, 12),
        "direction": st.sampled_from(["min", "max"]),
        "min_delta": st.sampled_from([0.0, 0.1]),
        "min_epochs": st.integers(0, 30),
    }
)


@given(settings, curves)
def test_one_cycle_is_plain_patience(settings: dict, values: list[float]):
    schedule = Cosine(peak=0.1, epochs=len(values), steps_per_epoch=3, warmup_epochs=2)
    decisions = replay(RestartAwarePatience(**settings), schedule, values)
    assert (len(decisions) if decisions[-1].stop else 0) == plain_stop(values, **settings)


@given(settings, curves, st.integers(1, 20), st.just("recovered") | st.integers(0, 9))
def test_restarts_never_stop_a_run_earlier_than_plain_patience(settings, values, t_0, grace):
    schedule = restarts_every(t_0, len(values))
    decisions = replay(RestartAwarePatience(**settings, grace=grace), schedule, values)
    if decisions[-1].stop:
        plain = plain_stop(values, **settings)
        assert plain and len(decisions) >= plain
        assert not decisions[-1].paused and decisions[-1].waited >= settings["patience"]
    for number, decision in enumerate(decisions, start=1):
        if number % t_0 == 0:  # a cycle's end: everything is charged
            bests = [i for i, d in enumerate(decisions[:number], start=1) if d.is_best]
            assert decision.waited == number - (bests[-1] if bests else 0)


@given(settings, curves, st.integers(1, 20), st.integers(0, 60))
def test_a_resume_at_any_epoch_changes_no_decision(settings, values, t_0, cut):
    schedule = restarts_every(t_0, len(values))
    whole = replay(RestartAwarePatience(**settings), schedule, values)
    policy, decisions = RestartAwarePatience(**settings), []
    for number, value in enumerate(values[: len(whole)], start=1):
        if number == cut:
            state = json.loads(json.dumps(policy.state_dict()))
            policy = RestartAwarePatience(**settings)
            policy.load_state_dict(state)
        decisions.append(policy.observe(Epoch.of(schedule, number, len(values)), value))
    assert decisions == whole
