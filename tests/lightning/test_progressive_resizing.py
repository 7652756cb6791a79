"""Image sizes over the epochs, in closed form and in a real run."""

import pytest

from shared.lightning.callbacks.progressive_resizing import ProgressiveResizing
from tests.conftest import rows

TARGET = "shared.lightning.callbacks.progressive_resizing.ProgressiveResizing"


def test_the_75_percent_recipe_goes_from_160_to_192():
    policy = ProgressiveResizing(160, 192, begin=0.70, end=0.85)
    sizes = [policy.size(epoch, 24) for epoch in range(24)]
    assert sizes[:17] == [160] * 17 and sizes[21:] == [192] * 3
    assert sizes == sorted(sizes) and set(sizes) == {160, 192}


def test_between_equal_shares_the_size_jumps():
    policy = ProgressiveResizing(160, 192, begin=0.5, end=0.5)
    assert [policy.size(epoch, 4) for epoch in range(4)] == [160, 160, 192, 192]


@pytest.mark.parametrize(("begin", "end"), [(0.6, 0.5), (-0.1, 0.5), (0.5, 1.5)])
def test_shares_that_make_no_sense_are_refused(tiny, begin, end):
    resizing = f"_target_: {TARGET}, start_size: 32, end_size: 64"
    outcome = tiny(f"+callbacks.resizing={{{resizing}, begin: {begin}, end: {end}}}")
    assert outcome.code == 2
    error = outcome.err.splitlines()[-1]
    assert f"not begin {begin} and end {end} (callbacks.resizing)" in error


@pytest.mark.parametrize("workers", [0, 1])
def test_a_run_sees_the_sizes_and_says_so(tiny, workers):
    resizing = f"{{_target_: {TARGET}, start_size: 32, end_size: 64"
    outcome = tiny(
        f"+callbacks.resizing={resizing}, begin: 0.0, end: 0.5}}",
        "trainer.max_epochs=2",
        f"hardware.workers={workers}",
    )
    assert outcome.code == 0, outcome.err
    assert [e["message"] for e in outcome.summary["events"]] == ["epoch 2: images of 64 px"]
    assert len(rows(outcome.run_dir)) == 2
