"""Data sets of utterances: tuples of random crops to train on, whole files to validate."""

import logging
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor
from torch.utils.data import Dataset

from projects.voxceleb.audio.features import HOP, samples_of
from projects.voxceleb.audio.mels import MelCache
from projects.voxceleb.audio.waves import AudioError, frames_of, read_wave, repeated
from projects.voxceleb.sampler import SpeakerSampler, TupleKey
from projects.voxceleb.trials.trials import Trials
from shared.data.draws import keyed_generator
from shared.data.sampler import SampleKey
from shared.data.unreadable import Unreadable
from shared.errors import UserError

log = logging.getLogger(__name__)

Augment = Callable[[np.ndarray, np.random.Generator], np.ndarray]


class SpeakerTuples(Dataset):
    """Maps a TupleKey to `n_per_speaker` random crops of `max_frames` of one speaker; only the crop is read.

    Batches: `wave` float32 (S, U, samples), or with `mels` their log-mels (S, U, n_mels, T), `label` int64 (S,),
    `index` int64 (S, U), `corrupt` int64 (S, U): the unreadable file that another one of the speaker stands in for,
    else -1. A sample, in sizes of batches and epochs, is a tuple. All draws depend on (seed, epoch, index) alone.
    """

    def __init__(
        self,
        paths: list[str],
        speakers: np.ndarray,
        *,
        max_frames: int,
        n_per_speaker: int,
        max_seg_per_spk: int | None,
        augment: Augment | None,
        mels: MelCache | None,
        max_corrupt: int,
        seed: int,
    ) -> None:
        self.paths, self.speakers, self.mels = np.array(paths), speakers, mels
        self.samples = samples_of(max_frames)
        self.columns = self.samples // HOP + 1
        self.per_speaker, self.max_per_speaker = n_per_speaker, max_seg_per_spk
        self.augment, self.seed = augment, seed
        self.unreadable = Unreadable(max_corrupt, len(paths))

    def __len__(self) -> int:
        return len(self.paths)

    def path(self, indices: list[int]) -> str:
        """The files of one sample of a batch."""
        return ", ".join(self.paths[indices])

    def sampler(self, batch_size: int, **settings: Any) -> SpeakerSampler:
        sampler = SpeakerSampler(
            self.speakers,
            batch_size,
            per_speaker=self.per_speaker,
            max_per_speaker=self.max_per_speaker,
            **settings,
        )
        log.info(
            "sampling     %d batches of %d speakers x %d utterances a pass use %.1f %% of the utterances",
            sampler.batches,
            batch_size,
            self.per_speaker,
            100 * sampler.utilisation,
        )
        return sampler

    def __getitem__(self, key: TupleKey | SampleKey) -> dict[str, Any]:
        chosen = key.utterances if isinstance(key, TupleKey) else (key.index,)
        crops, corrupt = zip(*(self.crop(key.epoch, index) for index in chosen), strict=True)
        label = self.speakers[chosen[0]]
        return {"wave": np.stack(crops), "label": label, "index": chosen, "corrupt": corrupt}

    def crop(self, epoch: int, index: int) -> tuple[np.ndarray, int]:
        """A crop of the utterance, or of the speaker's next that can be read, and the unreadable index or -1."""
        own = np.flatnonzero(self.speakers == self.speakers[index])
        for stand_in in np.roll(own, -np.searchsorted(own, index)):
            try:
                wave = self.load(epoch, stand_in)
            except AudioError:
                continue
            return wave, -1 if stand_in == index else index
        blank = (self.mels.n_mels, self.columns) if self.mels else self.samples
        return np.zeros(blank, np.float32), index  # never trained on: `check` ends the run

    def load(self, epoch: int, index: int) -> np.ndarray:
        draw = keyed_generator(self.seed, "crop", epoch, int(index))
        path = self.paths[index]
        if self.mels:
            return self.mels.crop(path, self.columns, draw)
        spare = frames_of(path) - self.samples
        start = int(draw.integers(spare + 1)) if spare > 0 else 0
        wave = repeated(read_wave(path, start, self.samples), self.samples)
        return wave if self.augment is None else self.augment(wave, draw)

    def collate(self, items: list[dict[str, Any]]) -> dict[str, Tensor]:
        wave = torch.from_numpy(np.stack([item["wave"] for item in items]))
        numbers = {
            key: torch.from_numpy(np.array([item[key] for item in items], np.int64))
            for key in ("label", "index", "corrupt")
        }
        return {"wave": wave, **numbers}

    def check(self, batch: dict[str, Tensor]) -> None:
        """Name each unreadable file once, in the main process; too many of them end the run."""
        for index in set(batch["corrupt"][batch["corrupt"] >= 0].tolist()):
            if index not in self.unreadable:
                self.unreadable.add(index, complaint(self.paths[index]), self.has_no_stand_in(index))

    def has_no_stand_in(self, index: int) -> bool:
        """Whether none of the speaker's files could be read."""
        own = np.flatnonzero(self.speakers == self.speakers[index])
        return all(complaint(self.paths[other]) for other in own)


class TrialUtterances(Dataset):
    """Maps a SampleKey to a whole utterance of a trial list, the longest first, so that neighbours are of one length.

    Batches: `index` int64 (N,) in `trials.utterances`, `wave` list of N float32 (samples,), `error` list of N texts,
    empty for files that could be read.
    """

    def __init__(self, folder: Path, trials: Trials) -> None:
        self.trials = trials
        self.paths = [str(folder / name) for name in trials.utterances]
        try:
            sizes = np.array([Path(path).stat().st_size for path in self.paths])
        except OSError as error:
            raise UserError(
                f"no file {error.filename}, which the trials name", "data.val", "give the folder they are in"
            ) from error
        self.order = np.argsort(-sizes, kind="stable")

    def __len__(self) -> int:
        return len(self.paths)

    def __getitem__(self, key: SampleKey) -> dict[str, Any]:
        index = int(self.order[key.index])
        try:
            return {"index": index, "wave": read_wave(self.paths[index]), "error": ""}
        except AudioError as error:
            return {"index": index, "wave": np.zeros(1, np.float32), "error": str(error)}

    def collate(self, items: list[dict[str, Any]]) -> dict[str, Any]:
        return {
            "index": torch.tensor([item["index"] for item in items]),
            "wave": [torch.from_numpy(item["wave"]) for item in items],
            "error": [item["error"] for item in items],
        }

    def check(self, batch: dict[str, Any]) -> None:
        """A trial whose audio cannot be read has no score: the first such file ends the run."""
        if error := next(filter(None, batch["error"]), None):
            raise UserError(error, "data.trials", "repair the file, or take its trials out of the list")


def complaint(path: str) -> str:
    """Why a file cannot be used; empty if it can."""
    try:
        read_wave(path)
    except AudioError as error:
        return str(error)
    return ""
