"""The picture every run folder ends with."""

from dataclasses import replace
from pathlib import Path

import matplotlib
import numpy as np
from matplotlib.figure import Figure

from shared.files import replaced
from shared.runs.pages.picture import STYLE, draw
from shared.runs.reading.folder import read_folder
from shared.runs.reading.runlog import RunLog
from shared.runs.reading.table import read_csv

FEW_EPOCHS = 5


def write_report(run_dir: Path | str) -> Path:
    """Draw `<run_dir>/report.png` from its metrics.csv and summary.json; returns the picture's path.

    Errors: UserError when the folder has no readable metrics.
    """
    run = read_folder(Path(run_dir))
    if len(run.epochs) <= FEW_EPOCHS:
        run = by_step(run)
    target = run.path / "report.png"
    with matplotlib.rc_context(STYLE):
        figure = Figure(figsize=(9, 9.6), facecolor="white")
        draw(figure, run)
        with replaced(target) as temporary:
            figure.savefig(temporary, format="png", dpi=110)
    return target


def by_step(run: RunLog) -> RunLog:
    """The same run with one entry a logged row, at a fractional epoch: few epochs make no curve."""
    table = read_csv(run.path / "metrics.csv")
    step, epoch = table.columns.get("step"), table.columns.get("epoch")
    if step is None or epoch is None or not np.nanmax(step) > 0:
        return run
    place = step / np.nanmax(step) * np.nanmax(epoch)
    columns = {n: c for n, c in table.columns.items() if n in run.columns}
    if "step/loss" in columns:
        columns["train/loss by step"] = columns.pop("step/loss")
    return replace(run, epochs=place, columns=columns)
