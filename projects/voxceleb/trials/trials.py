"""Trials: pairs of utterances and whether one speaker said both; lists of them, read, drawn and cut."""

import os
from functools import lru_cache
from pathlib import Path
from typing import NamedTuple

import numpy as np

from projects.voxceleb.trials.lists import read_rows, split_trial
from shared.data.draws import keyed_generator
from shared.errors import UserError


class Trials(NamedTuple):
    """`pairs` (N, 2) index `utterances`, which are paths relative to the folder of the list; `target` (N,) is bool."""

    utterances: list[str]
    pairs: np.ndarray
    target: np.ndarray


def read_trials(path: Path) -> Trials:
    """VoxCeleb's format: lines `1 id1/video/a.wav id1/video/b.wav`, 1 for the same speaker, 0 for different ones."""
    rows = []
    for number, line in read_rows(path, "data.trials", "give a list of lines `1 a.wav b.wav`"):
        row = split_trial(line)
        if not row or row[0] not in ("0", "1"):
            mend = "write lines `1 a.wav b.wav` or `0 ...`, with tabs where names have spaces"
            raise UserError(f"line {number} is no trial: {line[:80]}", str(path), mend)
        rows.append(row)
    target = np.array([row[0] == "1" for row in rows], bool)
    if target.all() or not target.any():
        raise UserError("not both kinds of trials in it", str(path), "give lines with 1 and lines with 0")
    names = sorted({name for row in rows for name in row[1:]})
    index = {name: number for number, name in enumerate(names)}
    pairs = np.array([[index[row[1]], index[row[2]]] for row in rows])
    return Trials(names, pairs, target)


def owners(files: list[tuple[str, str]], wanted: list[str], top: Path) -> set[str]:
    """Speakers of `files` (path, speaker) who own a wanted path, or alone own the nearest folder around it below `top`.

    One speaker's names may differ between lists, places do not. Links to folders are followed, links to files are not.
    """
    real = lru_cache(maxsize=None)(os.path.realpath)  # a million files lie in far fewer folders

    def place(path: str) -> tuple[str, str]:
        folder, name = os.path.split(path)
        return real(folder), name

    places = {place(path) for path in wanted}
    found = {speaker for path, speaker in files if place(path) in places}
    common = {Path(real(top)), *Path(real(top)).parents}
    around: dict[Path, set[str]] = {}
    for folder, speaker in {(place(path)[0], speaker) for path, speaker in files}:
        for each in {Path(folder), *Path(folder).parents} - common:
            around.setdefault(each, set()).add(speaker)
    for folder in {Path(folder) for folder, _ in places}:
        nearest = next((around[each] for each in (folder, *folder.parents) if each in around), set())
        found |= nearest if len(nearest) == 1 else set()
    return found


def write_trials(path: Path, trials: Trials) -> None:
    names = trials.utterances
    lines = (
        f"{int(t)} {names[a]} {names[b]}\n" for (a, b), t in zip(trials.pairs, trials.target, strict=True)
    )
    path.write_text("".join(lines), encoding="utf-8")


def subset(trials: Trials, most: int | None, seed: int) -> Trials:
    """At most `most` trials, half of them targets where there are as many: the same ones for one seed."""
    if most is None or most >= len(trials.pairs):
        return trials
    draw = keyed_generator(seed, "trials")
    kinds = [draw.permutation(np.flatnonzero(trials.target == kind)) for kind in (True, False)]
    targets = min(len(kinds[0]), max(most // 2, most - len(kinds[1])))
    chosen = np.sort(np.concatenate((kinds[0][:targets], kinds[1][: most - targets])))
    used, pairs = np.unique(trials.pairs[chosen], return_inverse=True)
    names = [trials.utterances[number] for number in used]
    return Trials(names, pairs.reshape(-1, 2), trials.target[chosen])


def draw_trials(
    utterances: list[str], speakers: np.ndarray, count: int, seed: int, group: np.ndarray | None = None
) -> Trials:
    """Up to `count` different trials, half of them targets; half of the others within a `group`, such as a sex."""
    draw = keyed_generator(seed, "trials")
    group = np.zeros_like(speakers) if group is None else group
    first, second = np.triu_indices(len(speakers), 1)
    same = speakers[first] == speakers[second]
    near = ~same & (group[first] == group[second])
    far = ~same & ~near
    wanted = {"same": count // 2, "near": count // 4 if far.any() else count // 2, "far": count // 4}
    chosen = [
        draw.choice(found := np.flatnonzero(kind), min(wanted[name], len(found)), replace=False)
        for name, kind in (("same", same), ("near", near), ("far", far))
    ]
    chosen = draw.permutation(np.concatenate(chosen))
    return Trials(utterances, np.stack((first[chosen], second[chosen]), 1), same[chosen])
