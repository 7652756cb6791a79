"""Frames of a video file through PyAV: only the wanted ones are converted; seeks where that decodes less.

A seek is believed only if it landed at or before the key frame it was for, and a frame only if it has the time that was
asked for. Where either fails, or the file's times are no order, everything is decoded and frames go by their number.
"""

from collections.abc import Iterator
from contextlib import contextmanager, suppress
from itertools import groupby, pairwise
from typing import NamedTuple

import av
import numpy as np
from av.container import InputContainer
from av.video.frame import VideoFrame
from av.video.reformatter import VideoReformatter
from av.video.stream import VideoStream

from shared.errors import ImageError

MAX_PIXELS = 2**25  # a decoder allocates what a header claims; this is 8K
MAX_STRETCH = 8  # long and narrow frames are squeezed to so many times their shorter side
SEEK_COST = 5  # frames that could be decoded in the time of a seek (measured: 16 of 250 frames, 298 x 224)
# Containers that hold their own data. Left out are playlists, which would let a file name others, or addresses.
FORMATS = (
    "mov,mp4,avi,matroska,webm,mpeg,mpegts,mpegvideo,flv,asf,ogg,h264,hevc,m4v,gif,ivf,nut,dv,rm,swf,wtv,mxf"
)
SAFE = {"protocol_whitelist": "file", "format_whitelist": FORMATS}


REORDERED = ("avi",)  # containers whose times are those of decoding, whatever frames are shown first
SKIPPING = ("h264", "hevc"), ("mov", "matroska")  # codecs and containers where a packet is a frame
BROKEN = (av.FFmpegError, IndexError)  # what PyAV raises where a file is damaged


class Index(NamedTuple):
    """Presentation times of all frames shown and of the key frames, ascending, and how many packets there are.

    `exact`: the times can be relied on; else they are the numbers of the frames, as many as there seem to be.
    """

    times: np.ndarray
    keys: np.ndarray
    exact: bool
    packets: int = 0


@contextmanager
def opened(path: str) -> Iterator[tuple[InputContainer, VideoStream]]:
    """A file and its first video stream; raises ImageError, naming the file, for all that goes wrong inside."""
    try:
        with av.open(f"file:{path}", options=SAFE, metadata_errors="replace") as container:
            pictures = av.stream.Disposition.attached_pic
            films = [stream for stream in container.streams.video if not stream.disposition & pictures]
            if not films:
                sound = " but sound" if container.streams.audio else ""
                raise ImageError(f"{path}: holds no video{sound}")
            context = films[0].codec_context
            if context is None:
                raise ImageError(f"{path}: no decoder for its video")
            if context.width * context.height > MAX_PIXELS:
                raise ImageError(f"{path}: {context.width} x {context.height} pixels")
            context.thread_type, context.thread_count = "NONE", 1  # the loader's workers are the parallelism
            yield container, films[0]
    except (av.FFmpegError, OSError, ValueError) as error:
        raise ImageError(f"{path}: {getattr(error, 'strerror', None) or error}") from error


def packets(container: InputContainer, stream: VideoStream) -> Iterator[av.Packet]:
    """Packets in the order of the file; one that is damaged or cut short ends where it can no longer be read."""
    with suppress(*BROKEN):
        yield from container.demux(stream)


def scan(path: str) -> Index:
    """Read all packets without decoding them."""
    times, keys, count, exact = [], [], 0, True
    with opened(path) as (container, stream):
        exact = container.format.name not in REORDERED
        for packet in packets(container, stream):
            if packet.dts is None and packet.pts is None and not packet.size:
                continue  # the end
            count += 1
            exact &= packet.pts is not None
            if packet.is_keyframe:
                keys.append(packet.pts)
            # Before the first key frame nothing can be decoded; discarded frames are outside of an edit list.
            if packet.size and not packet.is_discard and keys:
                times.append(packet.pts)
    shown = [time for time in times if exact and time >= keys[0]]
    if not exact or len(set(shown)) < len(shown):
        return Index(np.arange(len(times)), np.arange(0), False, count)
    return Index(np.unique(shown), np.unique(keys), True, count)


def spread(times: np.ndarray, count: int) -> np.ndarray:
    """Times of the frames on show in the middles of `count` equal parts of the video; short videos repeat frames."""
    gap = np.median(np.diff(times)) if len(times) > 1 else 1
    moments = times[0] + (np.arange(count) + 0.5) * (times[-1] + gap - times[0]) / count
    return times[np.searchsorted(times, moments, side="right") - 1]


def segments(index: Index, wanted: np.ndarray) -> list[list[int]]:
    """The wanted times to be reached by one seek each; a single list means: straight from the start.

    From the key frame before them; groups of one key frame belong together.
    """
    if not index.exact or not len(index.keys):
        return [wanted.tolist()]
    key = np.searchsorted(index.keys, wanted, side="right") - 1
    groups = [
        [int(time) for _, time in group]
        for _, group in groupby(zip(key, wanted, strict=True), lambda p: p[0])
    ]
    starts = index.keys[np.unique(key).clip(min=0)]
    first, last = (np.searchsorted(index.times, t) for t in (starts, [group[-1] for group in groups]))
    sought = (last - first + 1 + SEEK_COST).sum()
    return groups if sought < last[-1] + 1 else [wanted.tolist()]


def read_clip(path: str, count: int, size: int) -> np.ndarray:
    """`count` frames spread over the video, upright, RGB uint8 (count, size, size, 3): the central square.

    They are those that decoding all of it would give. Raises ImageError for a file without a single frame that can be
    decoded.
    """
    index = scan(path)
    if not len(index.times):
        raise ImageError(f"{path}: holds no frames")
    wanted, found = spread(index.times, count), None
    if index.exact:
        groups = segments(index, np.unique(wanted))
        found = by_seeking(path, index, groups, size) if len(groups) > 1 else None
        found = found or in_order(path, np.unique(wanted).tolist(), size)
    if found is None:
        wanted, found = by_number(path, len(index.times), count, size)
    return np.stack([found[int(time)] for time in wanted])


Pictures = dict[int, np.ndarray]


def by_seeking(path: str, index: Index, groups: list[list[int]], size: int) -> Pictures | None:
    """The frames of each group from its key frame on, by their times; None if a seek or a frame missed its place."""
    found: Pictures = {}
    with opened(path) as (container, stream):
        for group in groups:
            key = int(index.keys[np.searchsorted(index.keys, group[0], side="right") - 1])
            container.seek(key, stream=stream, backward=True)
            pictures = collect(decoded(container, stream, group, key), stream, group, size)
            if pictures is None:
                return None
            found |= pictures
    return found


def in_order(path: str, wanted: list[int], size: int) -> Pictures | None:
    """The wanted frames from the start on, by their times; None if one is not among them."""
    with opened(path) as (container, stream):
        return collect(decoded(container, stream, wanted), stream, wanted, size)


def by_number(path: str, guess: int, count: int, size: int) -> tuple[np.ndarray, Pictures]:
    """`count` times spread over what decoding everything gives, and their frames; `guess`: how many there seem to be.

    Decoded once more if there are not as many as that.
    """
    wanted = spread(np.arange(guess), count)
    for _ in range(2):
        found, times, scaler, numbers = {}, [], VideoReformatter(), set(wanted.tolist())
        with opened(path) as (container, stream):
            for number, frame in enumerate(decoded(container, stream)):
                times.append(frame.pts)
                if number in numbers:
                    found[number] = convert(frame, size, scaler, pixel_aspect(stream))
        if not times:
            raise ImageError(f"{path}: none of its frames can be decoded")
        again = numbers_of(times, count)
        if set(again.tolist()) <= found.keys():
            return again, found
        wanted = again
    raise ImageError(f"{path}: its frames are not the same twice")


def numbers_of(times: list[int | None], count: int) -> np.ndarray:
    """Numbers of the frames on show in the middles of `count` equal parts; by their times, if those ascend."""
    if any(time is None for time in times) or any(b <= a for a, b in pairwise(times)):
        return spread(np.arange(len(times)), count)
    return np.searchsorted(times, spread(np.array(times), count))


def decoded(
    container: InputContainer, stream: VideoStream, wanted: list[int] | None = None, key: int | None = None
) -> Iterator[VideoFrame]:
    """Frames from here on; packets that are damaged are passed over.

    With `wanted` times, so are those that neither is wanted nor another predicted from, where a packet is a frame.
    With `key`, nothing comes unless the first packet is a key frame of that time or before.
    """
    context, needed = stream.codec_context, set(wanted or ())
    codecs, containers = SKIPPING
    skips = bool(needed) and context.name in codecs and container.format.name.startswith(containers)
    for packet in packets(container, stream):
        if key is not None:
            if packet.pts is None or packet.pts > key or not packet.is_keyframe:
                return
            key = None
        if skips:
            context.skip_frame = "DEFAULT" if packet.pts is None or packet.pts in needed else "NONREF"
        with suppress(*BROKEN):
            yield from packet.decode()
    with suppress(*BROKEN):  # what the decoder still holds if the file ended in damage
        yield from context.decode(None)


def collect(
    frames: Iterator[VideoFrame], stream: VideoStream, wanted: list[int], size: int
) -> Pictures | None:
    """The frames of the `wanted` times, ascending; only they are converted. None unless each of them comes in order."""
    found: Pictures = {}
    left, last = list(wanted), None
    scaler = VideoReformatter()  # keeps its tables from frame to frame
    for frame in frames:
        if frame.pts is None or (last is not None and frame.pts <= last) or frame.pts > left[0]:
            return None
        last = frame.pts
        if frame.pts == left[0]:
            found[left.pop(0)] = convert(frame, size, scaler, pixel_aspect(stream))
        if not left:
            return found
    return None


def pixel_aspect(stream: VideoStream) -> float:
    """Width over height of a pixel, as the container or else the video says it; 1 if they say none, or nonsense."""
    ratio = float(stream.sample_aspect_ratio or stream.codec_context.sample_aspect_ratio or 1)
    return ratio if 1 / MAX_STRETCH <= ratio <= MAX_STRETCH else 1.0


def convert(frame: VideoFrame, size: int, scaler: VideoReformatter, aspect: float) -> np.ndarray:
    """The central square of a frame at `size` x `size`: with square pixels, turned as the file's display matrix says.

    `aspect`: width over height of the file's pixels.
    """
    sides = frame.width * aspect, frame.height
    short = min(sides)
    width, height = (min(max(size, round(side * size / short)), MAX_STRETCH * size) for side in sides)
    mode = "AREA" if short > size else "BILINEAR"
    image = scaler.reformat(frame, width, height, "rgb24", interpolation=mode, threads=1).to_ndarray()
    top, left = (height - size) // 2, (width - size) // 2
    return np.rot90(image[top : top + size, left : left + size], round(frame.rotation / 90))
