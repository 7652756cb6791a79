"""Speaker batches: different speakers in each, nothing wasted that fits, exact over ranks and resumes."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from projects.voxceleb.sampler import SpeakerSampler, full_batches
from shared.errors import UserError

COUNTS = st.lists(st.integers(1, 12), min_size=2, max_size=12)


def make(counts, batch, seed=0, **options):
    speakers = np.repeat(np.arange(len(counts)), counts)
    order = np.random.default_rng(0).permutation(len(speakers))
    return SpeakerSampler(speakers[order], batch, seed, **options), speakers[order]


def keys(sampler, epoch=0):
    sampler.set_epoch(epoch)
    return list(sampler)


@settings(deadline=None)
@given(
    counts=COUNTS,
    batch=st.integers(1, 6),
    each=st.integers(1, 3),
    most=st.sampled_from([None, 4]),
    epoch=st.integers(0, 3),
)
def test_batches_hold_different_speakers_and_no_utterance_comes_twice(counts, batch, each, most, epoch):
    tuples = [min(count, most or count) // each for count in counts]
    if sum(n > 0 for n in tuples) < batch:
        with pytest.raises(UserError, match="effective_batch_size"):
            make(counts, batch, per_speaker=each, max_per_speaker=most)
        return
    sampler, speakers = make(counts, batch, per_speaker=each, max_per_speaker=most)
    found = keys(sampler, epoch)
    assert len(found) == len(sampler) == sampler.batches * batch
    used = [utterance for key in found for utterance in key.utterances]
    assert len(used) == len(set(used)) and {key.epoch for key in found} == {epoch}
    owners = [speakers[list(key.utterances)] for key in found]
    assert all(len(own) == each and len(set(own)) == 1 for own in owners)
    for start in range(0, len(found), batch):
        assert len({own[0] for own in owners[start : start + batch]}) == batch
    per_speaker = np.bincount([own[0] for own in owners], minlength=len(counts)) * each
    assert most is None or per_speaker.max() <= most
    assert sampler.utilisation == pytest.approx(len(used) / len(speakers))


@given(counts=COUNTS, batch=st.integers(1, 6))
def test_no_more_batches_could_be_made(counts, batch):
    """Against taking the fullest speakers first, one batch after the other, which is the best that can be done."""
    left, best = sorted(counts), 0
    while len(left) >= batch and left[-batch] > 0:
        left[-batch:] = [n - 1 for n in left[-batch:]]
        left.sort()
        best += 1
    assert full_batches(np.array(counts), batch) == best


def test_utilisation_where_the_reference_drops_most():
    for batch in (16, 64, 100, 128, 140):
        assert make([100] * 140, batch)[0].utilisation > 0.95  # the reference: 95, 76, 59, 38, 20 %
    with pytest.raises(UserError, match="only 140 speakers"):
        make([100] * 140, 200)


@pytest.mark.parametrize("world", [2, 4])
def test_ranks_share_each_batch(world):
    counts = [7, 9, 8, 8, 6, 9, 7]
    whole = keys(make(counts, 4, per_speaker=2)[0], 1)
    ranks = [keys(make(counts, 4, per_speaker=2, rank=rank, world=world)[0], 1) for rank in range(world)]
    share = 4 // world
    blocks = [rank[start : start + share] for start in range(0, len(ranks[0]), share) for rank in ranks]
    assert [key for block in blocks for key in block] == whole


def test_a_resumed_epoch_goes_on_and_the_next_is_whole():
    sampler, _ = make([6] * 5, 3)
    whole, following = keys(sampler, 2), keys(sampler, 3)
    resumed, _ = make([6] * 5, 3)
    resumed.resume_at(2, 6)
    assert len(resumed) == len(whole)  # Lightning counts the batches of every epoch by it
    assert list(resumed) == whole[6:] and keys(resumed, 3) == following
    assert whole != following


def test_virtual_epochs_cut_the_stream_of_passes():
    sampler, _ = make([6] * 4, 4, samples_per_epoch=18)  # 6 batches a pass, 4 an epoch
    stream = [key for epoch in range(3) for key in keys(sampler, epoch)]
    passes = make([6] * 4, 4)[0]
    assert stream == keys(passes, 0) + keys(passes, 1)
    with pytest.raises(UserError, match="samples_per_epoch"):
        make([6] * 4, 4, samples_per_epoch=3)


def test_no_speaker_waits_for_the_end():
    """The second half of an epoch is as mixed as the first, also with unequal speakers."""
    sampler, speakers = make([40] * 10 + [4] * 20, 5)
    rare = np.array([speakers[key.utterances[0]] >= 10 for key in keys(sampler)]).reshape(2, -1).mean(1)
    assert abs(rare[0] - rare[1]) < 0.2
