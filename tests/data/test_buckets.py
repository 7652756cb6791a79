import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from shared.data.draws import keyed_generator
from shared.data.sampler import EpochSampler, bucketed


@given(st.integers(1, 300), st.integers(1, 16), st.integers(0, 9))
def test_every_sample_stays(samples, batch, seed):
    lengths = keyed_generator(seed, "lengths").integers(1, 50, samples)
    order = keyed_generator(seed, "order").permutation(samples)
    found = bucketed(order, lengths, batch, keyed_generator(seed, "buckets"))
    assert sorted(found) == list(range(samples))


def test_batches_hold_samples_of_like_length():
    lengths = np.random.default_rng(0).integers(1, 1000, 4000)
    sampler = EpochSampler(4000, seed=1, lengths=lengths, batch_size=20)
    batches = np.array([key.index for key in sampler]).reshape(-1, 20)
    spread = np.ptp(lengths[batches], axis=1).mean()
    plain = np.ptp(lengths[np.array([k.index for k in EpochSampler(4000, seed=1)]).reshape(-1, 20)], axis=1)
    assert spread < 0.1 * plain.mean()
    firsts = lengths[batches].mean(1)
    assert not np.all(np.diff(firsts) >= 0), "batches must not come in order of length"


def test_epochs_differ_and_repeat_exactly():
    sampler = EpochSampler(100, seed=1, lengths=np.arange(100), batch_size=10)
    first = list(sampler)
    sampler.set_epoch(1)
    assert [k.index for k in sampler] != [k.index for k in first]
    sampler.set_epoch(0)
    assert list(sampler) == first
    sampler.resume_at(0, 30)
    assert list(sampler) == first[30:]


def test_evaluation_goes_from_short_to_long():
    lengths = np.array([5, 1, 3])
    assert [k.index for k in EpochSampler(3, seed=0, shuffle=False, lengths=lengths)] == [1, 2, 0]
