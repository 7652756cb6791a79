"""Speech-like sound from a source-filter model in plain numpy: a glottal pulse train and noise, shaped by formants.

Speakers differ in vocal tract length, formant positions, pitch, jitter, breathiness, spectral slope and speaking rate
(G. Fant, Acoustic Theory of Speech Production, 1960). A recording adds a room, a microphone and noise.
"""

from typing import NamedTuple

import numpy as np
from numpy.random import Generator

from projects.voxceleb.audio.features import SAMPLE_RATE

N_FFT, HOP = 512, 128  # samples of the frames in which formants act
FREQUENCIES = np.fft.rfftfreq(N_FFT, 1 / SAMPLE_RATE)
# First three formants in Hz of ten vowels, means over adult men (Peterson and Barney 1952).
VOWELS = np.array(
    [
        (270, 2290, 3010), (390, 1990, 2550), (530, 1840, 2480), (660, 1720, 2410), (730, 1090, 2440),
        (570, 840, 2410), (440, 1020, 2240), (300, 870, 2240), (640, 1190, 2390), (490, 1350, 1690),
    ]
)  # fmt: skip


class Speaker(NamedTuple):
    """`formants`: factors on five formants; `pitch` in Hz; `rate` in sounds a second; the rest are shares."""

    formants: np.ndarray
    bandwidth: float
    pitch: float
    melody: float
    jitter: float
    breath: float
    slope: float
    opening: float
    rate: float


def draw_speaker(draw: Generator, female: bool) -> Speaker:
    tract = draw.normal(1.17 if female else 1.0, 0.06)
    return Speaker(
        formants=tract * np.exp(draw.normal(0, 0.06, 5)),
        bandwidth=np.exp(draw.normal(0, 0.2)),
        pitch=np.exp(draw.normal(np.log(205 if female else 118), 0.18)),
        melody=draw.uniform(0.04, 0.16),
        jitter=draw.uniform(0.003, 0.025),
        breath=draw.uniform(0.01, 0.12),
        slope=draw.uniform(0.6, 1.5),
        opening=draw.uniform(0.45, 0.75),
        rate=draw.uniform(7, 12),
    )


def speak(speaker: Speaker, seconds: float, draw: Generator) -> np.ndarray:
    """A clean utterance with peak 1: random sounds, a falling melody, a pause now and then."""
    frames = int(seconds * SAMPLE_RATE) // HOP + 1
    formants, voicing, loudness = sounds(speaker, frames, draw)
    source = excite(speaker, voicing, frames * HOP, draw)
    gain = loudness[:, None] * np.where(
        voicing[:, None] > 0.5, vowel_gain(speaker, formants), hiss_gain(formants)
    )
    wave = filter_frames(source, gain)
    return wave / np.abs(wave).max()


def sounds(speaker: Speaker, frames: int, draw: Generator) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Per frame: five formants in Hz (frames, 5), voicing and loudness (frames,), moving from sound to sound."""
    length = SAMPLE_RATE / HOP / speaker.rate
    count = int(frames / length * 1.6) + 4
    kinds = draw.choice(3, count, p=(0.72, 0.18, 0.10))  # vowel, hiss, pause
    places = np.cumsum(length * draw.uniform(0.6, 1.4, count))
    upper = np.array([[3500.0, 4500.0]]).repeat(count, 0)
    targets = np.concatenate((VOWELS[draw.integers(len(VOWELS), size=count)], upper), 1)
    targets *= np.exp(draw.normal(0, 0.03, targets.shape)) * speaker.formants
    time = np.arange(frames)
    formants = np.stack([np.interp(time, places, track) for track in targets.T], 1)
    sound = np.searchsorted(places, time).clip(max=count - 1)
    level = np.choose(kinds, (1.0, 0.3, 0.02)) * draw.uniform(0.6, 1.0, count)
    loudness = np.convolve(np.pad(level[sound], 2, "edge"), np.full(5, 0.2), "valid")
    return formants, (kinds[sound] == 0).astype(float), loudness


def excite(speaker: Speaker, voicing: np.ndarray, samples: int, draw: Generator) -> np.ndarray:
    """Derivative of glottal flow where it is voiced, noise elsewhere and, a little, everywhere."""
    time = np.arange(samples) / SAMPLE_RATE
    knots = np.arange(0, time[-1] + 1, 0.12)
    melody = speaker.melody * draw.normal(0, 1, len(knots)).cumsum() / np.sqrt(1 + np.arange(len(knots)))
    pitch = speaker.pitch * np.exp(np.interp(time, knots, melody) - 0.04 * time)
    wobble = np.interp(
        time, knots := np.arange(0, time[-1] + 1, 0.006), draw.normal(0, speaker.jitter, len(knots))
    )
    phase = np.cumsum(pitch * (1 + wobble) / SAMPLE_RATE) % 1
    flow = np.where(phase < speaker.opening, np.sin(np.pi * phase / speaker.opening) ** 2, 0.0)
    pulses = np.diff(flow, prepend=0.0) * SAMPLE_RATE / pitch / 4
    noise = draw.normal(0, 1, samples)
    voiced = np.repeat(voicing, HOP)[:samples]
    return voiced * pulses + noise * np.where(voiced > 0.5, speaker.breath * (0.3 + flow), 0.5)


def vowel_gain(speaker: Speaker, formants: np.ndarray) -> np.ndarray:
    """Magnitude response (frames, 257): a cascade of two-pole resonances over a falling slope."""
    squares = FREQUENCIES[None, :] ** 2
    gain = (1 + FREQUENCIES / 500) ** -speaker.slope
    for number, width in enumerate((60, 90, 140, 200, 260)):
        centre = formants[:, number, None]
        gain = (
            gain
            * centre**2
            / np.sqrt((centre**2 - squares) ** 2 + (width * speaker.bandwidth) ** 2 * squares)
        )
    return gain


def hiss_gain(formants: np.ndarray) -> np.ndarray:
    """Fricatives: a broad hump above the fourth formant."""
    return 0.3 * np.exp(-0.5 * ((FREQUENCIES[None, :] - 1.2 * formants[:, 3, None]) / 1400) ** 2)


def filter_frames(source: np.ndarray, gain: np.ndarray) -> np.ndarray:
    """Shape each frame's spectrum by its gains (frames, 257); Hann windows at analysis and synthesis, overlap-add."""
    window = np.hanning(N_FFT + 1)[:-1]
    padded = np.pad(source, N_FFT // 2)
    starts = np.arange(len(gain)) * HOP
    spectra = np.fft.rfft(padded[starts[:, None] + np.arange(N_FFT)] * window) * gain
    frames = np.fft.irfft(spectra, N_FFT) * window
    out = np.zeros(len(gain) * HOP + N_FFT)
    for part in range(N_FFT // HOP):  # each frame is four hops long: four shifted sums of whole hops
        rows = frames[:, part * HOP : (part + 1) * HOP].reshape(-1)
        out[part * HOP : part * HOP + len(rows)] += rows
    return out[N_FFT // 2 : N_FFT // 2 + len(source)]


def record(wave: np.ndarray, draw: Generator) -> np.ndarray:
    """One session: a microphone's slope and ripple, a room, coloured noise at 15-30 dB, a level."""
    frequencies = np.fft.rfftfreq(len(wave), 1 / SAMPLE_RATE)
    knots = np.linspace(0, SAMPLE_RATE / 2, 8)
    decibels = np.interp(frequencies, knots, draw.normal(0, 1, 8) + draw.uniform(-3, 3) * knots / knots[-1])
    decay = np.exp(-np.arange(3200) / SAMPLE_RATE * 6.9 / draw.uniform(0.1, 0.4))
    room = decay * draw.normal(0, 1, 3200) * draw.uniform(0.005, 0.03)
    room[0] = 1.0
    response = 10 ** (decibels / 20) * np.fft.rfft(room, len(wave))
    heard = np.fft.irfft(np.fft.rfft(wave) * response, len(wave))
    colour = (1 + frequencies / 200) ** -draw.uniform(0, 1)
    noise = np.fft.irfft(np.fft.rfft(draw.normal(0, 1, len(wave))) * colour, len(wave))
    ratio = 10 ** (-draw.uniform(15, 30) / 20)
    heard += noise * ratio * np.sqrt(np.square(heard).mean() / np.square(noise).mean())
    return heard / np.abs(heard).max() * draw.uniform(0.1, 0.9)
