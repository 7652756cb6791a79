"""Log-mel features of whole files, computed once and read in parts ever after."""

import hashlib
import os
from pathlib import Path

import numpy as np
import torch
from numpy.random import Generator

from projects.voxceleb.audio.features import front_end, log_mel
from projects.voxceleb.audio.waves import read_wave
from shared.errors import UserError
from shared.files import local_path, replaced


class MelCache:
    """`folder`/<hash>.npy: fp16 (T, n_mels) of each file, written when it is first asked for.

    The hash is over the file's path, size and time of change, so that a changed file is computed anew.
    """

    def __init__(self, folder: str, n_mels: int) -> None:
        self.folder, self.n_mels = local_path(folder, "data.mel_cache.folder") / f"{n_mels}_mels", n_mels
        self.torchfb = front_end(n_mels)
        try:
            self.folder.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise UserError(
                f"cannot write: {error.strerror}", "data.mel_cache", "choose another folder"
            ) from error

    def crop(self, path: str, columns: int, draw: Generator) -> np.ndarray:
        """float32 (n_mels, columns) from a place that is drawn; short files are repeated."""
        mels = self.load(path)
        spare = len(mels) - columns
        start = int(draw.integers(spare + 1)) if spare > 0 else 0
        part = mels[start : start + columns]
        return part[np.arange(columns) % len(part)].T.astype(np.float32)

    def load(self, path: str) -> np.ndarray:
        """The whole file's features, mapped into memory; computed if they are missing."""
        status = os.stat(path)  # noqa: PTH116
        name = hashlib.sha256(f"{path} {status.st_size} {status.st_mtime_ns}".encode()).hexdigest()[:32]
        place = self.folder / name[:2] / f"{name}.npy"
        if not place.exists():
            self.write(place, read_wave(path))
        return np.load(place, mmap_mode="r", allow_pickle=False)

    @torch.no_grad()
    def write(self, place: Path, wave: np.ndarray) -> None:
        place.parent.mkdir(exist_ok=True)
        mels = log_mel(self.torchfb, torch.from_numpy(wave)[None])[0].T.half().numpy()
        with replaced(place) as temporary, temporary.open("wb") as file:
            np.save(file, mels)
