"""Scoring forecasts on finished runs: each one cut, forecast, and compared with what came, itself left out."""

from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from shared.errors import UserError
from shared.runs.forecast.backtest.rivals import rivals
from shared.runs.forecast.model.bands import quantiles, score, widening
from shared.runs.forecast.model.fit import Curve, fit
from shared.runs.forecast.model.prior import LibraryRun, Prior
from shared.runs.forecast.model.scale import Scale
from shared.runs.forecast.plan import past_lr
from shared.runs.reading.readers import read_run, walk

MADE, REAL_WEIGHT = "made", 6.0  # runs in a folder of this name are small ones, trained to fill the library
CUTS = (1 / 3, 0.5, 0.67, 0.77, 0.83)


@dataclass(frozen=True)
class Trial:
    """One forecast of a run's last epoch from its first `seen` epochs, everything an error (lower is better).

    `bands`: quantiles of the last epoch; `covered`: share of the epochs to come within the 80 % band;
    `mean_error`: mean absolute error over the epochs to come; `rivals`: other methods' forecasts.
    """

    run: str
    seen: int
    truth: float
    bands: dict[float, float]
    covered: float
    mean_error: float
    rivals: dict[str, float]
    score: float

    @property
    def miss(self) -> float:
        return self.bands[0.5] - self.truth


def trial(
    name: str, error: np.ndarray, lr: np.ndarray, seen: int, library: list[LibraryRun], seed: int = 0
) -> Trial:
    """Forecast the end of (error, lr) from the first `seen` epochs; the run itself is left out of the library."""
    others = [run for run in library if not run.is_run(error)]
    peak = float(np.nanmax(lr))
    history = Curve(error[:seen], lr[:seen])
    result = fit(history, Prior(others, peak), peak, seed)
    _, paths = result.paths(lr, seed)
    raw = quantiles(paths, widening([]))
    bands = quantiles(paths, widening(others))
    ahead = slice(seen, None)
    inside = (error[ahead] >= bands[0.1][ahead]) & (error[ahead] <= bands[0.9][ahead])
    return Trial(
        name, seen, float(error[-1]), {level: float(q[-1]) for level, q in bands.items()},
        float(inside.mean()), float(np.abs(bands[0.5] - error)[ahead].mean()),
        rivals(error[:seen], len(error)), score(error[-1], raw[0.5][-1], raw[0.1][-1], raw[0.9][-1]),
    )  # fmt: skip


def cuts(epochs: int) -> list[int]:
    """After how many epochs a run of this length is cut."""
    return sorted({max(4, round(share * epochs)) for share in CUTS if round(share * epochs) < epochs})


def library_run(
    name: str, error: np.ndarray, lr: np.ndarray, weight: float, library: list[LibraryRun]
) -> LibraryRun:
    """A finished run as the library keeps it; its scores come from the other runs of `library`."""
    peak = float(np.nanmax(lr))
    draws = fit(Curve(error, lr), Prior([], peak), peak).draws
    first = tuple(round(float(e), 6) for e in error[:5])
    return LibraryRun(name, peak, first, weight, np.median(draws, 0), draws.std(0))


def backtest(
    folder: Path, metric: str | None, shipped: tuple[LibraryRun, ...], seed: int = 0
) -> tuple[list[Trial], list[LibraryRun], list[str]]:
    """Trials of every run in the folder, the runs as a library, and why others were left out."""
    histories, skipped = [], []
    for path in _runs(folder):
        try:
            histories.append(_history(path, metric))
        except UserError as error:
            skipped.append(str(error))
    if not histories:
        raise UserError(
            "no finished run with 8 epochs and a learning rate", str(folder), "; ".join(skipped[:3])
        )
    library = [library_run(*history, []) for history in histories]
    known = [run for run in shipped if not any(run.is_run(error) for _, error, _, _ in histories)]
    trials, scored = [], []
    for (name, error, lr, _), run in zip(histories, library, strict=True):
        found = [trial(name, error, lr, seen, [*library, *known], seed) for seen in cuts(len(error))]
        trials += found
        scored.append(replace(run, scores=tuple(round(t.score, 3) for t in found)))
    return trials, [*scored, *known], skipped


def _runs(folder: Path) -> list[Path]:
    """CSV files and run folders below; a run folder counts once."""
    if not folder.is_dir():
        raise UserError("not a folder", str(folder), "give the folder that holds the finished runs")
    files = [file for file in walk(folder) if file.suffix == ".csv"]
    return sorted({file.parent if file.name == "metrics.csv" else file for file in files})


def _history(path: Path, metric: str | None) -> tuple[str, np.ndarray, np.ndarray, float]:
    """Name, error and learning rate by epoch from 1, and the weight of a finished run."""
    run = read_run(path)
    name, values = run.metric(metric)
    lr = past_lr(run)
    known = np.isfinite(values)
    if known.sum() < 8 or known.sum() < len(values) or run.epochs[0] != 1 or lr is None:
        raise UserError(f"{name} or lr is incomplete", str(path), "a run needs 8 epochs, all of them logged")
    weight = 1.0 if path.parent.name == MADE else REAL_WEIGHT
    return run.name, Scale.of(name, values, run.mode(name)).error(values), lr, weight
