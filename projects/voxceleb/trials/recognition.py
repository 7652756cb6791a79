"""Verification of recordings: what predict.py does, as functions."""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from hydra.utils import instantiate
from torch import Tensor, nn
from torch.nn import functional as F

from projects.voxceleb.audio.waves import AudioError, read_wave
from projects.voxceleb.trials.protocol import Protocol
from projects.voxceleb.weights import embedder_state
from shared.checkpoints.config import configure
from shared.checkpoints.file import KEY
from shared.config.root import ROOT
from shared.errors import UserError
from shared.files import local_path, replaced
from shared.lightning.scoring import load

OWN = ("checkpoint", "out", "speakers", "threshold")


@dataclass
class Recogniser:
    """A network, its decision threshold on the cosine if it has one, and the folder of enrolled voices."""

    network: nn.Module
    threshold: float | None
    speakers: Path

    @torch.no_grad()
    def embed(self, path: str) -> Tensor:
        """Unit embedding (D,) of a whole file."""
        try:
            wave = read_wave(path)
        except AudioError as error:
            raise UserError(str(error), path, "give speech as a WAV or FLAC file") from error
        return Protocol().embed(self.network, [torch.from_numpy(wave)])[0, 0]

    def enroll(self, name: str, paths: list[str]) -> dict[str, Any]:
        """Keep the mean voice of some recordings under a name."""
        if not name.isidentifier() or not paths:
            raise UserError(
                f"cannot enroll {name!r}", "enroll", "give a name of letters and digits, then recordings"
            )
        voice = F.normalize(torch.stack([self.embed(path) for path in paths]).mean(0), dim=0)
        self.speakers.mkdir(parents=True, exist_ok=True)
        save(self.speakers / f"{name}.npy", voice.numpy())
        return {"enrolled": name, "recordings": len(paths), "file": str(self.speakers / f"{name}.npy")}

    def verify(self, first: str, second: str) -> dict[str, Any]:
        """Whether two recordings, or an enrolled name and a recording, are of one speaker."""
        if self.threshold is None:
            raise UserError(
                "the checkpoint has no threshold on the cosine: it was not validated, or by other scores",
                "threshold",
                "give threshold=NUMBER, or a checkpoint validated with eval.mode=whole eval.as_norm=0",
            )
        score = float(self.voice(first) @ self.voice(second))
        return {"score": score, "threshold": self.threshold, "same_speaker": score >= self.threshold}

    def voice(self, name: str) -> Tensor:
        enrolled = self.speakers / f"{name}.npy"
        if not name.isidentifier() or not enrolled.is_file():
            return self.embed(name)
        try:
            return torch.from_numpy(np.load(enrolled, allow_pickle=False))
        except (ValueError, OSError) as error:
            raise UserError("is no enrolled voice", str(enrolled), "enroll it again") from error


def answer(arguments: list[str]) -> dict[str, Any]:
    """Carry out `verify A B`, `enroll NAME A ...` or `embed A ...`, with key=value settings among the words."""
    options = dict(each.split("=", 1) for each in arguments if "=" in each)
    command, *words = [each for each in arguments if "=" not in each]
    own = {key: options.pop(key) for key in OWN if key in options}
    recogniser = open_checkpoint(own, [f"{key}={value}" for key, value in options.items()])
    if command == "verify" and len(words) == 2:
        return recogniser.verify(*words)
    if command == "enroll":
        return recogniser.enroll(words[0], words[1:])
    if command == "embed" and words:
        return write_embeddings({path: recogniser.embed(path) for path in words}, own.get("out"))
    raise UserError(
        f"cannot {' '.join([command, *words])}", "command line", "--help shows verify, enroll and embed"
    )


def open_checkpoint(own: dict[str, str], overrides: list[str]) -> Recogniser:
    """The averaged weights of a checkpoint of ours, where it has them, or a published network."""
    checkpoint = load(Path(own.get("checkpoint", "")).expanduser())
    cfg = configure("voxceleb", ROOT / "conf", checkpoint, overrides)
    network = instantiate(cfg.model)(weights=None).eval()
    averaged = {f"model.{name}": tensor for name, tensor in checkpoint.get("ema", {}).items()}
    state = embedder_state(checkpoint["state_dict"] | averaged)
    state = embedder_state({name.removeprefix("model."): tensor for name, tensor in state.items()})
    try:
        network.load_state_dict(state)
    except RuntimeError as error:
        raise UserError(
            str(error).splitlines()[-1].strip(), "checkpoint", "give the model=... it was made with"
        ) from error
    try:
        threshold = float(own["threshold"]) if "threshold" in own else stored_threshold(checkpoint)
    except ValueError:
        raise UserError(
            f"{own['threshold']!r} is no number", "threshold", "give a cosine from -1 to 1"
        ) from None
    return Recogniser(
        network,
        threshold,
        local_path(own.get("speakers", str(ROOT / "data" / "voxceleb_speakers")), "speakers"),
    )


def stored_threshold(checkpoint: dict[str, Any]) -> float | None:
    """The cosine at the last equal error rate; None before the first validation, or where it scored otherwise."""
    threshold = float(checkpoint["state_dict"].get("threshold", 0.0))  # 0 until the first validation
    scored_by = checkpoint.get(KEY, {}).get("config", {}).get("eval", {})
    plain = scored_by.get("mode", "whole") == "whole" and not scored_by.get("as_norm")
    return threshold if threshold and plain else None


def write_embeddings(found: dict[str, Tensor], out: str | None) -> dict[str, Any]:
    """The embeddings themselves, or the .npz file that they were written to, by path."""
    if out is None:
        return {"embeddings": {path: row.tolist() for path, row in found.items()}}
    path = local_path(out, "out")
    rows = {"paths": np.array(list(found)), "embeddings": torch.stack(list(found.values())).numpy()}
    with replaced(path) as temporary, temporary.open("wb") as file:
        np.savez(file, **rows)
    return {"embeddings": str(path), "recordings": len(found)}


def save(path: Path, array: np.ndarray) -> None:
    with replaced(path) as temporary, temporary.open("wb") as file:
        np.save(file, array)
