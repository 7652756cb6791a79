"""The embedded default: synthetic speakers in VoxCeleb's layout, with speakers held out and a fixed trial list."""

from pathlib import Path

import numpy as np

from projects.voxceleb.audio.waves import write_wave
from projects.voxceleb.generated.synth import draw_speaker, record, speak
from projects.voxceleb.trials.trials import draw_trials, write_trials
from shared.data.draws import keyed_generator
from shared.data.generated import make_once

SESSIONS = 2


def write_speech(
    folder: Path,
    speakers: int = 140,
    utterances: int = 12,
    val_speakers: int = 40,
    seconds: float = 2.2,
    trials: int = 8000,
    seed: int = 0,
) -> None:
    """Make `folder`/{train,val}/<speaker>/<session>/<number>.wav and trials.txt, over val/, once.

    Every second speaker has a female voice. The trials are half targets; half of the others are of one sex.
    """
    recipe = (
        f"synthetic speech 1: {speakers} + {val_speakers} speakers x {utterances} x {seconds} s, "
        f"{trials} trials, seed {seed}"
    )

    def write(fresh: Path) -> None:
        for split, count, first in (("train", speakers, 0), ("val", val_speakers, speakers)):
            for number in range(first, first + count):
                write_speaker(fresh / split / name(number), number, utterances, seconds, seed)
        write_trial_list(fresh, trials, seed)

    make_once(folder, write, recipe)


def name(number: int) -> str:
    return f"id{number:05d}"


def write_speaker(folder: Path, number: int, utterances: int, seconds: float, seed: int) -> None:
    speaker = draw_speaker(keyed_generator(seed, "speaker", number), female=number % 2 == 1)
    for utterance in range(utterances):
        draw = keyed_generator(seed, "utterance", number, utterance)
        wave = record(speak(speaker, seconds * draw.uniform(0.9, 1.4), draw), draw)
        target = folder / f"session{utterance * SESSIONS // utterances}" / f"{utterance:05d}.wav"
        target.parent.mkdir(parents=True, exist_ok=True)
        write_wave(target, wave)


def write_trial_list(folder: Path, count: int, seed: int) -> None:
    files = sorted((folder / "val").rglob("*.wav"))
    speakers = np.array([int(path.relative_to(folder / "val").parts[0][2:]) for path in files])
    names = [path.relative_to(folder / "val").as_posix() for path in files]
    write_trials(folder / "trials.txt", draw_trials(names, speakers, count, seed, group=speakers % 2))
