"""Clips as the network sees them, and the cache that spares decoding."""

import numpy as np
import pytest
import torch

from projects.video_lstm.data import VideoData
from projects.video_lstm.videos import cache as cache_module
from projects.video_lstm.videos.cache import HEADER, ClipCache
from projects.video_lstm.videos.clips import CenterClip, TrainClip
from shared.data.draws import SampleKey
from shared.errors import ImageError, UserError
from shared.lightning.loader import make_loader
from tests.projects.video_lstm.small_videos import encode, numbers, ramp, write_hostile

AFFINE = {
    "Affine": {"translate_px": [-8, 8], "rotate": [-30, 30], "p": 1.0},
    "RandomBrightnessContrast": {"p": 1.0},
}


@pytest.fixture
def open_cache(tmp_path):
    """Over three videos, with room for `clips` clips of 4 frames at 16 px."""
    paths = [str(encode(tmp_path / "videos" / f"{n}.mp4", ramp(20 + n))) for n in range(3)]

    def build(clips=3.0):
        cache = ClipCache(str(tmp_path / "cache"), clips * (HEADER.size + 4 * 16 * 16 * 3) / 1e9)
        cache.open(tmp_path / "videos", 4, 16)
        return cache, paths

    return build


@pytest.fixture
def decoded(monkeypatch):
    """Paths that were decoded."""
    seen, real = [], cache_module.read_clip
    monkeypatch.setattr(
        cache_module, "read_clip", lambda path, *given: seen.append(path) or real(path, *given)
    )
    return seen


def entries(cache):
    return sorted(path for path in cache.place.rglob("*") if path.is_file())


def test_each_video_is_decoded_once(open_cache, decoded):
    cache, paths = open_cache()
    first = [cache.read(path, number).copy() for number, path in enumerate(paths)]
    again = [open_cache()[0].read(path, number) for number, path in enumerate(paths)]
    assert decoded == paths
    assert all(np.array_equal(a, b) for a, b in zip(first, again, strict=True))


def test_the_cache_keeps_to_its_budget(open_cache, decoded):
    cache, paths = open_cache(2.9)
    for _ in range(2):
        for number, path in enumerate(paths):
            cache.read(path, number)
    assert decoded == [*paths, paths[2]]
    assert sum(path.stat().st_size for path in entries(cache)) <= cache.budget


def test_what_lies_there_already_is_off_the_budget(open_cache):
    cache, paths = open_cache()
    cache.read(paths[0], 0)
    cache.open(cache.root, 4, 15)
    assert cache.capacity == 2
    assert not open_cache(0.5)[0].capacity


def flip_a_bit(entry, video):
    content = bytearray(entry.read_bytes())
    content[-1] ^= 1
    entry.write_bytes(content)


def cut_short(entry, video):
    entry.write_bytes(entry.read_bytes()[:-1])


def change_the_video(entry, video):
    encode(video, ramp(33))


@pytest.mark.parametrize("harm", [flip_a_bit, cut_short, change_the_video])
def test_an_entry_that_does_not_check_out_is_decoded_again(open_cache, decoded, tmp_path, harm):
    cache, paths = open_cache()
    before = cache.read(paths[0], 0).copy()
    harm(entries(cache)[0], tmp_path / "videos" / "0.mp4")
    after = cache.read(paths[0], 0)
    assert np.array_equal(before, after) == (harm is not change_the_video)
    cache.read(paths[0], 0)
    assert len(decoded) == 2 and len(entries(cache)) == 1


def test_a_cache_that_cannot_be_written_is_no_disaster(tmp_path, open_cache, decoded, caplog):
    _, paths = open_cache()
    (tmp_path / "file").touch()
    cache = ClipCache(str(tmp_path / "file"), 1)
    cache.open(tmp_path / "videos", 4, 16)
    assert numbers(cache.read(paths[0], 0)) == numbers(cache.read(paths[0], 0))
    assert len(decoded) == 2 and caplog.text.count("videos are decoded each time") == 1


def test_a_video_that_is_gone_is_named(open_cache):
    cache, _ = open_cache()
    with pytest.raises(ImageError, match="gone"):
        cache.read(str(cache.root / "gone.mp4"), 0)


def test_one_draw_for_all_frames_of_a_clip():
    still = np.broadcast_to(np.random.default_rng(0).integers(0, 255, (20, 20, 3), np.uint8), (8, 20, 20, 3))
    clip = TrainClip(4, 16, AFFINE, seed=1)(still, SampleKey(0, 5))
    assert clip.shape == (4, 16, 16, 3)
    assert all(np.array_equal(clip[0], frame) for frame in clip)


def test_draws_depend_on_seed_epoch_and_sample_alone():
    moving = np.random.default_rng(0).integers(0, 255, (8, 20, 20, 3), np.uint8)
    view = TrainClip(4, 16, AFFINE, seed=1)
    first = view(moving, SampleKey(2, 5)).copy()
    other = [view(moving, SampleKey(2, 6)).copy(), view(moving, SampleKey(3, 5)).copy()]
    assert np.array_equal(TrainClip(4, 16, AFFINE, seed=1)(moving, SampleKey(2, 5)), first)
    assert not any(np.array_equal(first, each) for each in other)


def test_frames_keep_their_order_and_their_parts():
    stored = np.broadcast_to(np.arange(8, dtype=np.uint8)[:, None, None, None], (8, 4, 4, 3))
    assert CenterClip(4, 4)(stored, SampleKey(0, 0))[:, 0, 0, 0].tolist() == [1, 3, 5, 7]
    drawn = {tuple(TrainClip(4, 4, {}, 0)(stored, SampleKey(e, 0))[:, 0, 0, 0]) for e in range(50)}
    assert len(drawn) > 8 and all(frame // 2 == part for clip in drawn for part, frame in enumerate(clip))


def test_the_centre_is_evaluated():
    stored = np.zeros((4, 20, 20, 3), np.uint8)
    stored[:, 2:18, 2:18] = 1
    assert CenterClip(4, 16)(stored, SampleKey(0, 0)).all()


@pytest.fixture
def hostile(tmp_path):
    """A data set of 30 hostile videos beside a few sound ones."""
    assert write_hostile(tmp_path / "videos") >= 30
    return VideoData(
        str(tmp_path / "videos"),
        ClipCache(str(tmp_path / "cache"), 1),
        4,
        16,
        stored_frames=8,
        stored_size=20,
    )


def test_hostile_videos_become_batches_and_are_named(hostile, caplog):
    hostile.prepare()
    for epoch in range(2):
        loader = make_loader(hostile.train, 8, train=True)
        loader.sampler.set_epoch(epoch)
        batches = list(loader)
    assert all(
        batch["clip"].shape == (8, 4, 3, 16, 16) and batch["clip"].dtype == torch.uint8 for batch in batches
    )
    for name in ("empty.mp4", "sound_only.mp4", "playlist.mp4", "half.mp4"):
        assert caplog.text.count(f"/{name}:") == 1, name
    assert "one_frame.mp4" not in caplog.text


def test_too_many_unreadable_files_end_the_run(hostile):
    hostile.max_corrupt = 2
    hostile.prepare()
    with pytest.raises(UserError) as caught:
        list(make_loader(hostile.train, 8, train=True))
    assert caught.value.where == "data.max_corrupt"


@pytest.mark.parametrize("options, key", [({"frames": 9}, "data.frames"), ({"size": 21}, "data.size")])
def test_more_than_is_stored_is_refused(tmp_path, options, key):
    with pytest.raises(UserError) as caught:
        VideoData(
            str(tmp_path),
            ClipCache("x", 1),
            **{"frames": 4, "size": 16, "stored_frames": 8, "stored_size": 20, **options},
        )
    assert caught.value.where == key
