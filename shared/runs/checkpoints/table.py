"""Every checkpoint of a folder in one table: epoch, metrics, LR, size, parameters, health, hash, notes."""

import hashlib
import math
import re
from pathlib import Path

from shared.checkpoints.content import Checkpoint
from shared.checkpoints.foreign import SUFFIXES, is_checkpoint, read_checkpoint
from shared.checkpoints.network import layout
from shared.errors import UserError
from shared.runs.checkpoints.finite import bad_tensors
from shared.runs.checkpoints.judge import note, recommend, trends
from shared.runs.checkpoints.row import CheckpointTable, Row
from shared.runs.reading.readers import walk

_EPOCH_IN_NAME = re.compile(r"(?:epoch|ep|checkpoint|ckpt)[-_=]?0*(\d+)", re.I)
_METRIC = re.compile(
    r"(^|[._/])(best_)?((val|test|valid|eval)[_/ .]?)?(acc\w*|top.?\d|cer|wer|v?eer|loss|f1\w*)$", re.I
)
OUR_METRIC = (
    "trainyard.config.monitor.name",
    "callbacks.Checkpoints.last_metric",
)  # in this project's own files


def checkpoint_files(folder: Path) -> list[Path]:
    """Checkpoint files of a folder, or the one file given. UserError when there is none."""
    if folder.is_file():
        return [folder]
    if not folder.exists():
        raise UserError("no such folder", str(folder), "check the path")
    found = [
        file
        for file in walk(folder)
        if is_checkpoint(file) and "nonfinite" not in file.relative_to(folder).parts[:-1]
    ]
    if not found:
        raise UserError("no checkpoint in the folder", str(folder), f"looked for {', '.join(SUFFIXES)}")
    return found


def checkpoint_table(folder: Path, hashes: bool = True, scan: bool = True) -> CheckpointTable:
    """Read every checkpoint below `folder`; `hashes` and `scan` cost one pass over the bytes each."""
    rows = [read_row(file, folder, hashes, scan) for file in checkpoint_files(folder)]
    rows.sort(key=lambda row: (row.epoch is None, row.epoch or 0, row.file))
    note(rows)
    table = CheckpointTable(folder, rows)
    table.recommendation = recommend(rows)
    table.trends = trends(rows)
    return table


def read_row(file: Path, folder: Path, hashes: bool, scan: bool) -> Row:
    root = folder if folder.is_dir() else folder.parent
    row = Row(str(file.relative_to(root)), file, file.stat().st_size)
    in_name = _EPOCH_IN_NAME.search(file.stem)
    row.epoch = int(in_name[1]) if in_name else None
    if hashes:
        row.sha256 = short_hash(file)
    try:
        checkpoint = read_checkpoint(file)
    except (ValueError, OSError) as error:
        row.notes.append(f"corrupt: {error}")
        return row
    row.epoch = _epoch(checkpoint, row.epoch)
    row.parameters = checkpoint.parameters
    row.layout = layout(checkpoint)
    row.lr, row.metrics = _lr(checkpoint), _metrics(checkpoint)
    if scan:
        bad = bad_tensors(checkpoint, first_only=True)
        row.finite = not bad
        row.notes += [f"non-finite: first {bad[0].words}"] if bad else []
    elif any(not math.isfinite(v) for v in row.metrics.values()):
        row.notes.append("a metric is non-finite")
    return row


def short_hash(file: Path) -> str:
    with file.open("rb") as stream:
        return hashlib.file_digest(stream, "sha256").hexdigest()[:12]


def _epoch(checkpoint: Checkpoint, in_name: int | None) -> int | None:
    """The epoch as a person counts: Lightning's own number starts at 0."""
    value = next(
        (checkpoint.values[k] for k in ("epoch", "last_epoch", "cur_epoch") if k in checkpoint.values), None
    )
    if not isinstance(value, int) or isinstance(value, bool):
        return in_name
    return value + 1 if "pytorch-lightning_version" in checkpoint.values else value


def _lr(checkpoint: Checkpoint) -> float | None:
    for name, value in checkpoint.values.items():
        if isinstance(value, float) and re.search(r"(param_groups\.0\.|^)(lr|learning_rate)$", name):
            return value
    return None


def _metrics(checkpoint: Checkpoint) -> dict[str, float]:
    """Scalars that are metrics by name, from the top of the file; tensors of one number too."""
    found = {}
    monitor, last = (checkpoint.values.get(key) for key in OUR_METRIC)
    if isinstance(monitor, str) and isinstance(last, (int, float)):
        found[monitor] = float(last)
    leaves = dict(checkpoint.values)
    leaves |= {
        t.name: t.data.item()
        for t in checkpoint.tensors
        if t.shape == () and t.data is not None and t.data.size == 1
    }
    for name, value in leaves.items():
        if (
            isinstance(value, (int, float))
            and not isinstance(value, bool)
            and name.count(".") <= 2
            and _METRIC.search(name)
        ):
            found[name.rpartition(".")[2]] = float(value)
    return found
