"""The memory of a search: an Optuna study in `<sweep>/study.db`, which outlives the process that asked it."""

import json
import math
from collections.abc import Callable
from pathlib import Path

import numpy as np
import optuna
from optuna.samplers import BaseSampler
from optuna.trial import FrozenTrial, Trial, TrialState

from shared.errors import UserError
from shared.runs.reading.table import read_csv
from shared.sweeps.job import result
from shared.sweeps.space import Space
from shared.sweeps.table import pruned


class Study:
    """Asks Optuna for settings and tells it what became of them; trial n is job n of the sweep in `folder`.

    `sampler(seed=...)` makes the sampler; a study that goes on draws other numbers than at its beginning.
    """

    def __init__(self, folder: Path, mode: str, seed: int, sampler: Callable[..., BaseSampler]) -> None:
        optuna.logging.set_verbosity(optuna.logging.WARNING)
        direction = "maximize" if mode == "max" else "minimize"
        self.folder = folder
        self.study = optuna.create_study(
            storage=f"sqlite:///{folder / 'study.db'}",
            study_name="sweep",
            direction=direction,
            load_if_exists=True,
        )
        if self.study.direction.name.lower() != direction:
            mend = "set monitor.mode back, or choose another run_dir"
            raise UserError(
                f"the study in {folder} wants to {self.study.direction.name.lower()}", "run_dir", mend
            )
        self.study.sampler = sampler(seed=seed + len(self.study.trials))

    def interrupted(self) -> list[FrozenTrial]:
        """Trials that were begun and never ended: their process was killed, or the sweep was."""
        return self.study.get_trials(deepcopy=False, states=[TrialState.RUNNING])

    def begun(self) -> int:
        """Trials that have been asked for; an interrupted one keeps its place among them."""
        return len(self.study.trials)

    def ask(self, space: Space) -> Trial:
        try:
            return self.study.ask(space)
        except ValueError as error:
            mend = "give the choices that it began with, or another run_dir"
            raise UserError(
                f"the study in {self.folder} had other choices: {error}", "run_dir", mend
            ) from error

    def tell(self, number: int, folder: Path) -> None:
        """Record what trial `number` came to, from the files of its job; an interrupted one stays open."""
        summary = json.loads((folder / "summary.json").read_text(encoding="utf-8"))
        if summary["status"] == "interrupted":
            return
        trial = optuna.Trial(self.study, self.study.trials[number]._trial_id)
        trial.set_user_attr("status", summary["status"])
        for epoch, value in curve(folder, (summary.get("monitor") or {}).get("name")):
            trial.report(value, epoch)
        value = result(summary)
        if pruned(summary):
            self.study.tell(number, state=TrialState.PRUNED)
        elif math.isnan(value):
            self.study.tell(number, state=TrialState.FAIL)
        else:
            self.study.tell(number, value)


def curve(folder: Path, metric: str | None) -> list[tuple[int, float]]:
    """(epoch, value) of a job's metric wherever it was measured."""
    try:
        columns = read_csv(folder / "metrics.csv").columns
    except UserError:  # nothing was written
        return []
    if metric not in columns:
        return []
    seen = np.isfinite(columns[metric])
    return [(int(e), float(v)) for e, v in zip(columns["epoch"][seen], columns[metric][seen], strict=True)]
