"""Frames are those that were asked for, upright, whatever the container; what is no video is refused by name."""

import numpy as np
import pytest

from projects.video_lstm.videos import decode
from projects.video_lstm.videos.decode import Index, read_clip, scan, segments, spread
from shared.errors import ImageError
from tests.projects.video_lstm.small_videos import READABLE, UNREADABLE, encode, numbers, ramp, rotate


@pytest.mark.parametrize(
    "name, codec, gop",
    [("a.mp4", "libx264", 250), ("a.mp4", "libx264", 6), ("a.avi", "mpeg4", 12), ("a.mkv", "libx264", 3)],
)
def test_frames_are_spread_over_the_whole_video(tmp_path, name, codec, gop):
    path = encode(tmp_path / name, ramp(40), codec, gop)
    clip = read_clip(str(path), 8, 32)
    assert clip.shape == (8, 32, 32, 3) and clip.dtype == np.uint8
    assert numbers(clip) == [2, 7, 12, 17, 22, 27, 32, 37]


def test_seeking_finds_the_frames_of_decoding_all(tmp_path, monkeypatch):
    path = str(encode(tmp_path / "a.mp4", ramp(46), gop=4))
    sought = read_clip(path, 5, 32)
    assert len(segments(scan(path), np.unique(spread(scan(path).times, 5)))) == 5
    monkeypatch.setattr(decode, "SEEK_COST", 1000)
    assert np.array_equal(read_clip(path, 5, 32), sought)


def test_seeks_only_where_that_decodes_less():
    times = np.arange(250)
    wanted = spread(times, 16)
    assert (
        len(segments(Index(times, times[:1], True), wanted)) == 1
    )  # one key frame: as good as from the start
    assert len(segments(Index(times, times[::12], True), wanted)) == 16
    assert (
        len(segments(Index(times, times[::60], True), wanted)) == 1
    )  # four seeks would still decode nearly all
    assert len(segments(Index(times, times[::12], False), wanted)) == 1  # no times: nothing to seek
    assert len(segments(Index(times, times[::100], True), np.array([210, 220]))) == 1


def test_time_counts_not_the_number_of_frames(tmp_path):
    times = [0, 10, 20, 30, 500, 510, 2000, 2010, 2020, 4000]
    clip = read_clip(str(encode(tmp_path / "a.mp4", ramp(10), times=times)), 4, 32)
    assert numbers(clip) == [4, 5, 8, 8]  # on show at about 0.5, 1.5, 2.5 and 3.5 s


def test_a_short_video_repeats_frames(tmp_path):
    assert numbers(read_clip(str(encode(tmp_path / "a.mp4", ramp(1))), 4, 32)) == [0] * 4
    assert numbers(read_clip(str(encode(tmp_path / "b.avi", ramp(2), "mpeg4")), 4, 32)) == [0, 0, 1, 1]


@pytest.mark.parametrize("degrees, turns", [(90, -1), (180, 2), (270, 1)])
def test_a_turned_video_is_turned_upright(tmp_path, degrees, turns):
    plain = read_clip(str(encode(tmp_path / "a.mp4", ramp())), 4, 32).astype(int)
    turned = read_clip(str(rotate(encode(tmp_path / "b.mp4", ramp()), degrees)), 4, 32)
    assert np.abs(np.rot90(plain, turns, (1, 2)) - turned).mean() < 2


def test_a_video_cut_short_or_damaged_gives_what_is_left(tmp_path):
    half = numbers(read_clip(str(READABLE["half.avi"](tmp_path / "half.avi")), 4, 32))
    assert half == [2, 6, 10, 14]  # of the 16 that are left of 40


@pytest.mark.parametrize("name", READABLE)
def test_odd_videos_are_read(tmp_path, name):
    clip = read_clip(str(READABLE[name](tmp_path / name)), 4, 32)
    assert clip.shape == (4, 32, 32, 3)


@pytest.mark.parametrize("name", UNREADABLE)
def test_what_is_no_video_is_refused_by_name(tmp_path, name):
    with pytest.raises(ImageError, match=name):
        read_clip(str(UNREADABLE[name](tmp_path / name)), 4, 32)


@pytest.mark.parametrize(
    "name, content",
    [
        ("list.mp4", b"ffconcat version 1.0\nfile real.mp4\n"),
        ("list.m3u8", b"#EXTM3U\n#EXT-X-TARGETDURATION:1\n#EXTINF:1,\nreal.mp4\n#EXT-X-ENDLIST\n"),
    ],
)
def test_a_file_may_not_send_the_reader_to_another(tmp_path, name, content):
    encode(tmp_path / "real.mp4", ramp())
    (tmp_path / name).write_bytes(content)
    with pytest.raises(ImageError, match=name):
        read_clip(str(tmp_path / name), 4, 32)


def test_frames_beyond_all_reason_are_refused(tmp_path, monkeypatch):
    monkeypatch.setattr(decode, "MAX_PIXELS", 48 * 64 - 1)
    with pytest.raises(ImageError, match="64 x 48 pixels"):
        read_clip(str(encode(tmp_path / "a.mp4", ramp(2))), 4, 32)


def test_a_file_that_is_not_there_is_refused_by_name(tmp_path):
    with pytest.raises(ImageError, match="nowhere"):
        read_clip(str(tmp_path / "nowhere.mp4"), 4, 32)
