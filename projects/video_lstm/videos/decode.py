"""Frames of a video file through PyAV: only the wanted ones are converted; seeks where that decodes less."""

from collections.abc import Iterator
from contextlib import contextmanager, suppress
from itertools import groupby
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


class Index(NamedTuple):
    """Presentation times of all frames and of the key frames, ascending; `exact` unless the file holds no times."""

    times: np.ndarray
    keys: np.ndarray
    exact: bool


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


def scan(path: str) -> Index:
    """Read all packets without decoding them. A file cut short ends where it can no longer be read."""
    packets = []
    with opened(path) as (container, stream), suppress(av.FFmpegError):
        for packet in container.demux(stream):
            if packet.size and not packet.is_discard:
                packets.append((packet.pts, packet.is_keyframe))
    exact = all(time is not None for time, _ in packets)
    times = [time if exact else number for number, (time, _) in enumerate(packets)]
    keys = [time for time, (_, is_key) in zip(times, packets, strict=True) if is_key]
    return Index(np.unique(times), np.unique(keys), exact)


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

    Raises ImageError for a file without a single frame that can be decoded; where some cannot, the next one that can
    stands in.
    """
    index = scan(path)
    if not len(index.times):
        raise ImageError(f"{path}: holds no frames")
    wanted = spread(index.times, count)
    groups = segments(index, np.unique(wanted))
    found: dict[int, np.ndarray] = {}
    with opened(path) as (container, stream):
        for group in groups:
            if len(groups) > 1:
                container.seek(group[0], stream=stream, backward=True)
            frames = decoded(container, stream, group if index.exact else index.times.tolist())
            found |= collect(frames, group, index.exact, size)
    if not found:
        raise ImageError(f"{path}: none of its frames can be decoded")
    known = np.array(sorted(found))
    nearest = known[np.searchsorted(known, wanted).clip(max=len(known) - 1)]
    return np.stack([found[int(time)] for time in nearest])


def decoded(container: InputContainer, stream: VideoStream, wanted: list[int]) -> Iterator[VideoFrame]:
    """Frames from here on, among them the wanted ones; those that no other is predicted from may be passed over.

    So are packets that are damaged; a file cut short ends there.
    """
    needed = set(wanted)
    with suppress(av.FFmpegError):
        for packet in container.demux(stream):
            used = packet.pts is None or packet.pts in needed
            stream.codec_context.skip_frame = "DEFAULT" if used else "NONREF"
            with suppress(av.FFmpegError):
                yield from packet.decode()


def collect(frames: Iterator[VideoFrame], wanted: list[int], exact: bool, size: int) -> dict[int, np.ndarray]:
    """Decode until the last wanted time; only the wanted frames are converted."""
    found, left, scaler = {}, list(wanted), VideoReformatter()  # keeps its tables from frame to frame
    for number, frame in enumerate(frames):
        time = frame.pts if exact and frame.pts is not None else number
        if time >= left[0]:
            picture = convert(frame, size, scaler)
            while left and time >= left[0]:
                found[left.pop(0)] = picture
        if not left:
            break
    return found


def convert(frame: VideoFrame, size: int, scaler: VideoReformatter) -> np.ndarray:
    """The central square of a frame at `size` x `size`, turned as the file's display matrix says."""
    short = min(frame.width, frame.height)
    width, height = (
        min(max(size, round(side * size / short)), MAX_STRETCH * size) for side in (frame.width, frame.height)
    )
    mode = "AREA" if short > size else "BILINEAR"
    image = scaler.reformat(frame, width, height, "rgb24", interpolation=mode, threads=1).to_ndarray()
    top, left = (height - size) // 2, (width - size) // 2
    return np.rot90(image[top : top + size, left : left + size], round(frame.rotation / 90))
