"""FLAC files, decoded from a place before the part that is wanted: where FFmpeg's seek lands is checked."""

from typing import Any, BinaryIO, NamedTuple

import av
import numpy as np

from projects.voxceleb.audio.riff import AudioError, convert, refuse_rate

SIGNATURE = b"fLaC"


class Stream(NamedTuple):
    """What STREAMINFO says (RFC 9639, section 8.2); `frames` is 0 where the encoder did not know."""

    rate: int
    channels: int
    bits: int
    frames: int


def read_stream(file: BinaryIO, path: str) -> Stream:
    """The header; AudioError if it is none, or of another rate."""
    file.seek(len(SIGNATURE))
    block = file.read(38)
    packed = int.from_bytes(block[14:22], "big")
    stream = Stream(packed >> 44, (packed >> 41 & 7) + 1, (packed >> 36 & 31) + 1, packed & (2**36 - 1))
    if len(block) < 38 or block[0] & 127 or not stream.rate:
        raise AudioError(f"{path}: is FLAC without its header, and no WAV file; {convert(path)}")
    refuse_rate(path, stream.rate)
    return stream


def count_frames(file: BinaryIO, path: str) -> int:
    return read_stream(file, path).frames or len(read_flac(file, path, 0, None))


def read_flac(file: BinaryIO, path: str, start: int, frames: int | None) -> np.ndarray:
    """float32 (frames, channels) in [-1, 1] from `start` on, as many as there are; AudioError for a damaged file."""
    stream = read_stream(file, path)
    stop = None if frames is None else start + frames
    try:
        first, samples = decode(file, start, stop)
        if first > start:  # the seek landed late
            first, samples = decode(file, 0, stop)
    except (av.FFmpegError, IndexError, ValueError) as error:
        raise AudioError(f"{path}: is damaged FLAC: {error}") from error
    found = first + len(samples)
    wanted = stream.frames if stop is None else min(stop, stream.frames)
    if found < wanted or not found:
        raise AudioError(
            f"{path}: is cut off, its header promises {stream.frames} samples and it holds {found}"
        )
    return samples[start - first : None if stop is None else stop - first]


def decode(file: BinaryIO, start: int, stop: int | None) -> tuple[int, np.ndarray]:
    """Samples (n, channels) up to `stop` or a little more, and the number of the first, where a seek landed."""
    file.seek(0)
    parts: list[np.ndarray] = []
    first = found = 0
    with av.open(file, format="flac", metadata_errors="replace") as container:
        audio = container.streams.audio[0]
        audio.codec_context.options = {"err_detect": "crccheck+explode"}
        if start:
            container.seek(start, stream=audio, backward=True)
        for frame in container.decode(audio):
            if not parts:
                first = found = frame.pts or 0
            if frame.pts != found:
                raise ValueError(f"from sample {found} on")
            parts.append(samples_of(frame))
            found += len(parts[-1])
            if stop is not None and found >= stop:
                break
    return first, np.concatenate(parts) if parts else np.zeros((0, 1), np.float32)


def samples_of(frame: Any) -> np.ndarray:
    """float32 (samples, channels) of a frame, whose integers fill 16 or 32 bits, channel by channel or not."""
    array = frame.to_ndarray()
    channels = frame.layout.nb_channels
    rows = array.T if frame.format.is_planar else array.reshape(-1, channels)
    return rows.astype(np.float32) / np.float32(2.0 ** (8 * array.dtype.itemsize - 1))
