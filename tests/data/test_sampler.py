"""Sample order: every sample once before any twice, resumable anywhere, ranks equal and complete."""

from collections import Counter
from itertools import chain

import pytest
from hypothesis import given
from hypothesis import strategies as st

from shared.data.draws import keyed_generator
from shared.data.sampler import EpochSampler
from shared.errors import UserError

SIZES, SEEDS = st.integers(1, 60), st.integers(0, 2**63)


def epoch_keys(sampler, epoch):
    sampler.set_epoch(epoch)
    return list(sampler)


@given(samples=SIZES, seed=SEEDS, epoch=st.integers(0, 50))
def test_an_epoch_is_a_permutation(samples, seed, epoch):
    keys = epoch_keys(EpochSampler(samples, seed), epoch)
    assert sorted(key.index for key in keys) == list(range(samples))
    assert {key.epoch for key in keys} == {epoch}


@given(samples=SIZES, seed=SEEDS, length=st.integers(1, 150), epochs=st.integers(1, 8))
def test_virtual_epochs_repeat_no_sample_before_all_are_seen(samples, seed, length, epochs):
    sampler = EpochSampler(samples, seed, samples_per_epoch=length)
    stream = list(chain.from_iterable(epoch_keys(sampler, epoch) for epoch in range(epochs)))
    assert len(stream) == length * epochs
    assert len(set(stream)) == len(stream)  # so no augmentation is ever drawn twice
    counts = Counter(key.index for key in stream)
    assert max(counts.values()) - min(counts[i] for i in range(samples)) <= 1


@given(
    samples=SIZES,
    seed=SEEDS,
    length=st.integers(1, 150),
    world=st.integers(1, 5),
    batch=st.integers(1, 8),
    shuffle=st.booleans(),
)
def test_ranks_share_an_epoch_evenly(samples, seed, length, world, batch, shuffle):
    settings = {"samples_per_epoch": length, "shuffle": shuffle}
    whole = epoch_keys(EpochSampler(samples, seed, **settings), 2)
    samplers = [
        EpochSampler(samples, seed, rank=rank, world=world, batch_size=batch, **settings)
        for rank in range(world)
    ]
    ranks = [epoch_keys(sampler, 2) for sampler in samplers]
    assert {len(keys) for keys in ranks} == {len(samplers[0])}
    merged = list(chain.from_iterable(ranks))
    if shuffle:
        assert len(merged) == len(set(merged)) == length - length % world
    else:
        assert set(merged) == set(whole) and len(merged) < length + world


@given(samples=st.integers(1, 200), seed=SEEDS, world=st.integers(1, 5), batch=st.integers(1, 8))
def test_the_ranks_batches_side_by_side_are_those_of_one(samples, seed, world, batch):
    together = batch * world
    one = epoch_keys(EpochSampler(samples, seed, batch_size=together), 1)
    ranks = [
        epoch_keys(EpochSampler(samples, seed, rank=rank, world=world, batch_size=batch), 1)
        for rank in range(world)
    ]
    steps = samples // together
    assert len(ranks[0]) // batch == steps, "as many steps whatever the number of ranks"
    for step in range(steps):
        blocks = [keys[step * batch : (step + 1) * batch] for keys in ranks]
        assert list(chain.from_iterable(blocks)) == one[step * together : (step + 1) * together]


@given(samples=SIZES, seed=SEEDS, world=st.integers(1, 4), data=st.data())
def test_resume_continues_exactly_and_the_next_epoch_is_whole(samples, seed, world, data):
    epoch = data.draw(st.integers(0, 5))
    consumed = data.draw(st.integers(0, samples // world))
    for rank in range(world):
        sampler = EpochSampler(samples, seed, rank=rank, world=world)
        whole, following = epoch_keys(sampler, epoch), epoch_keys(sampler, epoch + 1)
        resumed = EpochSampler(samples, seed, rank=rank, world=world)
        resumed.resume_at(epoch, consumed * world)
        resumed.set_epoch(epoch)  # Lightning does so before every epoch
        assert len(resumed) == len(whole)  # what Lightning takes for the length of every epoch
        assert list(resumed) == whole[consumed:]
        assert epoch_keys(resumed, epoch + 1) == following


def test_seeds_and_epochs_shuffle_differently():
    orders = {
        tuple(key.index for key in epoch_keys(EpochSampler(100, seed), epoch))
        for seed in range(3)
        for epoch in range(3)
    }
    assert len(orders) == 9


def test_evaluation_keeps_the_order():
    assert [key.index for key in EpochSampler(5, 1, shuffle=False)] == [0, 1, 2, 3, 4]


def test_the_image_size_travels_in_the_key():
    sampler = EpochSampler(4, 1)
    sampler.image_size = 160
    assert {key.size for key in sampler} == {160}


def test_no_samples_per_epoch_is_refused():
    with pytest.raises(UserError, match="samples_per_epoch"):
        EpochSampler(5, 1, samples_per_epoch=0)


@given(seed=SEEDS, epoch=st.integers(0, 2**40), index=st.integers(0, 2**40))
def test_keyed_draws_depend_on_every_part_of_the_key(seed, epoch, index):
    def draw(*key):
        return keyed_generator(*key).integers(2**63)

    key = (seed, "augment", epoch, index)
    others = [
        (seed + 1, "augment", epoch, index),
        (seed, "order", epoch, index),
        (seed, "augment", epoch + 1, index),
        (seed, "augment", epoch, index + 1),
    ]
    assert draw(*key) == draw(*key)
    assert draw(*key) not in {draw(*other) for other in others}


def test_evaluation_draws_alike_in_every_epoch():
    sampler = EpochSampler(7, 3, shuffle=False)
    first = list(sampler)
    sampler.set_epoch(5)
    assert list(sampler) == first
