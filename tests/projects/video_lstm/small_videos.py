"""Small videos for the tests: sound ones, and all that can be wrong with one."""

import struct
from collections.abc import Callable
from fractions import Fraction
from pathlib import Path

import av
import numpy as np

from shared.data.images import encode_jpeg

Frames = np.ndarray
MILLISECOND = Fraction(1, 1000)


def ramp(frames: int = 40, height: int = 48, width: int = 64) -> Frames:
    """Uint8 (frames, height, width, 3): frame i is grey 5 i + 20, but for a white square in its top left corner."""
    clip = np.zeros((frames, height, width, 3), np.uint8)
    clip += (5 * np.arange(frames, dtype=np.uint8) + 20)[:, None, None, None]
    clip[:, : height // 3, : height // 3] = 255
    return clip


def grainy(frames: int = 40) -> Frames:
    """A ramp with so much noise that its data outweigh the headers."""
    noise = np.random.default_rng(0).integers(-15, 16, (frames, 48, 64, 1))
    return (ramp(frames) + noise).clip(0, 255).astype(np.uint8)


def numbers(clip: Frames) -> list[int]:
    """Which frames of a ramp these are, from their lower right corner."""
    grey = clip[:, -12:-2, -12:-2].astype(float).mean((1, 2, 3))
    return np.rint((grey - 20) / 5).astype(int).tolist()


def encode(
    path: Path, frames: Frames, codec: str = "libx264", gop: int = 250, times: list[int] | None = None
) -> Path:
    """Write a video at 25 frames a second, or with the frames at `times` in ms."""
    path.parent.mkdir(parents=True, exist_ok=True)
    height, width = frames.shape[1:3]
    with av.open(str(path), "w") as container:
        stream = container.add_stream(codec, rate=25, options={"threads": "1", "g": str(gop)})
        stream.height, stream.width = height, width
        stream.pix_fmt = "yuv444p" if height % 2 or width % 2 else "yuv420p"
        if times:
            stream.time_base = stream.codec_context.time_base = MILLISECOND
        for number, image in enumerate(frames):
            frame = av.VideoFrame.from_ndarray(image, format="rgb24")
            if times:
                frame.pts, frame.time_base = times[number], MILLISECOND
            container.mux(stream.encode(frame))
        container.mux(stream.encode())
    return path


def rotate(path: Path, degrees: int) -> Path:
    """Tag an MP4 to be shown turned clockwise by 90, 180 or 270 degrees: the matrix of its track header."""
    a, b = {90: (0, 1), 180: (-1, 0), 270: (0, -1)}[degrees]
    content = bytearray(path.read_bytes())
    matrix = struct.pack(">9i", a << 16, b << 16, 0, -b << 16, a << 16, 0, 0, 0, 1 << 30)
    place = content.index(b"tkhd") + 4 + 40
    content[place : place + 36] = matrix
    path.write_bytes(content)
    return path


def sound(path: Path) -> Path:
    """A second of audio and nothing else."""
    with av.open(str(path), "w") as container:
        stream = container.add_stream("aac", rate=16000, layout="mono")
        wave = np.sin(np.arange(16000) / 10).astype(np.float32)[None]
        frame = av.AudioFrame.from_ndarray(wave, format="fltp", layout="mono")
        frame.sample_rate, frame.pts = 16000, 0
        container.mux(stream.encode(frame))
        container.mux(stream.encode())
    return path


def cut(path: Path, share: float) -> Path:
    content = path.read_bytes()
    path.write_bytes(content[: int(len(content) * share)])
    return path


def damage(path: Path) -> Path:
    """Noise over the middle half."""
    content = bytearray(path.read_bytes())
    quarter = len(content) // 4
    content[quarter : 3 * quarter] = np.random.default_rng(0).bytes(2 * quarter)
    path.write_bytes(content)
    return path


def put(path: Path, content: bytes) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(content)
    return path


PLAYLIST = b"#EXTM3U\n#EXT-X-TARGETDURATION:1\n#EXTINF:1,\nfile:///etc/passwd\n#EXT-X-ENDLIST\n"
CONCAT = b"ffconcat version 1.0\nfile /etc/passwd\n"
JPEG = encode_jpeg(np.zeros((16, 16, 3), np.uint8))

# What can be read, and what cannot, by file name.
READABLE: dict[str, Callable[[Path], Path]] = {
    "plain.mp4": lambda p: encode(p, ramp()),
    "one_frame.mp4": lambda p: encode(p, ramp(1)),
    "two_frames.avi": lambda p: encode(p, ramp(2), "mpeg4"),
    "odd_size.mp4": lambda p: encode(p, ramp(12, 47, 63)),
    "tiny.mp4": lambda p: encode(p, ramp(12, 2, 2)),
    "narrow.avi": lambda p: encode(p, ramp(12, 400, 4), "mpeg4"),
    "wide.mp4": lambda p: encode(p, ramp(12, 16, 640)),
    "variable_rate.mp4": lambda p: encode(
        p, ramp(10), times=[0, 10, 20, 30, 500, 510, 2000, 2010, 2020, 4000]
    ),
    "variable_rate.mkv": lambda p: encode(
        p, ramp(10), times=[0, 10, 20, 30, 500, 510, 2000, 2010, 2020, 4000]
    ),
    "late_start.mp4": lambda p: encode(p, ramp(10), times=[5000 + 40 * i for i in range(10)]),
    "turned_90.mp4": lambda p: rotate(encode(p, ramp()), 90),
    "turned_180.mp4": lambda p: rotate(encode(p, ramp()), 180),
    "turned_270.mp4": lambda p: rotate(encode(p, ramp()), 270),
    "mp4_named.avi": lambda p: encode(p.with_suffix(".mp4"), ramp()).rename(p),
    "avi_named.mp4": lambda p: encode(p.with_suffix(".avi"), ramp(), "mpeg4").rename(p),
    "half.avi": lambda p: cut(encode(p, grainy(), "mpeg4", gop=5), 0.8),
    "half.ts": lambda p: cut(encode(p, grainy(), gop=5), 0.5),
    "damaged.avi": lambda p: damage(encode(p, grainy(), "mpeg4", gop=5)),
    "damaged.mp4": lambda p: damage(encode(p, grainy(), gop=5)),
    "name with spaces, Ümläut and : colon.mp4": lambda p: encode(p, ramp()),
    "short_gop.mp4": lambda p: encode(p, ramp(), gop=2),
}
UNREADABLE: dict[str, Callable[[Path], Path]] = {
    "empty.mp4": lambda p: put(p, b""),
    "text.mp4": lambda p: put(p, b"no video, honestly\n" * 50),
    "zeros.avi": lambda p: put(p, bytes(5000)),
    "noise.mkv": lambda p: put(p, np.random.default_rng(1).bytes(5000)),
    "picture.mp4": lambda p: put(p, JPEG),
    "playlist.mp4": lambda p: put(p, PLAYLIST),
    "concat.mp4": lambda p: put(p, CONCAT),
    "half.mp4": lambda p: cut(encode(p, ramp()), 0.5),
    "header_only.avi": lambda p: cut(encode(p, ramp(), "mpeg4"), 0.02),
    "sound_only.mp4": sound,
}


def write_hostile(folder: Path) -> int:
    """All of them in class folders `train/` and `val/`, each beside sound files; returns their number."""
    makers = {**READABLE, **UNREADABLE}
    for number, (name, make) in enumerate(makers.items()):
        place = folder / "train" / ("first", "second")[number % 2] / name
        place.parent.mkdir(parents=True, exist_ok=True)
        make(place)
    for split in ("train", "val"):
        for label in ("first", "second"):
            for number in range(4):
                encode(folder / split / label / f"sound_{number}.mp4", ramp(20 + number))
    return len(makers)
