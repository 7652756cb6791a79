"""Mono speech at 16 kHz from WAV and FLAC files, read in parts; whatever is wrong with a file is said by name."""

import wave
from pathlib import Path

import numpy as np

from projects.voxceleb.audio import flac
from projects.voxceleb.audio.features import SAMPLE_RATE
from projects.voxceleb.audio.riff import AudioError, read_layout
from projects.voxceleb.audio.samples import unpack
from shared.data.shards.reader import open_sample

SUFFIXES = (".wav", ".wave", ".flac")
LOUDEST = 32768.0  # float files beyond are no audio; some hold 16-bit values unscaled


def is_sound(name: str) -> bool:
    """Whether a file of this name is read."""
    return name.lower().endswith(SUFFIXES)


def frames_of(path: str) -> int:
    """Length of a file in samples, from its header."""
    try:
        with open_sample(path) as file:
            if file.read(4) == flac.SIGNATURE:
                return flac.count_frames(file, path)
            return read_layout(file, path).frames
    except OSError as error:
        raise AudioError(f"{path}: {error.strerror or error}") from error


def read_wave(path: str, start: int = 0, frames: int | None = None) -> np.ndarray:
    """float32 samples in [-1, 1] from `start` on, as many as `frames` or as there are; channels are averaged.

    Raises AudioError for what is neither WAV nor FLAC, has another rate, is empty or cut off, or holds NaN, Inf or no
    audio levels.
    """
    try:
        with open_sample(path) as file:
            if file.read(4) == flac.SIGNATURE:
                samples = flac.read_flac(file, path, start, frames)
            else:
                layout = read_layout(file, path)
                count = max(0, min(layout.frames - start, layout.frames if frames is None else frames))
                file.seek(layout.offset + start * layout.channels * layout.bytes_each)
                samples = unpack(file.read(count * layout.channels * layout.bytes_each), layout)
    except OSError as error:
        raise AudioError(f"{path}: {error.strerror or error}") from error
    peak = np.abs(samples).max(initial=0.0)  # NaN if any sample is
    if not peak <= LOUDEST:
        raise AudioError(f"{path}: holds samples that are no audio (largest magnitude {peak:g})")
    return samples.astype(np.float32).mean(1)


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
