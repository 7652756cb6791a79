"""Skipping, rolling back and giving up; and the spike watch against its definition."""

import json
import math
from statistics import median, median_high

import pytest
from hypothesis import given
from hypothesis import strategies as st

from shared.policy.nonfinite import NonFinitePolicy, Spike, SpikeWatch, _mad


def kinds(policy: NonFinitePolicy, steps: str) -> str:
    """First letters of the actions for a row of finite (.) and poisoned (x) steps."""
    return "".join(policy.observe(step, mark == ".").kind[0] for step, mark in enumerate(steps))


def test_the_way_from_skip_to_abort():
    policy = NonFinitePolicy(skip_limit=3, max_rollbacks=2)
    assert kinds(policy, "..x.xx.xxx..xxx.xxx") == "ppspssp" + "ssr" + "pp" + "ssr" + "p" + "ssa"
    assert policy.skipped == 12 and policy.lr_scale == 0.25


def test_reasons_name_the_step_the_culprit_and_the_consequence():
    policy = NonFinitePolicy(skip_limit=2, max_rollbacks=1)
    reasons = [policy.observe(step, False, "gradient norm").reason for step in range(7, 11)]
    assert reasons == [
        "step 7: non-finite gradient norm, step skipped (1 in a row, 1 in all)",
        "step 8: non-finite gradient norm, 2 in a row: back to the last good state, LR x0.5 "
        "(rollback 1 of 1)",
        "step 9: non-finite gradient norm, step skipped (1 in a row, 3 in all)",
        "step 10: non-finite gradient norm, 2 in a row, after 1 of 1 rollbacks",
    ]
    action = NonFinitePolicy(skip_limit=1).observe(0, False, "batch", can_roll_back=False)
    assert action.kind == "abort"
    assert action.reason == "step 0: non-finite batch, 1 in a row, and no good checkpoint to go back to"


def test_wrong_settings_are_named():
    for build, field, value in [
        (NonFinitePolicy, "skip_limit", 0),
        (NonFinitePolicy, "max_rollbacks", -1),
        (NonFinitePolicy, "lr_factor", 0),
        (SpikeWatch, "window", 3),
        (SpikeWatch, "threshold", math.nan),
    ]:
        with pytest.raises(ValueError, match=rf"^{field} must"):
            build(**{field: value})


@given(st.text(".x", max_size=60), st.integers(1, 4), st.integers(0, 3), st.integers(0, 60))
def test_any_run_is_bounded_and_a_resume_changes_nothing(steps, skip_limit, max_rollbacks, cut):
    settings = {"skip_limit": skip_limit, "max_rollbacks": max_rollbacks}
    actions = kinds(NonFinitePolicy(**settings), steps)
    assert [action == "p" for action in actions] == [mark == "." for mark in steps]
    assert actions.count("r") <= max_rollbacks
    assert "s" * skip_limit not in actions
    first, second = NonFinitePolicy(**settings), NonFinitePolicy(**settings)
    before = kinds(first, steps[:cut])
    second.load_state_dict(json.loads(json.dumps(first.state_dict())))
    assert before + kinds(second, steps[cut:]) == actions
    assert second.lr_scale == 0.5 ** actions.count("r")


values = st.floats(-1e6, 1e6) | st.integers(-3, 3).map(float)


@given(st.lists(values, min_size=1, max_size=30).map(sorted))
def test_mad_is_the_median_absolute_deviation(ordered):
    centre = median(ordered)
    assert _mad(ordered, centre) == median_high([abs(x - centre) for x in ordered])


def expected(series: list[float], window: int, threshold: float) -> list[Spike]:
    """Spikes by the definition, each window sorted afresh."""
    spikes, spiking, finite = [], False, []
    for step, value in enumerate(series):
        if not math.isfinite(value):
            continue
        recent = finite[-window:]
        finite.append(value)
        if 2 * len(recent) < window:
            continue
        centre = median(recent)
        scale = max(1.4826 * median_high([abs(x - centre) for x in recent]), 0.01 * abs(centre))
        score = (value - centre) / scale if scale else math.inf if value > centre else 0.0
        if score > threshold and not spiking:
            spikes.append(Spike(step, value, centre, score))
        spiking = score > threshold
    return spikes


@given(st.lists(values | st.just(math.nan), max_size=60), st.integers(4, 12), st.integers(0, 60))
def test_spikes_are_those_of_the_definition_across_a_resume(series, window, cut):
    watch, spikes = SpikeWatch(window, threshold=3.0), []
    for step, value in enumerate(series):
        if step == cut:
            state = json.loads(json.dumps(watch.state_dict()))
            watch = SpikeWatch(window, threshold=3.0)
            watch.load_state_dict(state)
        spikes.append(watch.observe(step, value))
    assert [spike for spike in spikes if spike] == expected(series, window, 3.0)


def test_a_spike_is_reported_once_and_a_plateau_is_no_spike():
    watch = SpikeWatch(window=50)
    flagged = [step for step in range(100) if watch.observe(step, 2.0 + 0.01 * (step % 7))]
    assert flagged == []
    flagged = [step for step in range(100, 110) if watch.observe(step, 9.0 if step < 105 else 2.0)]
    assert flagged == [100]
