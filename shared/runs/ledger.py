"""The append-only memory of every run and note: one JSON line each, outside the checkout, so no reset loses it."""

import contextlib
import fcntl
import json
import logging
import os
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from shared.runs.reading.configs import differences
from shared.runs.reading.folder import mapping

MAX_LINE = 1_000_000
log = logging.getLogger(__name__)


def ledger_path() -> Path:
    """`$TRAINYARD_LEDGER`, else the user's data folder."""
    if named := os.environ.get("TRAINYARD_LEDGER"):
        return Path(named).expanduser()
    data = os.environ.get("XDG_DATA_HOME") or "~/.local/share"
    return Path(data).expanduser() / "trainyard" / "ledger.jsonl"


def append(kind: str, **facts: Any) -> dict[str, Any]:
    """Add one line; whole even when several runs write at once. Returns the entry."""
    entry = {"time": round(time.time(), 3), "kind": kind, **facts}
    path = ledger_path()
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("a", encoding="utf-8") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        file.write(json.dumps(entry, ensure_ascii=False, default=str) + "\n")
    return entry


def entries(path: Path | None = None) -> Iterator[dict[str, Any]]:
    """Every readable entry in the order written; a line cut off by a crash is left out."""
    path = path or ledger_path()
    if not path.is_file():
        return
    with path.open(encoding="utf-8", errors="replace") as file:
        for line in file:
            try:
                entry = json.loads(line) if len(line) < MAX_LINE else None
            except ValueError:
                continue
            if isinstance(entry, dict) and isinstance(entry.get("time"), (int, float)):
                yield entry


@contextlib.contextmanager
def never_fatal() -> Iterator[None]:
    """A run is not lost for want of a diary."""
    try:
        yield
    except OSError as error:
        log.warning("the ledger %s was not written: %s", ledger_path(), error)


@never_fatal()
def run_started(run_dir: Path, config: dict, commit: str | None) -> None:
    """A run begins: what it asks (`note`), and how its config differs from its parent's, the project's last run."""
    project = config.get("project")
    parent = None
    for entry in entries():
        if entry["kind"] == "start" and entry.get("project") == project and entry.get("run") != str(run_dir):
            parent = entry["run"]
    changes = []
    if parent is not None:
        before = mapping(Path(parent) / "config.yaml", [])
        changes = differences([before, config])[:40] if before else []
    append(
        "start", run=str(run_dir), project=project, note=config.get("note"), commit=commit, parent=parent,
        changes=[{"key": key, "before": old, "after": new} for key, old, new in changes],
    )  # fmt: skip


@never_fatal()
def run_ended(run_dir: Path, summary: dict) -> None:
    """A run ends, however: its status and result."""
    kept = ("project", "status", "monitor", "epochs", "seconds", "resumed_from")
    append("end", run=str(run_dir), **{key: summary.get(key) for key in kept})
