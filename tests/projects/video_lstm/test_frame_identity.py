"""The frames of a clip are, bit for bit, those that decoding the whole file gives: every container, codec and GOP."""

import functools
from fractions import Fraction
from itertools import pairwise
from pathlib import Path

import av
import numpy as np
import pytest
from av.video.reformatter import VideoReformatter

from projects.video_lstm.videos import cache
from projects.video_lstm.videos.audit import look
from projects.video_lstm.videos.cache import ClipCache
from projects.video_lstm.videos.decode import (
    BROKEN,
    convert,
    in_order,
    opened,
    pixel_aspect,
    read_clip,
    scan,
    spread,
)
from projects.video_lstm.videos.splits import read_splits
from shared.errors import UserError

COUNTS = (1, 4, 16, 32)
FRAMES = 150
CASES = [
    (suffix, codec, gop, b)
    for suffix, codecs in {
        "mp4": ("libx264", "libx265", "mpeg4", "libsvtav1"),
        "mov": ("libx264", "mpeg4", "mjpeg"),
        "mkv": ("libx264", "libx265", "mpeg4", "libvpx-vp9", "ffv1"),
        "webm": ("libvpx", "libvpx-vp9", "libsvtav1"),
        "avi": ("libx264", "mpeg4", "msmpeg4v3", "mjpeg"),
        "ts": ("libx264", "libx265", "mpeg2video", "mpeg4"),
        "m2ts": ("libx264",),
        "mpg": ("mpeg2video", "mpeg1video"),
        "vob": ("mpeg2video",),
        "flv": ("libx264", "flv"),
        "wmv": ("wmv2",),
        "3gp": ("h263",),
        "h264": ("libx264",),
        "m2v": ("mpeg2video",),
    }.items()
    for codec in codecs
    for gop in (1, 12, 250)
    for b in ((0, 2) if codec in ("libx264", "libx265", "mpeg4", "mpeg2video", "mpeg1video") else (0,))
    if not (gop == 1 and b)
]


@functools.cache
def pictures(count: int = FRAMES) -> list[np.ndarray]:
    """Stripes that show the lowest eight bits of a frame's number, on a moving ground."""
    found = []
    for number in range(count):
        image = np.full((96, 128, 3), 40 + number % 60, np.uint8)
        for bit in range(8):
            image[24:72, 16 * bit : 16 * bit + 16] = 235 if number >> bit & 1 else 16
        found.append(image)
    return found


def encode(path, codec="libx264", gop=12, b=0, times=None, options=None, format_options=None, start=0):
    settings = {"threads": "1", "g": str(gop), "bf": str(b), **(options or {})}
    if codec == "libsvtav1":
        settings |= {"preset": "12", "svtav1-params": "logical_processors=1:pin=0"}
    if codec in ("libvpx", "libvpx-vp9"):
        settings |= {"deadline": "realtime", "cpu-used": "8"}
    settings |= {"preset": "ultrafast"} if codec in ("libx264", "libx265") else {}
    if codec == "libx265":
        settings |= {"x265-params": f"log-level=none:pools=1:frame-threads=1:bframes={b}:keyint={gop}"}
    size = (176, 144) if codec == "h263" else (128, 96)
    with av.open(str(path), "w", options=format_options or {}) as container:
        stream = container.add_stream(codec, rate=25, options=settings)
        stream.width, stream.height = size
        stream.pix_fmt = "yuvj420p" if codec == "mjpeg" else "yuv420p"
        for number, image in enumerate(pictures()):
            frame = av.VideoFrame.from_ndarray(image, format="rgb24").reformat(*size, stream.pix_fmt)
            frame.pict_type = 0
            frame.pts, frame.time_base = (times or range(start, start + FRAMES))[number], Fraction(1, 25)
            container.mux(stream.encode(frame))
        container.mux(stream.encode())
    return path


def everything(path, size=32):
    """All frames in the order in which they come out of the decoder, and their times."""
    found, times, scaler = [], [], VideoReformatter()
    with opened(str(path)) as (container, stream):
        try:
            for frame in container.decode(stream):
                found.append(convert(frame, size, scaler, pixel_aspect(stream)))
                times.append(frame.pts)
        except BROKEN:
            pass
    return found, times


def check(path, size=32):
    whole, times = everything(path, size)
    ascending = None not in times and all(a < b for a, b in pairwise(times))
    moments = np.array(times) if ascending else np.arange(len(whole))
    for count in COUNTS:
        expected = np.searchsorted(moments, spread(moments, count))
        clip = read_clip(str(path), count, size)
        wrong = [
            int(n) for n, frame in zip(expected, clip, strict=True) if not np.array_equal(frame, whole[n])
        ]
        assert wrong == [], f"{len(wrong)} of {count} frames are others"


@pytest.mark.parametrize("suffix, codec, gop, b", CASES)
def test_frames_are_those_of_the_whole_file(tmp_path, suffix, codec, gop, b):
    check(encode(tmp_path / f"a.{suffix}", codec, gop, b))


@pytest.mark.parametrize("suffix", ["mp4", "mkv", "ts"])
@pytest.mark.parametrize("b", [0, 3])
def test_open_gops(tmp_path, suffix, b):
    check(encode(tmp_path / f"a.{suffix}", gop=10, b=b, options={"x264-params": "open-gop=1:scenecut=0"}))


@pytest.mark.parametrize("suffix", ["mp4", "mkv", "ts"])
def test_intra_refresh_without_key_frames(tmp_path, suffix):
    check(encode(tmp_path / f"a.{suffix}", gop=30, options={"x264-params": "intra-refresh=1"}))


@pytest.mark.parametrize("suffix", ["mp4", "mkv", "ts"])
def test_times_that_are_irregular_or_begin_late(tmp_path, suffix):
    rng = np.random.default_rng(1)
    times = np.cumsum(rng.integers(1, 9, FRAMES)).tolist()
    check(encode(tmp_path / f"a.{suffix}", times=times, b=2))
    check(encode(tmp_path / f"b.{suffix}", start=5000, b=2))


def test_fragments_and_a_table_at_the_front(tmp_path):
    check(encode(tmp_path / "a.mp4", b=2, format_options={"movflags": "frag_keyframe+empty_moov"}))
    check(encode(tmp_path / "b.mp4", b=2, format_options={"movflags": "faststart"}))


@pytest.mark.parametrize("suffix", ["ts", "mpg", "mkv", "avi", "mp4"])
def test_a_recording_that_begins_and_ends_anywhere(tmp_path, suffix):
    codec = "mpeg2video" if suffix == "mpg" else "libx264"
    whole = encode(tmp_path / f"a.{suffix}", codec, 12, 2).read_bytes()
    parts = {"end": whole[: int(len(whole) * 0.7)], "holes": whole[:5000] + whole[7000:]}
    if suffix in ("ts", "mpg"):
        parts["begin"] = whole[188 * 40 :]
    for name, content in parts.items():
        path = tmp_path / f"{name}.{suffix}"
        path.write_bytes(content)
        try:
            every, _ = everything(path)
        except Exception:  # what cannot be opened at all is tested elsewhere
            continue
        if every:
            clip = read_clip(str(path), 8, 32)
            known = {frame.tobytes() for frame in every}
            assert all(frame.tobytes() in known for frame in clip)


def test_interlaced_and_deep_colours(tmp_path):
    flags = {"flags": "+ildct+ilme", "x264-params": "interlaced=1"}
    check(encode(tmp_path / "a.ts", gop=12, b=2, options=flags))
    check(encode(tmp_path / "b.mpg", "mpeg2video", 12, 2, options={"flags": "+ildct+ilme"}))


def test_seeks_are_used_where_they_can_be_trusted(tmp_path, monkeypatch):
    path = encode(tmp_path / "a.mp4", gop=5, b=2)
    assert scan(str(path)).exact
    monkeypatch.setattr(
        "projects.video_lstm.videos.decode.in_order", lambda *_: pytest.fail("read from the start")
    )
    read_clip(str(path), 8, 32)


def test_a_frame_that_does_not_come_is_no_other(tmp_path):
    path = str(encode(tmp_path / "a.mp4"))
    assert in_order(path, [1], 32) is None


def test_square_pixels(tmp_path):
    """A circle in pixels that are wider than high stays one."""
    path, radius = tmp_path / "a.mp4", 30
    y, x = np.mgrid[:96, :128]
    disc = (((x - 64) * 1.5) ** 2 + (y - 48) ** 2 < radius**2).astype(np.uint8) * 255
    with av.open(str(path), "w") as container:
        stream = container.add_stream("libx264", rate=25, options={"threads": "1"})
        stream.width, stream.height, stream.pix_fmt = 128, 96, "yuv420p"
        stream.codec_context.sample_aspect_ratio = Fraction(3, 2)
        for _ in range(5):
            container.mux(stream.encode(av.VideoFrame.from_ndarray(np.dstack([disc] * 3), format="rgb24")))
        container.mux(stream.encode())
    seen = read_clip(str(path), 1, 96)[0][..., 0] > 128
    assert abs(int(seen.any(0).sum()) - int(seen.any(1).sum())) <= 2


FILMS = Path(__file__).parent / "films"


@pytest.mark.parametrize("name", sorted(path.name for path in FILMS.iterdir()))
def test_films_of_other_programs(name):
    """An edit list that hides frames, B frames in AVI, hidden frames of AV1, a stream that ends in an error."""
    check(FILMS / name)
    assert look(str(FILMS / name)).error == ""
    assert look(str(FILMS / name)).missing == 0


def test_other_names_of_the_splits_and_what_is_no_data(tmp_path, caplog):
    film = FILMS / "trimmed_editlist.mp4"
    for place in (
        "Train/a/1.MTS",
        "Train/b/1.m2ts",
        "Val/a/2.VOB",
        "Val/b/2.divx",
        "Train/a/.ipynb_checkpoints/1.mp4",
    ):
        (tmp_path / place).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / place).write_bytes(film.read_bytes())
    (tmp_path / "Train/__MACOSX").mkdir()
    (tmp_path / "Train/a/notes.txt").write_text("not a film")
    (tmp_path / "Train/a/up").symlink_to(tmp_path / "Train")
    with caplog.at_level("WARNING"):
        train, val = read_splits(tmp_path, 1)
    assert [Path(path).name for path in train.paths] == ["1.MTS", "1.m2ts"]
    assert train.classes == val.classes == ["a", "b"] and len(val.paths) == 2
    assert "1 .txt" in caplog.text and "hidden" in caplog.text and "link back" in caplog.text


def test_training_videos_alone_are_split_and_one_class_is_said(tmp_path, caplog):
    for number in range(10):
        path = tmp_path / f"train/only/film{number}.mp4"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(b"film")
    with caplog.at_level("WARNING"):
        train, val = read_splits(tmp_path, 1)
    assert (len(train.paths), len(val.paths)) == (8, 2)
    assert "only one class, only" in caplog.text and "a fifth" in caplog.text


def test_a_class_of_other_files_is_told_what_it_holds(tmp_path):
    for name in ("train/a/x.mp4", "train/b/x.txt", "val/a/x.mp4"):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_bytes(b"")
    with pytest.raises(UserError, match=r"without videos, but 1 \.txt"):
        read_splits(tmp_path, 1)


def test_clips_of_an_earlier_way_of_choosing_frames_are_decoded_again(tmp_path, monkeypatch):
    (tmp_path / "videos").mkdir()
    path = encode(tmp_path / "videos/a.mp4")
    store = ClipCache(str(tmp_path / "cache"), 1.0)
    store.open(tmp_path / "videos", 4, 32)
    monkeypatch.setattr(cache, "VERSION", 0)
    store.read(str(path), 0)
    monkeypatch.undo()
    read = []
    monkeypatch.setattr(cache, "read_clip", lambda *given: read.append(given) or read_clip(*given))
    store.read(str(path), 0)
    store.read(str(path), 0)
    assert len(read) == 1
