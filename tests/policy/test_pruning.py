"""The median rule: who is behind, and when nobody is judged."""

import pytest

from shared.policy.pruning import behind_median


@pytest.mark.parametrize(
    ("own", "others", "direction", "expected"),
    [
        (0.5, [0.6, 0.7, 0.8], "max", 0.7),
        (0.7, [0.6, 0.7, 0.8], "max", None),
        (0.9, [0.6, 0.7, 0.8], "max", None),
        (0.9, [0.6, 0.7, 0.8], "min", 0.7),
        (0.1, [0.6, 0.7, 0.8], "min", None),
        (0.0, [0.6, 0.7], "max", None),
        (float("-inf"), [0.1, 0.2, 0.3, 0.4], "max", 0.25),
    ],
)
def test_behind_the_median_of_enough_others(own, others, direction, expected):
    assert behind_median(own, others, direction, least=3) == expected
