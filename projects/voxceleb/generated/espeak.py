"""Synthetic speech by eSpeak NG, where `espeakng-loader` is installed (not a dependency: eSpeak NG is under the GPL 3).

A speaker is a voice variant with an accent, a pitch and a rate; whole variants are held out.
"""

import ctypes
from pathlib import Path

import numpy as np

from projects.voxceleb.audio.features import SAMPLE_RATE
from projects.voxceleb.audio.waves import write_wave
from projects.voxceleb.generated.speech import name, write_trial_list
from projects.voxceleb.generated.synth import record
from shared.data.draws import keyed_generator
from shared.data.generated import make_once
from shared.errors import UserError

SYNCHRONOUS, UTF8, RATE, PITCH = 2, 1, 1, 3  # of espeak-ng's speak_lib.h
SECONDS_AT_MOST = 6
ACCENTS = ("en-us", "en-029", "en-gb-scotland", "en-gb-x-rp")
VARIANTS = (
    "Alicia Andrea Andy Annie Denis Diogo Gene Henrique Hugo Jacky Lee Marco Mario Michael Mike Nguyen Reed adam anika "
    "antonio aunty belinda benjamin boris caleb david ed edward f1 f2 f3 f4 f5 grandma grandpa gustave ian iven john "
    "kaukovalta klatt linda m1 m2 m3 m4 m5 m6 m7 m8 max "
    "michel miguel norbert pablo paul pedro quincy rob robert sandro "
    "shelby steph travis victor zac"
)
WORDS = (
    "the a river morning yellow window people walked seven under between quiet garden music never always bread water "
    "light children answered question paper mountain slowly together before after evening train letters open little "
    "brother station winter summer green road voice yesterday"
)


class Voice:
    """The library, loaded once in a process: it repeats itself only when a fresh process asks in the same order."""

    def __init__(self) -> None:
        try:
            import espeakng_loader
        except ImportError as error:
            raise UserError(
                "espeakng-loader is not installed", "data", "pip install espeakng-loader"
            ) from error
        self.library = ctypes.CDLL(espeakng_loader.get_library_path())
        data = str(Path(espeakng_loader.get_data_path()).parent).encode()
        self.rate = self.library.espeak_Initialize(SYNCHRONOUS, 0, data, 0)
        self.parts: list[np.ndarray] = []
        kind = ctypes.CFUNCTYPE(ctypes.c_int, ctypes.POINTER(ctypes.c_short), ctypes.c_int, ctypes.c_void_p)
        self.callback = kind(self._collect)  # kept alive as long as the library may call it
        self.library.espeak_SetSynthCallback(self.callback)

    def _collect(self, samples: "ctypes._Pointer[ctypes.c_short]", count: int, events: int) -> int:
        if samples and count:
            self.parts.append(np.ctypeslib.as_array(samples, (count,)).copy())
        return 0

    def say(self, text: str, voice: str, pitch: int, rate: int) -> np.ndarray:
        """Samples at 16 kHz with peak 1; `pitch` 0-100, `rate` in words a minute."""
        self.parts = []
        if self.library.espeak_SetVoiceByName(voice.encode()):
            raise UserError(f"eSpeak has no voice {voice}", "data", "install espeakng-loader 0.2.4")
        self.library.espeak_SetParameter(PITCH, pitch, 0)
        self.library.espeak_SetParameter(RATE, rate, 0)
        spoken = text.encode() + b"\0"
        self.library.espeak_Synth(spoken, ctypes.c_size_t(len(spoken)), 0, 1, 0, UTF8, None, None)
        wave = np.concatenate(self.parts).astype(np.float64)
        size = len(wave) * SAMPLE_RATE // self.rate
        wave = np.fft.irfft(np.fft.rfft(wave)[: size // 2 + 1], size)
        return wave[: SECONDS_AT_MOST * SAMPLE_RATE] / np.abs(wave).max()


def write_espeak(
    folder: Path, val_variants: int = 15, utterances: int = 12, trials: int = 8000, seed: int = 0
) -> None:
    """Make `folder`/{train,val} and trials.txt once: two speakers of each variant, the last variants held out."""

    def write(fresh: Path) -> None:
        voice = Voice()
        variants = keyed_generator(0, "espeak").permutation(VARIANTS.split())
        for number in range(2 * len(variants)):
            split = "val" if number // 2 >= len(variants) - val_variants else "train"
            write_speaker(
                voice, fresh / split / name(number), number, variants[number // 2], utterances, seed
            )
        write_trial_list(fresh, trials, seed)

    make_once(
        folder,
        write,
        f"espeak 1: {val_variants} variants held out, {utterances} utterances, {trials} trials, {seed}",
    )


def write_speaker(voice: Voice, folder: Path, number: int, variant: str, utterances: int, seed: int) -> None:
    draw = keyed_generator(seed, "espeak speaker", number)
    accent, pitch, rate = (
        ACCENTS[draw.integers(len(ACCENTS))],
        int(draw.integers(30, 71)),
        int(draw.integers(140, 200)),
    )
    (folder / "espeak").mkdir(parents=True)
    for utterance in range(utterances):
        draw = keyed_generator(seed, "espeak utterance", number, utterance)
        text = " ".join(draw.choice(WORDS.split(), draw.integers(7, 12)))
        wave = voice.say(text, f"{accent}+{variant}", pitch, rate)
        write_wave(folder / "espeak" / f"{utterance:05d}.wav", record(wave, draw))
