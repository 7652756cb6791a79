"""Batching: whatever the memory allows, the optimizer's batch stays what it was."""

import math
from fractions import Fraction

import pytest
from hypothesis import given
from hypothesis import strategies as st

from shared.policy.batching import Batching

shares = st.integers(1, 300)


def test_khmer_batch_of_96_that_fits_only_by_half():
    whole = Batching(96)
    assert (whole.micro, whole.accumulation) == (96, 1)
    half = whole.halve()
    assert (half.micro, half.accumulation, half.effective) == (48, 2, 96)
    assert half.split(96) == [(0, 48, 0.5), (48, 96, 0.5)]
    assert Batching(96, devices=2, micro_limit=40).micro == 24
    assert whole.probe(lambda micro: micro <= 60).micro == 48


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"effective": 0}, "effective_batch_size must be at least 1, not 0"),
        ({"effective": 8, "devices": 0}, "devices must be at least 1, not 0"),
        (
            {"effective": 97, "devices": 4},
            "effective_batch_size must be divisible by the 4 devices, not 97; use 96 or 100",
        ),
        (
            {"effective": 3, "devices": 4},
            "effective_batch_size must be divisible by the 4 devices, not 3; use 4",
        ),
        (
            {"effective": 96, "devices": 2, "micro_limit": 64},
            "micro_batch_size must lie between 1 and the 48 samples of a device, not 64",
        ),
        ({"effective": 96, "micro_limit": 0}, "micro_batch_size must lie between 1 and the 96 samples"),
    ],
)
def test_wrong_settings_name_the_key_and_the_way_out(settings, message):
    with pytest.raises(ValueError) as error:
        Batching(**settings)
    assert str(error.value).startswith(message)


@given(shares, st.integers(1, 8), st.data())
def test_split_covers_each_sample_once_with_weights_that_make_the_mean(share, devices, data):
    batching = Batching(share * devices, devices, data.draw(st.integers(1, share)))
    samples = data.draw(st.integers(1, 2 * share))
    parts = batching.split(samples)
    assert [i for part in parts for i in range(part.start, part.stop)] == list(range(samples))
    sizes = [part.stop - part.start for part in parts]
    assert max(sizes) <= batching.micro <= batching.micro_limit and max(sizes) - min(sizes) <= 1
    assert [part.weight for part in parts] == [size / samples for size in sizes]
    assert len(batching.split(share)) == batching.accumulation
    losses = [i * i % 101 for i in range(samples)]
    means = [Fraction(sum(losses[part.start : part.stop]), part.stop - part.start) for part in parts]
    total = sum(part.weight * float(mean) for part, mean in zip(parts, means, strict=True))
    assert total == pytest.approx(sum(losses) / samples)


def test_an_empty_batch_is_an_error():
    with pytest.raises(ValueError, match=r"^samples must"):
        Batching(4).split(0)


@given(shares)
def test_halving_ends_at_single_samples_and_says_so(share):
    batching = Batching(share)
    while batching.micro > 1:
        smaller = batching.halve()
        assert smaller.effective == share and smaller.micro <= math.ceil(batching.micro / 2)
        assert smaller.accumulation >= batching.accumulation + 1
        batching = smaller
    with pytest.raises(ValueError, match="not even a single sample"):
        batching.halve()


@given(shares, st.data())
def test_probe_finds_what_fits_in_few_tries(share, data):
    capacity = data.draw(st.integers(1, 2 * share))
    limit = data.draw(st.none() | st.integers(1, share))
    tried = []

    def fits(micro: int) -> bool:
        tried.append(micro)
        return micro <= capacity

    found = Batching(share, 1, limit).probe(fits)
    allowed = min(capacity, Batching(share, 1, limit).micro)
    even = max(size for count in range(1, share + 1) if (size := math.ceil(share / count)) <= allowed)
    assert found.micro <= allowed and found.micro >= 0.75 * even
    divisors = [size for size in range(1, allowed + 1) if share % size == 0 and size >= 0.75 * even]
    assert found.micro == (max(divisors) if divisors else even)
    assert len(tried) == len(set(tried)) <= 2 * math.log2(share) + 2


def test_probe_where_nothing_fits():
    with pytest.raises(ValueError, match="not even a single sample"):
        Batching(8).probe(lambda micro: False)
