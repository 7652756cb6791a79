"""One run as epochs and columns, whoever wrote it."""

from dataclasses import dataclass, field, replace
from pathlib import Path

import numpy as np

from shared.errors import UserError
from shared.runs.reading import names
from shared.runs.reading.table import Table

MAX_EPOCHS = 100_000


@dataclass
class RunLog:
    """A run by epoch: `epochs` (1-based, rising) and float64 `columns` of the same length, NaN where missing.

    Rates are fractions. `first_bad` gives, per column, the first epoch whose value was NaN or Inf.
    """

    name: str
    path: Path
    epochs: np.ndarray
    columns: dict[str, np.ndarray]
    first_bad: dict[str, int] = field(default_factory=dict)
    config: dict = field(default_factory=dict)
    summary: dict = field(default_factory=dict)
    warnings: list[str] = field(default_factory=list)

    @property
    def lr(self) -> np.ndarray | None:
        """The learning rate by epoch; the first group's where there are several."""
        return next((c for n, c in self.columns.items() if names.kind(n) == "lr"), None)

    def until(self, last: int) -> "RunLog":
        """The run as it stood after epoch `last`."""
        kept = self.epochs <= last
        return replace(self, epochs=self.epochs[kept], columns={n: c[kept] for n, c in self.columns.items()})

    def metric_names(self) -> list[str]:
        return [n for n in self.columns if names.kind(n) not in ("lr", "counter")]

    @property
    def monitor(self) -> dict:
        """`name` and `mode` of the metric that decides, as the summary or, while it runs, the config says; or {}."""
        for monitor in (self.summary.get("monitor"), self.config.get("monitor")):
            if isinstance(monitor, dict) and isinstance(monitor.get("name"), str):
                return monitor
            if isinstance(monitor, str):
                return {"name": monitor}
        return {}

    def metric(self, wanted: str | None = None) -> tuple[str, np.ndarray]:
        """The asked-for column, or the monitored one, or the likeliest. UserError when there is none."""
        declared = self.monitor.get("name")
        choice = wanted or (
            declared if declared in self.columns else names.default_metric(list(self.columns))
        )
        if choice not in self.columns:
            known = ", ".join(self.metric_names()) or "none"
            raise UserError(
                f"no metric {choice or ''} in the log", str(self.path), f"--metric one of: {known}"
            )
        return choice, self.columns[choice]

    def mode(self, metric: str) -> str:
        """`max` or `min`, as the run declared it or as the metric's name says."""
        declared = self.monitor.get("mode") if self.monitor.get("name") == metric else None
        return declared if declared in ("min", "max") else names.mode(metric)


def best_index(values: np.ndarray, mode: str) -> int | None:
    """The index of the best finite value, the first of equals."""
    finite = np.isfinite(values)
    if not finite.any():
        return None
    worst = -np.inf if mode == "max" else np.inf
    filled = np.where(finite, values, worst)
    return int(np.argmax(filled) if mode == "max" else np.argmin(filled))


def by_epoch(table: Table, name: str, path: Path) -> RunLog:
    """Fold rows into epochs: a held-out metric and the LR by their last value, the rest by the mean."""
    columns = dict(table.columns)
    warnings = list(table.warnings)
    if not len(table):
        raise UserError("no numbers in the log", str(path), "; ".join(warnings) or "give another file")
    epoch = _epoch_column(columns, warnings)
    if not np.isfinite(epoch).any():
        raise UserError("no row with an epoch", str(path), "the log needs one row an epoch, with its number")
    epoch, kept = _one_history(epoch, columns, warnings)
    unique = np.unique(epoch)
    if len(unique) > MAX_EPOCHS:
        raise UserError(
            f"{len(unique):,} epochs", str(path), "give an `epoch` column that counts epochs, not steps"
        )
    folded = {n: _fold(n, column[kept], epoch, unique) for n, column in columns.items()}
    row_epoch = dict(zip(kept.tolist(), epoch.tolist(), strict=True)) if table.bad else {}
    first_bad = {n: int(row_epoch[row]) for n, row in table.bad.items() if n in folded and row in row_epoch}
    for column, values in folded.items():
        if names.in_percent(column, values):
            folded[column] = values / 100
            warnings.append(f"{column} is in percent: read as a fraction")
    return RunLog(name, path, unique.astype(int), folded, first_bad, warnings=warnings)


def _epoch_column(columns: dict[str, np.ndarray], warnings: list[str]) -> np.ndarray:
    """Take the epoch column out of `columns`; where there is none, the n-th row with a metric is epoch n."""
    key = next(
        (n for n in columns if n.strip().lower() in ("epoch", "epochs", "epoch_num", "trainer/epoch")), None
    )
    if key is None:
        marks = [n for n in columns if names.held_out(n)] or [
            n for n in columns if names.kind(n) != "counter"
        ]
        marks = marks or list(columns)
        hit = np.isfinite(np.stack([columns[n] for n in marks])).any(axis=0)
        warnings.append("no epoch column: every row with a metric counts as one epoch")
        return 1.0 + np.concatenate([[0], np.cumsum(hit)[:-1]]) if len(hit) else np.empty(0)
    epoch = np.floor(columns.pop(key))
    if np.isfinite(epoch).any() and np.nanmin(epoch) == 0:
        warnings.append("epochs count from 0 in the file: read as 1, 2, 3, …")
        return epoch + 1
    return epoch


def _one_history(epoch: np.ndarray, columns: dict, warnings: list[str]) -> tuple[np.ndarray, np.ndarray]:
    """Make epoch numbers rise: the row indices to keep and their epochs.

    A log that goes back a few epochs was resumed: the later rows replace the earlier ones. A log that goes
    back to its first epoch either goes on under new numbers or is another run: the metric tells which.
    """
    rows = np.flatnonzero(np.isfinite(epoch) & (np.abs(epoch) < 1e9))
    epoch = epoch[rows]
    for back in np.flatnonzero(np.diff(epoch) < 0)[:1000] + 1:
        if epoch[back] != epoch[:back].min() or (back == len(epoch) - 1 and back < 3):
            warnings.append(
                f"epoch {int(epoch[back])} comes again after {int(epoch[back - 1])}: the later rows count"
            )
            epoch[:back][epoch[:back] >= epoch[back]] = np.nan
        elif _goes_on(columns, rows, back):
            warnings.append(f"epoch numbers start again at row {rows[back] + 1}: read as a continuation")
            epoch[back:] += np.nanmax(epoch[:back])
        else:
            warnings.append(f"another run starts at row {rows[back] + 1}: only the last one is read")
            epoch[:back] = np.nan
    kept = np.isfinite(epoch)
    return epoch[kept], rows[kept]


def _goes_on(columns: dict, rows: np.ndarray, back: int) -> bool:
    """Whether the metric after row `back` is nearer to where the log stood than to where it began."""
    metric = names.default_metric(list(columns))
    if metric is None:
        return False
    before, after = columns[metric][rows[:back]], columns[metric][rows[back:]]
    before, after = before[np.isfinite(before)], after[np.isfinite(after)]
    if not len(before) or not len(after):
        return False
    return abs(after[0] - before[-1]) < abs(after[0] - before[0])


def _fold(name: str, column: np.ndarray, epoch: np.ndarray, unique: np.ndarray) -> np.ndarray:
    """One value an epoch from this column's finite cells; NaN where an epoch has none."""
    finite = np.isfinite(column)
    out = np.full(len(unique), np.nan)
    slot = np.searchsorted(unique, epoch[finite])
    if names.held_out(name) or names.kind(name) in ("lr", "counter"):
        out[slot] = column[finite]  # the last assignment wins
        return out
    total = np.bincount(slot, column[finite], len(unique))
    count = np.bincount(slot, minlength=len(unique))
    np.divide(total, count, out=out, where=count > 0)
    return out
