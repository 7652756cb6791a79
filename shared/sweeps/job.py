"""A job of a sweep as a command of its own: what is run, and what it came to."""

import json
import math
import signal
import sys
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from shared.files import write_json
from shared.sweeps import table

CONSOLE = "console.log"
LOST = ("failed", "stopped_non_finite")


@dataclass
class Job:
    """`train.py` of a project (`script`) with `overrides`, in its own `folder`."""

    script: Path
    folder: Path
    overrides: tuple[str, ...]
    before: tuple[int, int] | None = field(default=None, init=False)
    """Which summary an earlier attempt has left."""

    def prepare(self) -> list[str]:
        """The command, which writes to console.log."""
        self.folder.mkdir(parents=True, exist_ok=True)
        self.before = self.summary()
        given = [each for each in self.overrides if not each.startswith("run_dir=")]
        train = [sys.executable, str(self.script), *given, f"run_dir={self.folder}", "hydra.mode=RUN"]
        return ["sh", "-c", 'exec "$@" >> "$0" 2>&1', str(self.folder / CONSOLE), *train]

    def summary(self) -> tuple[int, int] | None:
        """Which summary.json lies there: each is a new file, whatever it says."""
        path = self.folder / "summary.json"
        return (path.stat().st_ino, path.stat().st_mtime_ns) if path.exists() else None

    def settle(self, ending: int | str) -> float:
        """The job's result from how its command ended; one that could not say so itself gets its summary here.

        `ending` is an exit code, or in words why there is none. The result of an earlier attempt is kept, and does not
        count for this one: NaN.
        """
        path, found = self.folder / "summary.json", self.summary()
        if found and found == self.before:
            why = f"{in_words(ending, self.folder)}; the result of an earlier attempt is kept"
            print(f"error: {self.folder.name}: {why}", file=sys.stderr, flush=True)
            table.job_failed()
            return math.nan
        if not found:
            seen = {"status": "failed", "error": in_words(ending, self.folder), "seconds": 0}
            write_json(path, {**seen, "overrides": list(self.overrides)})
        return result(json.loads(path.read_text(encoding="utf-8")))


def result(summary: dict[str, Any]) -> float:
    """What a search optimises: the best value of the monitored metric, NaN for a job that failed or met NaN."""
    best = (summary.get("monitor") or {}).get("best")
    return math.nan if best is None or summary["status"] in LOST else best


def in_words(ending: int | str, folder: Path) -> str:
    """How a command ended that has left no summary, and its last words."""
    if isinstance(ending, str):
        return f"the job was lost: {ending}"
    number = -ending if ending < 0 else ending - 128
    if number in signal.valid_signals():
        return f"killed by {signal.Signals(number).name}"
    console = folder / CONSOLE
    lines = console.read_text(encoding="utf-8", errors="replace").split("\n") if console.exists() else []
    last = next((line for line in reversed(lines) if line.strip()), "")
    return f"exit code {ending}: {last.strip()[:300]}"
