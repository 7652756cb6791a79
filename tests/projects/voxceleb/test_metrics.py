"""Error rates against a loop over every threshold, ties and NaN included."""

from itertools import pairwise

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch.nn import functional as F

from projects.voxceleb.trials.metrics import batch_eer, error_rates

TRIALS = st.lists(st.tuples(st.integers(-6, 6), st.booleans()), min_size=2, max_size=40).filter(
    lambda rows: len({target for _, target in rows}) == 2
)


def brute_force(scores, target):
    """Miss and false-alarm rates at every threshold, one at a time."""
    points = []
    for threshold in [*sorted(set(scores.tolist())), np.inf]:
        accepted = scores >= threshold
        points.append(
            ((target & ~accepted).sum() / target.sum(), (~target & accepted).sum() / (~target).sum())
        )
    return points


@given(TRIALS)
def test_rates_eer_and_dcf_equal_brute_force(rows):
    scores, target = (np.array(column) for column in zip(*rows, strict=True))
    rates, points = error_rates(torch.tensor(scores / 3), torch.tensor(target)), brute_force(scores, target)
    assert list(zip(rates.miss.tolist(), rates.alarm.tolist(), strict=True)) == points
    for prior in (0.01, 0.05, 0.5):
        least = min(prior * miss + (1 - prior) * alarm for miss, alarm in points) / min(prior, 1 - prior)
        assert rates.min_dcf(prior) == pytest.approx(least)
    for (miss, alarm), (next_miss, next_alarm) in pairwise(points):
        if miss < alarm and next_miss >= next_alarm:
            share = (alarm - miss) / ((next_miss - miss) + (alarm - next_alarm))
            assert rates.eer()[0] == pytest.approx(miss + share * (next_miss - miss))


def test_perfect_inverted_and_constant_scores():
    target = torch.tensor([True, True, False, False])
    for scores, eer in (([4, 3, 2, 1], 0.0), ([1, 2, 3, 4], 1.0), ([1, 1, 1, 1], 0.5)):
        assert error_rates(torch.tensor(scores).float(), target).eer()[0] == pytest.approx(eer)
    rates = error_rates(torch.tensor([4.0, 3, 2, 1]), target)
    assert rates.eer()[1] == 3 and rates.min_dcf(0.01) == 0  # accepting from 3 on errs nowhere


@pytest.mark.parametrize("bad", [float("nan"), float("inf")])
def test_scores_that_are_not_finite_fail_loudly(bad):
    with pytest.raises(ValueError, match="1 of 3 scores are not finite"):
        error_rates(torch.tensor([0.1, bad, 0.2]), torch.tensor([True, False, False]))


def test_one_kind_of_trial_has_no_error_rates():
    with pytest.raises(ValueError, match="both kinds"):
        error_rates(torch.tensor([0.1, 0.2]), torch.tensor([True, True]))


def test_batch_eer_is_that_of_all_pairs():
    torch.manual_seed(0)
    x = torch.randn(5, 3, 8)
    unit, owner = F.normalize(x.flatten(0, 1)), np.repeat(np.arange(5), 3)
    pairs = [(i, j) for i in range(15) for j in range(i + 1, 15)]
    scores = torch.tensor([unit[i] @ unit[j] for i, j in pairs])
    target = torch.tensor([owner[i] == owner[j] for i, j in pairs])
    assert batch_eer(x).item() == pytest.approx(error_rates(scores, target).eer()[0], abs=1e-6)
    assert batch_eer(torch.eye(6)[:, None].repeat(1, 2, 1)) == 0
    assert batch_eer(x[:1]) is None and batch_eer(x[:, :1]) is None and batch_eer(x * torch.nan) is None
