"""The run folder: `summary.json`, `metrics.csv`, `events.jsonl`, `config.yaml`, `train.log`, `checkpoints/`.

Everything is written so that a crash at any moment leaves a readable file: whole-file writes go through a temporary
file and a rename, growing files are appended line by line.
"""

import csv
import json
import logging
import math
import os
import time
import uuid
from pathlib import Path
from typing import Any

log = logging.getLogger(__name__)

Row = dict[str, float | int]


def write_atomically(path: Path, text: str) -> None:
    """Replace `path` by `text` in one step; readers see the old file or the new one, never a part."""
    temporary = path.with_name(f".{path.name}.{os.getpid()}.tmp")
    try:
        temporary.write_text(text, encoding="utf-8")
        temporary.replace(path)
    finally:
        temporary.unlink(missing_ok=True)


def write_json(path: Path, value: Any) -> None:
    write_atomically(path, json.dumps(_finite(value), indent=2, ensure_ascii=False) + "\n")


def _finite(value: Any) -> Any:
    """JSON has no NaN: non-finite numbers become null."""
    if isinstance(value, dict):
        return {str(key): _finite(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [_finite(item) for item in value]
    return None if isinstance(value, float) and not math.isfinite(value) else value


class RunFolder:
    """Paths and writers of one run; opening an existing folder continues it."""

    def __init__(self, path: str | Path) -> None:
        self.path = Path(path).resolve()
        self.checkpoints = self.path / "checkpoints"
        self.checkpoints.mkdir(parents=True, exist_ok=True)
        self.metrics = MetricsFile(self.path / "metrics.csv")
        self.events = Events(self.path / "events.jsonl")

    @property
    def id(self) -> str:
        """Identity of this run for loggers, made once and kept across resumes."""
        path = self.path / "run_id"
        if not path.exists():
            write_atomically(path, uuid.uuid4().hex[:12] + "\n")
        return path.read_text(encoding="utf-8").strip()

    def write_summary(self, summary: dict[str, Any]) -> None:
        write_json(self.path / "summary.json", summary)


class MetricsFile:
    """`metrics.csv`: one row per logged step; a metric that appears later widens the table."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.columns = self._read()[0] or ["step", "epoch", "lr"]

    def append(self, row: Row) -> None:
        """Add one row; `row` must hold step, epoch and lr."""
        if new := [name for name in row if name not in self.columns]:
            rows = self._read()[1]
            self.columns += sorted(new)
            self._rewrite(rows)
        exists = self.path.exists()
        with self.path.open("a", newline="", encoding="utf-8") as file:
            writer = csv.DictWriter(file, self.columns)
            if not exists:
                writer.writeheader()
            writer.writerow(row)

    def cut(self, rows: int) -> None:
        """Keep the first `rows` rows: a resumed run logs again what came after its checkpoint."""
        found = self._read()[1]
        if len(found) > rows:
            self._rewrite(found[:rows])

    def __len__(self) -> int:
        return len(self._read()[1])

    def _read(self) -> tuple[list[str], list[dict[str, str]]]:
        if not self.path.exists():
            return [], []
        with self.path.open(newline="", encoding="utf-8") as file:
            reader = csv.DictReader(file)
            return list(reader.fieldnames or []), [row for row in reader if None not in row.values()]

    def _rewrite(self, rows: list[dict[str, str]]) -> None:
        if not rows:
            self.path.unlink(missing_ok=True)
            return
        temporary = self.path.with_name(f".{self.path.name}.tmp")
        with temporary.open("w", newline="", encoding="utf-8") as file:
            writer = csv.DictWriter(file, self.columns, restval="")
            writer.writeheader()
            writer.writerows(rows)
        temporary.replace(self.path)


class Events:
    """What happened and mattered: logged, and kept in `events.jsonl` for the summary, the report and the tools."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def add(
        self, kind: str, message: str, *, epoch: int, step: int, level: int = logging.INFO, **facts: Any
    ) -> None:
        """Record one event; `epoch` is 1-based, `facts` are JSON values."""
        event = {
            "kind": kind,
            "epoch": epoch,
            "step": step,
            "message": message,
            "time": round(time.time(), 3),
            **facts,
        }
        with self.path.open("a", encoding="utf-8") as file:
            file.write(json.dumps(_finite(event), ensure_ascii=False) + "\n")
        log.log(level, message)

    def read(self) -> list[dict[str, Any]]:
        """All events so far; a line cut off by a crash is left out."""
        if not self.path.exists():
            return []
        found = []
        for line in self.path.read_text(encoding="utf-8").splitlines():
            try:
                found.append(json.loads(line))
            except json.JSONDecodeError:
                continue
        return found
