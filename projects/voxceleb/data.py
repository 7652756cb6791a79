"""VoxCeleb's layout, <folder>/<speaker>/<video>/<file>.wav and a trial list, or the embedded synthetic speech."""

import logging
from collections import Counter
from collections.abc import Callable, Iterator
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from projects.voxceleb.audio.mels import MelCache
from projects.voxceleb.audio.waves import is_sound, read_wave
from projects.voxceleb.trials.lists import plain_name, read_rows
from projects.voxceleb.trials.trials import Trials, owners, read_trials, subset
from projects.voxceleb.utterances import Augment, SpeakerTuples, TrialUtterances
from shared.data.draws import keyed_generator
from shared.data.folder import class_folders, find_files, in_words
from shared.data.generated import check_root, make_embedded
from shared.data.shards.reader import are_shards, packed_name, sample_paths
from shared.errors import UserError
from shared.files import local_path, refuse_url

log = logging.getLogger(__name__)

OPTION = "data=voxceleb"  # for speech of one's own


class SpeakerData:
    """Speech of many speakers under `root`: `train` and `val` are folders of speakers, `trials` a list over `val`.

    Speakers who are in the trials are never trained on, so both folders may be the same. `train_list` holds lines
    `speaker path` in place of a scan; `speakers` trains on a seeded choice of as many; `max_test_pairs` is a seeded,
    balanced choice of trials. The rest is that of SpeakerTuples. `generate` writes an embedded set, only in `embedded`.
    `remarks` are what a person should know about the files before training.
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
        embedded: str | None = None,
    ) -> None:
        if augment and mel_cache:
            raise UserError("cached features cannot be augmented", "data.mel_cache", "set data.augment=null")
        named = {"data.train": train, "data.val": val, "data.trials": trials, "data.train_list": train_list}
        for key, place in named.items():
            refuse_url(str(place), key)
        self.given, self.embedded, self.remarks = str(root), embedded, []
        if generate is not None:
            check_root(self.given, embedded, OPTION)
        self.root = local_path(self.given, "data.root")
        self.train_folder, self.val_folder = self.root / train, self.root / val
        self.trial_list, self.train_list = self.root / trials, train_list
        if mel_cache and are_shards(str(self.train_folder)):
            raise UserError(
                "features of shards are not cached", "data.mel_cache", "leave it out, or give files"
            )
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
            make_embedded(self.given, self.embedded, self.generate, OPTION)
        _ = self.val

    @cached_property
    def trials(self) -> Trials:
        return subset(read_trials(self.trial_list), self.max_test_pairs, self.seed)

    @cached_property
    def files(self) -> tuple[list[str], list[str]]:
        """Paths and speakers of all training utterances."""
        left_out: Counter[str] = Counter()
        found = self.listed() if self.train_list else scan(self.train_folder, left_out)
        self.remarks = [f"left out of {self.train_folder}: {in_words(left_out)}"] * bool(left_out)
        held_out = self.in_trials(found)
        names = np.array(sorted({speaker for _, speaker in found} - held_out))
        if not len(names):
            why = f": all {len(held_out)} are in the trials" if held_out else ""
            why += f"; left out: {in_words(left_out)}" * bool(left_out)
            mend = f"put folders <speaker>/<video>/*.wav (or .flac, 16 kHz) into {self.train_folder}"
            raise UserError(f"no speakers to train on{why}", "data.train", mend)
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
        path, mend = self.root / str(self.train_list), "give lines `speaker path`"
        rows = [
            (number, *line.split(maxsplit=1)) for number, line in read_rows(path, "data.train_list", mend)
        ]
        if odd := next((row for row in rows if len(row) != 3), None):
            raise UserError(f"line {odd[0]} of {path} is one word", "data.train_list", mend)
        return sorted((str(self.train_folder / plain_name(file)), speaker) for _, speaker, file in rows)

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


def scan(folder: Path, left_out: Counter[str] | None = None) -> list[tuple[str, str]]:
    """All WAV and FLAC files of <folder>/<speaker>/**, sorted, with their speakers; or those in shards.

    Other files are counted in `left_out`, by suffix.
    """
    if are_shards(str(folder)):
        return sample_paths(folder)
    if not folder.is_dir():
        raise UserError(
            f"no folder {folder}", "data.root / data.train", "give the folder that holds the speakers"
        )
    left_out = Counter() if left_out is None else left_out
    found = []
    for speaker in class_folders(folder, left_out):
        files = find_files(folder / speaker, is_sound, left_out, home=folder)
        found += [(path, speaker) for path in files]
    return sorted(found)
