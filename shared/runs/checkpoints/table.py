"""Every checkpoint of a folder in one table: epoch, metrics, LR, size, parameters, health, hash, notes."""

import hashlib
import math
import re
from collections import Counter
from dataclasses import dataclass, field
from pathlib import Path

from shared.errors import UserError
from shared.runs import names
from shared.runs.checkpoints.finite import bad_tensors
from shared.runs.checkpoints.reader import SUFFIXES, Checkpoint, read_checkpoint
from shared.runs.readers import walk

_EPOCH_IN_NAME = re.compile(r"(?:epoch|ep|checkpoint|ckpt)[-_=]?0*(\d+)", re.I)
_METRIC = re.compile(
    r"(^|[._/])(best_)?((val|test|valid|eval)[_/ .]?)?(acc\w*|top.?\d|cer|wer|v?eer|loss|f1\w*)$", re.I
)


@dataclass
class Row:
    """One checkpoint. `finite` is None for a file that cannot be read; `same` names a file of equal content."""

    file: str
    path: Path
    bytes: int
    epoch: int | None = None
    parameters: int | None = None
    finite: bool | None = None
    lr: float | None = None
    metrics: dict[str, float] = field(default_factory=dict)
    sha256: str = ""
    notes: list[str] = field(default_factory=list)
    layout: int = 0


@dataclass
class CheckpointTable:
    folder: Path
    rows: list[Row]
    recommendation: str = ""
    trends: list[str] = field(default_factory=list)


def checkpoint_files(folder: Path) -> list[Path]:
    """Checkpoint files of a folder, or the one file given. UserError when there is none."""
    if folder.is_file():
        return [folder]
    if not folder.exists():
        raise UserError("no such folder", str(folder), "check the path")
    found = [file for file in walk(folder) if file.suffix in SUFFIXES and not file.name.startswith(".")]
    if not found:
        raise UserError("no checkpoint in the folder", str(folder), f"looked for {', '.join(SUFFIXES)}")
    return found


def checkpoint_table(folder: Path, hashes: bool = True, scan: bool = True) -> CheckpointTable:
    """Read every checkpoint below `folder`; `hashes` and `scan` cost one pass over the bytes each."""
    rows = [read_row(file, folder, hashes, scan) for file in checkpoint_files(folder)]
    rows.sort(key=lambda row: (row.epoch is None, row.epoch or 0, row.file))
    _note(rows)
    table = CheckpointTable(folder, rows)
    table.recommendation = _recommend(rows)
    table.trends = _trends(rows)
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
    row.layout = hash(tuple((t.name, t.shape) for t in checkpoint.model))
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


def _note(rows: list[Row]) -> None:
    """best, latest, other model, same content."""
    layouts = Counter(row.layout for row in rows if row.parameters)
    usual = layouts.most_common(1)[0][0] if layouts else 0
    for row in rows:
        if row.parameters and len(rows) > 1 and row.layout != usual:
            row.notes.append("another model")
    first: dict[str, str] = {}
    for row in rows:
        if row.sha256 and row.sha256 in first:
            row.notes.append(f"same as {first[row.sha256]}")
        first.setdefault(row.sha256, row.file)
    good = [row for row in rows if row.finite is not False and row.parameters and row.layout == usual]
    metric = main_metric(good)
    if metric:
        scored = [row for row in good if math.isfinite(row.metrics.get(metric, math.nan))]
        sign = 1 if names.mode(metric) == "max" else -1
        max(scored, key=lambda row: sign * row.metrics[metric]).notes.insert(0, f"best {metric}")
    dated = [row for row in rows if row.epoch is not None]
    if dated:
        dated[-1].notes.insert(0, "latest")


def main_metric(rows: list[Row]) -> str | None:
    """The metric most checkpoints carry; a running best says nothing of the file it stands in."""
    counts = Counter(
        n for row in rows for n, v in row.metrics.items() if math.isfinite(v) and not n.startswith("best")
    )
    if not counts:
        return None
    often = [n for n, c in counts.items() if c == max(counts.values())]
    return names.default_metric(often)


def _recommend(rows: list[Row]) -> str:
    bad = [row for row in rows if row.finite is False]
    good = [
        row for row in rows if row.finite is not False and row.parameters and "another model" not in row.notes
    ]
    if not good:
        return "no usable checkpoint: nothing here is both readable and finite"
    best = next((row for row in good if any(n.startswith("best ") for n in row.notes)), good[-1])
    latest = good[-1]
    words = [f"use {best.file}"]
    if best is not latest:
        words.append(
            f"resume from {latest.file}" if not bad else f"resume from {best.file}, not from anything later"
        )
    if bad:
        words.append(
            f"{len(bad)} of {len(rows)} hold non-finite numbers, first {bad[0].file}: they are of no use"
        )
    return "; ".join(words)


def _trends(rows: list[Row]) -> list[str]:
    """One line a metric: from the first checkpoint to the last, and its best."""
    lines = []
    usable = [row for row in rows if row.epoch is not None and "another model" not in row.notes]
    for name in dict.fromkeys(n for row in usable for n in row.metrics):
        points = [
            (row.epoch, row.metrics[name]) for row in usable if math.isfinite(row.metrics.get(name, math.nan))
        ]
        if len(points) > 1:
            pick = max if names.mode(name) == "max" else min
            epoch, value = pick(points, key=lambda p: p[1])
            (e0, v0), (e1, v1) = points[0], points[-1]
            lines.append(f"{name}: {v0:.4g} at epoch {e0}, best {value:.4g} at {epoch}, {v1:.4g} at {e1}")
    return lines
