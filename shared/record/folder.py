"""The run folder: `summary.json`, `metrics.csv`, `events.jsonl`, `config.yaml`, `train.log`, `checkpoints/`.

Everything is written so that a crash at any moment leaves a readable file: whole-file writes go through a temporary
file and a rename, growing files are appended line by line.
"""

import csv
import io
import json
import logging
import shutil
import time
import uuid
from pathlib import Path
from typing import Any

from shared.files import Growing, _finite, link, write_atomically, write_json

log = logging.getLogger(__name__)

Row = dict[str, float | int]
HISTORY = ("metrics.csv", "events.jsonl", "summary.json", "run_id")


class RunFolder:
    """Paths and writers of one run; opening an existing folder continues it. Ranks but the first are `mute`."""

    def __init__(self, path: str | Path, mute: bool = False) -> None:
        self.path, self.mute = Path(path).resolve(), mute
        self.checkpoints = self.path / "checkpoints"
        self.checkpoints.mkdir(parents=True, exist_ok=True)
        self.reopen()

    def reopen(self) -> None:
        """Take metrics.csv and events.jsonl as they are now."""
        self.metrics = MetricsFile(self.path / "metrics.csv", self.mute)
        self.events = Events(self.path / "events.jsonl", self.mute)

    @property
    def id(self) -> str:
        """Identity of this run for loggers, made once and kept across resumes."""
        path = self.path / "run_id"
        if self.mute:
            return ""
        if not path.exists():
            write_atomically(path, uuid.uuid4().hex[:12] + "\n")
        return path.read_text(encoding="utf-8").strip()

    def set_aside(self, clear: bool) -> Path:
        """Keep what is here as `earlier-<n>/`, where `clear` leaves the folder as new; checkpoints are hard links."""
        number = next(n for n in range(1, 10_000) if not (self.path / f"earlier-{n}").exists())
        kept = self.path / f"earlier-{number}"
        (kept / "checkpoints").mkdir(parents=True)
        history = [self.path / name for name in HISTORY if (self.path / name).exists()]
        checkpoints = [path for path in self.checkpoints.glob("[!.]*") if path.suffix != ".part"]
        for path in history:
            shutil.copy2(path, kept)
        for path in checkpoints:
            link(path, kept / "checkpoints" / path.name)
        for path in (history + checkpoints) * clear:
            path.unlink()
        self.reopen()
        return kept

    def adopt(self, other: Path, run_id: str) -> None:
        """Take over the metrics and events of run `run_id` if it lies in `other`."""
        identity = other / "run_id"
        if identity.exists() and identity.read_text(encoding="utf-8").strip() == run_id:
            for name in ("metrics.csv", "events.jsonl"):
                if (other / name).exists():
                    shutil.copy2(other / name, self.path)
            self.reopen()

    def remove_summary(self) -> None:
        """A run that trains has no result: readers would take an earlier session's for its own."""
        if not self.mute:
            (self.path / "summary.json").unlink(missing_ok=True)

    def write_summary(self, summary: dict[str, Any]) -> None:
        write_json(self.path / "summary.json", summary)


class MetricsFile:
    """`metrics.csv`: one row per logged step; a metric that appears later widens the table."""

    def __init__(self, path: Path, mute: bool = False) -> None:
        self.path, self.mute = path, mute
        self.file = Growing(path, mute)
        self.columns = self._read()[0] or ["step", "epoch", "lr"]

    def append(self, row: Row) -> None:
        """Add one row; `row` must hold step, epoch and lr."""
        if new := [name for name in row if name not in self.columns]:
            self._widen(sorted(new))
        header = not (self.path.exists() or self.file.waiting)
        self.file.add(self._text([row], header))

    def cut(self, rows: int) -> None:
        """Keep the first `rows` rows, and no part of a line: a resumed run logs the rest again."""
        if not self.mute:
            self._rewrite(self._read()[1][:rows])

    def __len__(self) -> int:
        return len(self._read()[1])

    def _widen(self, names: list[str]) -> None:
        rows, columns = self._read()[1], self.columns
        self.columns = columns + names
        try:
            self._rewrite(rows)
        except OSError as error:
            log.error("%s: no column %s for now: %s", self.path, ", ".join(names), error.strerror)
            self.columns = columns

    def _text(self, rows: list[dict[str, Any]], header: bool) -> str:
        text = io.StringIO(newline="")
        writer = csv.DictWriter(text, self.columns, restval="", extrasaction="ignore")
        if header:
            writer.writeheader()
        writer.writerows(rows)
        return text.getvalue()

    def _read(self) -> tuple[list[str], list[dict[str, str]]]:
        text = self.path.read_text(encoding="utf-8") if self.path.exists() else ""
        reader = csv.DictReader(io.StringIO(text + self.file.waiting, newline=""))
        return list(reader.fieldnames or []), [row for row in reader if None not in row.values()]

    def _rewrite(self, rows: list[dict[str, str]]) -> None:
        if rows:
            write_atomically(self.path, self._text(rows, True))
        else:
            self.path.unlink(missing_ok=True)
        self.file.waiting = ""


class Events:
    """What happened and mattered: logged, and kept in `events.jsonl` for the summary, the report and the tools."""

    def __init__(self, path: Path, mute: bool = False) -> None:
        self.path = path
        self.file = Growing(path, mute)
        self.file.end_line()

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
        self.file.add(json.dumps(_finite(event), ensure_ascii=False) + "\n")
        log.log(level, message)

    def read(self) -> list[dict[str, Any]]:
        """All events so far; a line cut off by a crash is left out."""
        text = self.path.read_text(encoding="utf-8") if self.path.exists() else ""
        found = []
        for line in (text + self.file.waiting).splitlines():
            try:
                found.append(json.loads(line))
            except json.JSONDecodeError:
                continue
        return found
