"""What finished runs teach about the law's parameters: a kernel density over the library's own fits."""

import json
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path

import numpy as np

from shared.errors import UserError
from shared.files import write_atomically
from shared.runs.forecast.model.law import NAMES, SIZE

SHIPPED = Path(__file__).parents[2] / "library" / "library.json"
BANDWIDTH = 0.4
SAME_RECIPE = 40.0  # how much more a run at the same peak learning rate counts: it is the same recipe
VAGUE = np.log([0.35, 0.3, 0.6, 0.4, 0.65, 4.0, 0.1, 0.1, 0.01, 0.03])
VAGUE_SD = np.array([0.6, 0.7, 0.5, 0.6, 0.3, 1.0, 0.9, 0.8, 0.7, 0.7])


@dataclass(frozen=True)
class LibraryRun:
    """A finished run: the law's parameters fitted to all of it, and how forecasts made on the way turned out.

    `scores`: (truth - median) over the 80 % half-width on truth's side, one a forecast, positive when the
    error came out higher. `first`: the first errors, by which the run is recognised. `weight`: its worth.
    """

    name: str
    peak_lr: float
    first: tuple[float, ...]
    weight: float
    median: np.ndarray
    sd: np.ndarray
    scores: tuple[float, ...] = ()

    def is_run(self, error: np.ndarray) -> bool:
        """Whether this is the run being forecast: a forecast must not know its own end."""
        head = np.asarray(self.first[: len(error)])
        return bool(np.allclose(head, error[: len(head)], atol=1e-6))


@lru_cache
def load_library(path: Path = SHIPPED) -> tuple[LibraryRun, ...]:
    """The runs of a library file. UserError when it is none, or fitted to another law."""
    try:
        data = json.loads(Path(path).read_text())
        if data["parameters"] != list(NAMES):
            raise ValueError("its parameters are not this law's")
        return tuple(
            LibraryRun(
                r["name"], r["peak_lr"], tuple(r["first"]), r["weight"],
                np.array(r["median"]), np.array(r["sd"]), tuple(r["scores"]),
            )
            for r in data["runs"]
        )  # fmt: skip
    except (OSError, ValueError, KeyError, TypeError) as error:
        mend = "make one with scripts/forecast_backtest.py FOLDER --write-library FILE"
        raise UserError(f"not a forecast library ({error})", str(path), mend) from error


def save_library(path: Path, runs: list[LibraryRun]) -> None:
    """Write a library file, atomically."""
    entries = [
        vars(run) | {"median": run.median.round(4).tolist(), "sd": run.sd.round(4).tolist()} for run in runs
    ]
    write_atomically(path, json.dumps({"parameters": NAMES, "runs": entries}, indent=1) + "\n")


class Prior:
    """Density of the law's log parameters: one kernel a library run, and a vague one."""

    def __init__(self, runs: list[LibraryRun], peak_lr: float) -> None:
        same = [abs(np.log(run.peak_lr / peak_lr)) < 0.05 for run in runs]
        weights = [run.weight * (SAME_RECIPE if s else 1.0) for run, s in zip(runs, same, strict=True)]
        self.weights = np.array([*weights, 1.0]) / (sum(weights) + 1.0)
        self.centre = np.stack([*(run.median for run in runs), VAGUE])
        kernels = [np.sqrt(run.sd**2 / 2 + BANDWIDTH**2) for run in runs]
        self.width = np.stack([*kernels, VAGUE_SD])

    def log_density(self, theta: np.ndarray) -> np.ndarray:
        q = (theta[:, None, :SIZE] - self.centre) / self.width
        terms = np.log(self.weights) - np.log(self.width).sum(1) - (q * q).sum(2) / 2
        top = terms.max(1)
        return top + np.log(np.exp(terms - top[:, None]).sum(1))

    def draw(self, rng: np.random.Generator, count: int) -> np.ndarray:
        kernel = rng.choice(len(self.weights), count, p=self.weights)
        return self.centre[kernel] + self.width[kernel] * rng.normal(size=(count, SIZE))
