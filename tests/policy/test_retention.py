"""Retention: roles, and that nothing good is ever deletable."""

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from shared.policy.retention import Checkpoint, Retention


def run_of(metrics: list[float], t_0: int = 3) -> list[Checkpoint]:
    return [
        Checkpoint(f"epoch-{e}", e, e * 10, metric, cycle=(e - 1) // t_0 + 1, verified=True)
        for e, metric in enumerate(metrics, start=1)
    ]


def names(checkpoints: dict[str, Checkpoint]) -> dict[str, int]:
    return {role: checkpoint.epoch for role, checkpoint in checkpoints.items()}


def test_roles_of_a_run_with_three_cycles():
    run = run_of([0.1, 0.5, 0.4, 0.2, 0.6, 0.6, 0.3, math.nan])
    policy = Retention("max", milestones=[4, 40])
    assert names(policy.roles(run)) == {
        "last": 8,
        "best": 5,
        "cycle-1-best": 2,
        "cycle-2-best": 5,
        "cycle-3-best": 7,
        "milestone-4": 4,
    }
    assert [c.epoch for c in policy.deletable(run)] == [1, 3, 6]
    assert "cycle-1-best" not in Retention("max", keep_cycles=2).roles(run)
    assert names(Retention("min", keep_cycles=0).roles(run)) == {"last": 8, "best": 1}


def test_an_unverified_newcomer_displaces_nothing():
    old = Checkpoint("old", 1, 10, 0.5, verified=True)
    new = Checkpoint("new", 2, 20, 0.9)
    assert names(Retention("max").roles([old, new])) == {"last": 2, "best": 2, "cycle-1-best": 2}
    assert Retention("max").deletable([old, new]) == []
    verified = Checkpoint("new", 2, 20, 0.9, verified=True)
    assert Retention("max").deletable([old, verified]) == [old]


def test_disk_estimate_and_wrong_settings():
    assert Retention("max", milestones=[1, 5]).files_at_most(cycles=3) == 7
    assert Retention("max", keep_cycles=1).files_at_most(cycles=3) == 3
    for field, settings in [
        ("direction", {"direction": "best"}),
        ("milestones", {"milestones": [0]}),
        ("keep_cycles", {"keep_cycles": -1}),
    ]:
        with pytest.raises(ValueError, match=f"^{field} must"):
            Retention(**{"direction": "max", **settings})


policies = st.builds(
    Retention,
    st.sampled_from(["min", "max"]),
    st.lists(st.integers(1, 12), max_size=3),
    st.none() | st.integers(0, 3),
)
metrics = st.none() | st.sampled_from([0.1, 0.2, 0.3, math.nan, math.inf])
runs = st.lists(st.tuples(metrics, st.booleans()), max_size=12).map(
    lambda rows: [
        Checkpoint(f"epoch-{e}", e, e * 10, metric, (e + 3) // 4, verified)
        for e, (metric, verified) in enumerate(rows, start=1)
    ]
)


@given(policies, runs)
def test_the_last_verified_and_the_best_verified_are_never_deletable(policy, run):
    gone = policy.deletable(run)
    left = [c for c in run if c not in gone]
    trusted = [c for c in run if c.verified]
    assert all(c in left for c in trusted[-1:])
    assert all(c in left for c in policy.roles(trusted).values())
    assert policy.roles(left) == policy.roles(run)
    assert policy.deletable(left) == []


@given(policies, runs)
def test_deleting_as_the_run_goes_keeps_what_deleting_at_the_end_keeps(policy, run):
    verified = [Checkpoint(c.name, c.epoch, c.step, c.metric, c.cycle, verified=True) for c in run]
    left: list[Checkpoint] = []
    for checkpoint in verified:
        left.append(checkpoint)
        gone = policy.deletable(left)
        left = [c for c in left if c not in gone]
    assert policy.roles(left) == policy.roles(verified)
    assert len(left) <= policy.files_at_most(cycles=3)
