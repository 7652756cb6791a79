"""What the checkpoints say: the first bad one, the first bad tensor in it, and files that do not belong here."""

from collections import Counter
from pathlib import Path

import numpy as np

from shared.checkpoints.foreign import read_checkpoint
from shared.errors import UserError
from shared.runs.checkpoints.finite import bad_tensors
from shared.runs.checkpoints.row import Row
from shared.runs.checkpoints.table import checkpoint_files, read_row
from shared.runs.diagnosis.finding import Finding
from shared.runs.reading.runlog import RunLog, by_epoch
from shared.runs.reading.table import Table

MAX_SHOWN = 5


def read_rows(path: Path) -> list[Row]:
    """Epochs, metrics and layouts of a checkpoint file or a folder of them, by epoch; no number is checked yet."""
    rows = [read_row(file, path, hashes=False, scan=False) for file in checkpoint_files(path)]
    return sorted(rows, key=lambda row: (row.epoch is None, row.epoch or 0, row.file))


def run_of(rows: list[Row], folder: Path) -> RunLog:
    """The run as its checkpoints remember it, where no log is left. UserError when they hold no metric."""
    dated = {row.epoch: row for row in rows if row.epoch is not None and row.metrics}
    if not dated:
        raise UserError("no metrics in the checkpoints", str(folder), "give the run's log")
    columns = {name: np.full(len(dated), np.nan) for row in dated.values() for name in row.metrics}
    columns["lr"] = np.array([np.nan if row.lr is None else row.lr for row in dated.values()])
    bad = {}
    for index, row in enumerate(dated.values()):
        for name, value in row.metrics.items():
            columns[name][index] = value
            if not np.isfinite(value):
                bad.setdefault(name, index)
    columns["epoch"] = np.array(list(dated), float)
    return by_epoch(Table(columns, bad), folder.resolve().name, folder)


def check_weights(rows: list[Row]) -> list[Finding]:
    """Findings on checkpoints, in the order of their epochs."""
    readable = [row for row in rows if row.parameters is not None]
    found = [_corrupt(row) for row in rows if row.parameters is None]
    found += _foreign(readable)
    bad = _first_bad(readable)
    if bad is not None:
        found.append(_non_finite(readable, bad))
    return found


def _first_bad(rows: list[Row]) -> int | None:
    """Index of the first non-finite checkpoint by bisection: NaN in weights stays.

    When the newest is clean, an older one may still be bad (the run was rolled back), so all are read.
    """
    if not rows:
        return None
    if _clean(rows[-1]):
        return next((i for i, row in enumerate(rows) if not _clean(row)), None)
    low, high = -1, len(rows) - 1
    while high - low > 1:
        middle = (low + high) // 2
        low, high = (middle, high) if _clean(rows[middle]) else (low, middle)
    return high


def _clean(row: Row) -> bool:
    if row.finite is None:
        row.finite = not bad_tensors(read_checkpoint(row.path), first_only=True)
    return row.finite


def _non_finite(rows: list[Row], index: int) -> Finding:
    row = rows[index]
    bad = bad_tensors(read_checkpoint(row.path))
    model = [b for b in bad if b.tensor.role in ("weight", "buffer")]
    moments = [b for b in bad if b.tensor.role == "moment"]
    first = (model or bad)[0]
    evidence = [f"{len(bad)} tensors: {len(model)} of the model, {len(moments)} optimizer moments"]
    evidence += [b.words for b in bad[:MAX_SHOWN]]
    before = rows[index - 1] if index else None
    if before is not None:
        evidence.insert(0, f"{before.file} (epoch {before.epoch}) is the last good one")
        command = f"resume=RUN/{before.file} resume_mode=extend optimizer.lr=… clip_norm=1.0"
    else:
        command = "no earlier checkpoint is good: start again with clip_norm=1.0 and a lower optimizer.lr"
    since = f"from {row.file}" if len(rows) > 1 else f"in {row.file}"
    message = f"weights are non-finite {since}: first bad tensor {first.words}"
    if not model:
        message = f"optimizer state is non-finite {since}, the weights not yet: first {first.words}"
    return Finding("non_finite", "error", message, row.epoch, row.file, evidence, command)


def _foreign(rows: list[Row]) -> list[Finding]:
    layouts = Counter(row.layout for row in rows)
    if len(rows) < 3 or len(layouts) == 1:
        return []
    usual, count = layouts.most_common(1)[0]
    if count <= len(rows) / 2:
        return []
    typical = next(row for row in rows if row.layout == usual)
    found = []
    for row in rows:
        if row.layout != usual:
            counts = f"{row.parameters:,} parameters, the others {typical.parameters:,}"
            message = f"{row.file} holds another model: {counts}"
            evidence = [f"{row.bytes / 1e6:.0f} MB against {typical.bytes / 1e6:.0f} MB"]
            command = "move it out of this folder: a resume could pick it up"
            found.append(
                Finding("foreign_checkpoint", "warning", message, row.epoch, row.file, evidence, command)
            )
    return found


def _corrupt(row: Row) -> Finding:
    message = f"{row.file} cannot be read: {row.notes[0].removeprefix('corrupt: ')}"
    return Finding(
        "foreign_checkpoint", "warning", message, row.epoch, row.file, [], "delete it, or copy it anew"
    )
