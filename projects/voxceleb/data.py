"""VoxCeleb's layout, <folder>/<speaker>/<video>/<file>.wav and a trial list, or the embedded synthetic speech."""

import logging
from collections.abc import Callable, Iterator
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from projects.voxceleb.audio.mels import MelCache
from projects.voxceleb.audio.waves import read_wave
from projects.voxceleb.trials.trials import Trials, owners, read_trials, subset
from projects.voxceleb.utterances import Augment, SpeakerTuples, TrialUtterances
from shared.data.draws import keyed_generator
from shared.data.shards.reader import are_shards, packed_name, sample_paths
from shared.errors import UserError

log = logging.getLogger(__name__)


class SpeakerData:
    """Speech of many speakers under `root`: `train` and `val` are folders of speakers, `trials` a list over `val`.

    Speakers who are in the trials are never trained on, so both folders may be the same. `train_list` holds lines
    `speaker path` in place of a scan; `speakers` trains on a seeded choice of as many; `max_test_pairs` is a seeded,
    balanced choice of trials. The rest is that of SpeakerTuples. `generate` writes an embedded set into the root.
    """

    def __init__(
        self,
        root: str,
        train: str,
        val: str,
        trials: str,
        train_list: str | None = None,
        speakers: int | None = None,
        max_test_pairs: int | None = None,
        max_frames: int = 200,
        n_per_speaker: int = 2,
        max_seg_per_spk: int | None = 500,
        augment: Augment | None = None,
        mel_cache: MelCache | None = None,
        max_corrupt: int = 10,
        seed: int = 0,
        generate: Callable[[Path], None] | None = None,
    ) -> None:
        if mel_cache and are_shards(str(Path(root).expanduser() / train)):
            raise UserError(
                "features of shards are not cached", "data.mel_cache", "leave it out, or give files"
            )
        if augment and mel_cache:
            raise UserError("cached features cannot be augmented", "data.mel_cache", "set data.augment=null")
        self.root = Path(root).expanduser()
        self.train_folder, self.val_folder = self.root / train, self.root / val
        self.trial_list, self.train_list = self.root / trials, train_list
        self.speakers, self.max_test_pairs, self.seed = speakers, max_test_pairs, seed
        self.n_per_speaker, self.generate = n_per_speaker, generate
        self.crops: dict[str, Any] = {
            "max_frames": max_frames,
            "n_per_speaker": n_per_speaker,
            "max_seg_per_spk": max_seg_per_spk,
            "augment": augment,
            "mels": mel_cache,
            "max_corrupt": max_corrupt,
            "seed": seed,
        }

    def prepare(self) -> None:
        """Write the embedded data set where it is missing, and check the trials: scoring them needs no `train`."""
        if self.generate is not None:
            self.generate(self.root)
        _ = self.val

    @cached_property
    def trials(self) -> Trials:
        return subset(read_trials(self.trial_list), self.max_test_pairs, self.seed)

    @cached_property
    def files(self) -> tuple[list[str], list[str]]:
        """Paths and speakers of all training utterances."""
        found = self.listed() if self.train_list else scan(self.train_folder)
        held_out = self.in_trials(found)
        names = np.array(sorted({speaker for _, speaker in found} - held_out))
        if not len(names):
            raise UserError(
                "no speakers to train on" + f": all {len(held_out)} are in the trials" * bool(held_out),
                "data.train",
                f"put folders <speaker>/<video>/*.wav into {self.train_folder}",
            )
        if self.speakers is not None:
            if self.speakers > len(names):
                raise UserError(f"only {len(names)} speakers", "data.speakers", f"choose 2 to {len(names)}")
            names = keyed_generator(self.seed, "mini").permutation(names)[: self.speakers]
        log.info("speakers     %d to train on; %d left out, who are in the trials", len(names), len(held_out))
        kept = set(names.tolist())
        rows = [row for row in found if row[1] in kept]
        return [path for path, _ in rows], [speaker for _, speaker in rows]

    def in_trials(self, found: list[tuple[str, str]]) -> set[str]:
        """Who of these speakers is in the trial list, `max_test_pairs` or not: by name, or by where the files lie."""
        names = read_trials(self.trial_list).utterances
        packed = not self.train_list and are_shards(str(self.train_folder))
        files = [(str(self.root / packed_name(path)) if packed else path, speaker) for path, speaker in found]
        named = {speaker for _, speaker in found} & {name.split("/")[0] for name in names}
        return named | owners(files, [str(self.val_folder / name) for name in names], self.train_folder)

    def listed(self) -> list[tuple[str, str]]:
        """Paths and speakers of a file with lines `speaker path`, as clovaai's train_list.txt."""
        path = self.root / str(self.train_list)
        try:
            rows = [
                line.split(maxsplit=1)
                for line in path.read_text(encoding="utf-8").splitlines()
                if line.strip()
            ]
            return sorted((str(self.train_folder / file), speaker) for speaker, file in rows)
        except (OSError, ValueError) as error:
            raise UserError(
                f"cannot read {path}: {error}", "data.train_list", "give lines `speaker path`"
            ) from error

    @cached_property
    def train(self) -> SpeakerTuples:
        paths, names = self.files
        labels = np.unique(names, return_inverse=True)[1]
        return SpeakerTuples(paths, labels, **self.crops)

    @cached_property
    def val(self) -> TrialUtterances:
        return TrialUtterances(self.val_folder, self.trials)

    @property
    def num_speakers(self) -> int:
        return int(self.train.speakers.max()) + 1

    @property
    def largest_batch(self) -> int:
        """A batch holds each speaker once: the speakers with enough utterances for a tuple."""
        return int((np.bincount(self.train.speakers) >= self.n_per_speaker).sum())

    def cohort(self, utterances: int) -> Iterator[list[Tensor]]:
        """A few whole utterances of each training speaker, speaker by speaker."""
        for speaker in range(self.num_speakers):
            own = np.flatnonzero(self.train.speakers == speaker)[:utterances]
            yield [torch.from_numpy(read_wave(self.train.paths[index])) for index in own]

    def model_arguments(self) -> dict[str, int]:
        """The network knows nothing of the speakers; the loss does."""
        return {}


def scan(folder: Path) -> list[tuple[str, str]]:
    """All WAV files of <folder>/<speaker>/**, sorted, with their speakers; or those that scripts/shard.py packed."""
    if are_shards(str(folder)):
        return sample_paths(folder)
    if not folder.is_dir():
        raise UserError(
            f"no folder {folder}", "data.root / data.train", "give the folder that holds the speakers"
        )
    return sorted((str(path), path.relative_to(folder).parts[0]) for path in folder.glob("*/**/*.wav"))
