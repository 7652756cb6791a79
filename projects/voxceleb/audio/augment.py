"""Noise, reverberation, speed and codec effects on training crops; MUSAN and room responses where there are files."""

import numpy as np
from numpy.random import Generator

from projects.voxceleb.audio.features import SAMPLE_RATE
from projects.voxceleb.audio.waves import AudioError, frames_of, is_sound, read_wave, repeated
from shared.data.folder import find_files
from shared.errors import UserError
from shared.files import local_path

MEND = "repair or delete the file"
# Kind of MUSAN file: SNR in dB, number of files mixed (as in clovaai/voxceleb_trainer).
MUSAN = {"noise": ((0, 15), (1, 1)), "music": ((5, 15), (1, 1)), "speech": ((13, 20), (3, 7))}
ROOM = 4000  # samples of a synthetic response


class Augment:
    """One effect, drawn evenly, on a share `probability` of the crops; the result depends on `draw` alone.

    `musan` holds noise/, music/ and speech/ (openslr.org/17), `rir` any WAV files of room responses (openslr.org/28);
    without them noise and rooms are synthesised. Called with samples (N,), returns as many.
    """

    def __init__(self, probability: float = 0.6, musan: str | None = None, rir: str | None = None) -> None:
        if not 0 <= probability <= 1:
            raise UserError(f"a probability of {probability}", "data.augment.probability", "choose 0 to 1")
        self.probability = probability
        self.musan = {kind: files(musan, kind, "data.augment.musan") for kind in MUSAN} if musan else {}
        self.rooms = files(rir, ".", "data.augment.rir") if rir else []
        self.effects = [self.reverberate, speed, codec]
        self.effects += [self.mix_musan] * len(MUSAN) if musan else [coloured_noise]

    def __call__(self, wave: np.ndarray, draw: Generator) -> np.ndarray:
        if draw.random() >= self.probability:
            return wave
        effect = self.effects[draw.integers(len(self.effects))]
        return effect(wave, draw).astype(np.float32)

    def reverberate(self, wave: np.ndarray, draw: Generator) -> np.ndarray:
        room = read_room(self.rooms[draw.integers(len(self.rooms))]) if self.rooms else synthetic_room(draw)
        room = room / np.sqrt(np.square(room).sum() + 1e-12)
        size = len(wave) + len(room)
        return np.fft.irfft(np.fft.rfft(wave, size) * np.fft.rfft(room, size), size)[: len(wave)]

    def mix_musan(self, wave: np.ndarray, draw: Generator) -> np.ndarray:
        kind = list(MUSAN)[draw.integers(len(MUSAN))]
        (low, high), (fewest, most) = MUSAN[kind]
        paths = self.musan[kind]
        chosen = draw.choice(len(paths), min(len(paths), draw.integers(fewest, most + 1)), replace=False)
        for number in chosen:
            wave = mix(wave, read_part(paths[number], len(wave), draw), draw.uniform(low, high))
        return wave


def files(folder: str, kind: str, where: str) -> list[str]:
    place = local_path(folder, where) / kind
    found = find_files(place, is_sound) if place.is_dir() else []
    if not found:
        raise UserError(f"no WAV files in {folder}/{kind}", where, "give the unpacked folder, or null")
    return found


def read_part(path: str, samples: int, draw: Generator) -> np.ndarray:
    try:
        spare = frames_of(path) - samples
        return repeated(read_wave(path, int(draw.integers(spare + 1)) if spare > 0 else 0, samples), samples)
    except AudioError as error:
        raise UserError(str(error), "data.augment.musan", MEND) from error


def read_room(path: str) -> np.ndarray:
    try:
        return read_wave(path)
    except AudioError as error:
        raise UserError(str(error), "data.augment.rir", MEND) from error


def mix(wave: np.ndarray, noise: np.ndarray, decibels: float) -> np.ndarray:
    """The wave and a noise that is `decibels` weaker, by mean power."""
    ratio = np.sqrt((np.square(wave).mean() + 1e-12) / (np.square(noise).mean() + 1e-12))
    return wave + noise * ratio * 10 ** (-decibels / 20)


def coloured_noise(wave: np.ndarray, draw: Generator) -> np.ndarray:
    """Noise between white and red at 0-15 dB."""
    spectrum = np.fft.rfft(draw.standard_normal(len(wave)))
    spectrum *= (1 + np.arange(len(spectrum)) / len(spectrum) * 100) ** -draw.uniform(0, 1)
    return mix(wave, np.fft.irfft(spectrum, len(wave)), draw.uniform(0, 15))


def synthetic_room(draw: Generator) -> np.ndarray:
    """A direct sound and a noise tail that falls by 60 dB in 0.1 to 0.5 s."""
    time = np.arange(ROOM) / SAMPLE_RATE
    tail = (
        draw.standard_normal(ROOM) * np.exp(-6.9 * time / draw.uniform(0.1, 0.5)) * draw.uniform(0.02, 0.15)
    )
    tail[0] = 1.0
    return tail


def speed(wave: np.ndarray, draw: Generator) -> np.ndarray:
    """Up to 5 % slower or faster, by linear interpolation; little enough for the voice to stay the speaker's."""
    places = np.arange(len(wave)) * draw.uniform(0.95, 1.05)
    return np.interp(places % (len(wave) - 1), np.arange(len(wave)), wave)


def codec(wave: np.ndarray, draw: Generator) -> np.ndarray:
    """A telephone: 300-3400 Hz, then 8-bit mu-law (ITU-T G.711)."""
    spectrum = np.fft.rfft(wave)
    hertz = np.fft.rfftfreq(len(wave), 1 / SAMPLE_RATE)
    spectrum[(hertz < 300) | (hertz > 3400)] = 0
    narrow = np.fft.irfft(spectrum, len(wave))
    peak = np.abs(narrow).max() + 1e-12
    coded = np.sign(narrow) * np.log1p(255 * np.abs(narrow) / peak) / np.log(256)
    coded = np.rint(coded * 127) / 127
    return np.sign(coded) * np.expm1(np.abs(coded) * np.log(256)) / 255 * peak
