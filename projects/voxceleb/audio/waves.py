"""Mono speech at 16 kHz from WAV files, read in parts; whatever is wrong with a file is said by name."""

import struct
import wave
from pathlib import Path
from typing import BinaryIO, NamedTuple

import numpy as np

from projects.voxceleb.audio.features import SAMPLE_RATE
from shared.data.shards.reader import open_sample

PCM, FLOAT, EXTENSIBLE = 1, 3, 0xFFFE
UNKNOWN_SIZE = 0xFFFFFFFF  # what programs write that stream and cannot go back
LOUDEST = 32768.0  # float files beyond are no audio; some hold 16-bit values unscaled
DTYPES = {
    (PCM, 8): "u1",
    (PCM, 16): "<i2",
    (PCM, 32): "<i4",
    (FLOAT, 32): "<f4",
    (FLOAT, 64): "<f8",
}


class AudioError(Exception):
    """A file that cannot be used as speech; the text names it and says why."""


class Layout(NamedTuple):
    """Where the samples of a WAV file lie: `offset` in bytes, `frames` in samples of each channel."""

    dtype: np.dtype
    channels: int
    offset: int
    frames: int


def frames_of(path: str) -> int:
    """Length of a file in samples, from its header."""
    try:
        with open_sample(path) as file:
            return read_layout(file, path).frames
    except OSError as error:
        raise AudioError(f"{path}: {error.strerror}") from error


def read_wave(path: str, start: int = 0, frames: int | None = None) -> np.ndarray:
    """float32 samples in [-1, 1] from `start` on, as many as `frames` or as there are; channels are averaged.

    Raises AudioError for what is no WAV, has another rate, is empty or cut off, or holds NaN, Inf or no audio levels.
    """
    try:
        with open_sample(path) as file:
            layout = read_layout(file, path)
            count = max(0, min(layout.frames - start, layout.frames if frames is None else frames))
            file.seek(layout.offset + start * layout.channels * layout.dtype.itemsize)
            data = file.read(count * layout.channels * layout.dtype.itemsize)
            samples = np.frombuffer(data, layout.dtype, len(data) // layout.dtype.itemsize)
    except OSError as error:
        raise AudioError(f"{path}: {error.strerror}") from error
    return scaled(samples, path).reshape(-1, layout.channels).mean(1)


def scaled(samples: np.ndarray, path: str) -> np.ndarray:
    """float32 samples in [-1, 1] of any stored type."""
    if samples.dtype.kind == "f":
        peak = np.abs(samples).max(initial=0.0)  # NaN if any sample is
        if not peak <= LOUDEST:
            raise AudioError(f"{path}: holds samples that are no audio (largest magnitude {peak:g})")
        return samples.astype(np.float32)
    middle = 128 if samples.dtype.kind == "u" else 0
    half = 2.0 ** (8 * samples.dtype.itemsize - 1)
    return (samples.astype(np.float32) - middle) / np.float32(half)


def read_layout(file: BinaryIO, path: str) -> Layout:
    """Walk the chunks of a RIFF file to its samples."""
    size = file.seek(0, 2)
    file.seek(0)
    head = file.read(12)
    if head[:4] != b"RIFF" or head[8:] != b"WAVE":
        raise AudioError(f"{path}: is no WAV file; convert it: ffmpeg -i IN -ac 1 -ar {SAMPLE_RATE} OUT.wav")
    form = None
    while len(chunk := file.read(8)) == 8:
        name, length = struct.unpack("<4sI", chunk)
        if name == b"data" and form is not None:
            return layout_of(form, file.tell(), length, size, path)
        if name == b"fmt ":
            form = file.read(length)
            file.seek(length % 2, 1)
        else:
            file.seek(length + length % 2, 1)
    raise AudioError(f"{path}: has no samples in it")


def layout_of(form: bytes, offset: int, length: int, size: int, path: str) -> Layout:
    """Check the format chunk against what is read here, and the length against the file."""
    if len(form) < 16:
        raise AudioError(f"{path}: its format is cut off")
    code, channels, rate, _, _, bits = struct.unpack("<HHIIHH", form[:16])
    if code == EXTENSIBLE and len(form) >= 26:
        code = struct.unpack("<H", form[24:26])[0]
    if (code, bits) not in DTYPES or not channels:
        raise AudioError(f"{path}: samples of format {code} with {bits} bits are not read here")
    if rate != SAMPLE_RATE:
        raise AudioError(
            f"{path}: has {rate} Hz instead of {SAMPLE_RATE}; convert it with ffmpeg -ar {SAMPLE_RATE}"
        )
    dtype = np.dtype(DTYPES[code, bits])
    held = (size - offset) // (channels * dtype.itemsize)
    promised = held if length == UNKNOWN_SIZE else length // (channels * dtype.itemsize)
    if promised > held:
        raise AudioError(f"{path}: is cut off, its header promises {promised} samples and it holds {held}")
    if not promised:
        raise AudioError(f"{path}: is empty")
    return Layout(dtype, channels, offset, promised)


def write_wave(path: Path, samples: np.ndarray) -> None:
    """16-bit mono file of samples in [-1, 1]; what lies beyond is clipped."""
    with wave.open(str(path), "wb") as file:
        file.setnchannels(1)
        file.setsampwidth(2)
        file.setframerate(SAMPLE_RATE)
        file.writeframes(np.rint(np.clip(samples, -1, 1) * 32767).astype("<i2").tobytes())


def repeated(samples: np.ndarray, frames: int) -> np.ndarray:
    """The samples over and over, until there are `frames` of them."""
    return np.resize(samples, frames) if len(samples) < frames else samples
